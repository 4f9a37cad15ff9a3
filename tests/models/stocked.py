"""A database with one row of each kind, and statements tried on it past every use case, on the server's own kind of
connection."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from tortoise.connection import get_connections
from tortoise.exceptions import IntegrityError

from models.database import connected, transaction
from tests.support import samples
from tests.support.rows import Rows
from tests.support.server import START

ACCOUNT, OTHER_ACCOUNT = UUID(int=1), UUID(int=2)
USER, IDENTITY, SERVICE, CANCELLED_SERVICE = UUID(int=3), UUID(int=4), UUID(int=5), UUID(int=6)
CREDENTIAL, REVOKED_CREDENTIAL = UUID(int=7), UUID(int=8)
EVENT = UUID(int=9)
ROTATED_CREDENTIAL = UUID(int=10)
OTHERS_USER, OTHERS_SERVICE, OTHERS_IDENTITY, OTHERS_CREDENTIAL = (UUID(int=number) for number in range(20, 24))
OPERATOR, COLLEAGUE = UUID(int=24), UUID(int=25)
KEY = "key-1"


def stock(rows: Rows) -> None:
    rows.insert("server_keys", {"id": KEY, "check_value": "0", "created_at": START})
    rows.insert("accounts", samples.account(id=ACCOUNT, name="Alder"), samples.account(id=OTHER_ACCOUNT, name="Birch"))
    rows.insert("users", samples.user(ACCOUNT, id=USER, email="member@alder.example"))
    rows.insert(
        "users",
        samples.user(OTHER_ACCOUNT, id=OTHERS_USER),
        samples.user(None, id=OPERATOR),
        samples.user(ACCOUNT, id=COLLEAGUE),
    )
    rows.insert(
        "identities",
        samples.identity(ACCOUNT, id=IDENTITY),
        samples.identity(OTHER_ACCOUNT, id=OTHERS_IDENTITY),
    )
    rows.insert(
        "services",
        samples.service(ACCOUNT, id=SERVICE, code="certificates"),
        samples.service(ACCOUNT, id=CANCELLED_SERVICE, code="timestamps", cancelled_at=START),
    )
    rows.insert("services", samples.service(OTHER_ACCOUNT, id=OTHERS_SERVICE, code="logs"))
    rows.insert("service_identities", samples.service_identity(SERVICE, IDENTITY))
    revoked = {"revoked_at": START, "revocation_reason": "SUPERSEDED"}
    rows.insert(
        "credentials",
        credential(id=CREDENTIAL, name="ci", api_key="sealkey_key_1"),
        credential(id=REVOKED_CREDENTIAL, name="old", api_key="sealkey_key_2", **revoked),
    )
    ends = START + timedelta(days=2)
    rows.insert(
        "credentials",
        credential(id=ROTATED_CREDENTIAL, name="ci", api_key="sealkey_key_3", rotated_at=START, expires_at=ends),
    )
    of_others = (OTHER_ACCOUNT, OTHERS_USER, OTHERS_SERVICE, OTHERS_IDENTITY, KEY)
    rows.insert("credentials", samples.credential(*of_others, id=OTHERS_CREDENTIAL))
    rows.insert("audit_chains", {"id": ACCOUNT, "sequence": 1, "hash": "0" * 64})
    rows.insert("audit_events", samples.audit_event(ACCOUNT, 1, KEY, id=EVENT))


def credential(**columns: object) -> samples.Row:
    return {**samples.credential(ACCOUNT, USER, SERVICE, IDENTITY, KEY), **columns}


class _Undo(Exception):
    pass


def permit(rows: Rows, *statements: str) -> None:
    """Runs statements in a transaction, which is then undone."""

    async def run() -> None:
        async with connected(rows.url), transaction() as connection:
            for statement in statements:
                await connection.execute_query(statement)
            raise _Undo

    with pytest.raises(_Undo):
        asyncio.run(run())


def refusal(rows: Rows, statement: str) -> IntegrityError:
    """The error with which the database itself refuses a statement."""

    async def run() -> None:
        async with connected(rows.url):
            await get_connections().get("default").execute_query(statement)

    with pytest.raises(IntegrityError) as refused:
        asyncio.run(run())
    return refused.value
