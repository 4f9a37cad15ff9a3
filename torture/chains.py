"""Chains of audit events to be tampered with, written by the real recorder, and the databases that they are in."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol
from uuid import UUID

import asyncpg
from pydantic import SecretStr

from auth.crypto.keyring import Keyring
from auth.crypto.merkle_tree import MerkleTree
from auth.crypto.secret import Secret
from auth.crypto.signed_note import Checkpoint
from auth.principal import Principal
from models.audit_log import EventRow, HeadRow, read_events, read_heads
from models.database import transaction
from models.ids import Kind, new_id
from models.instants import system_clock
from resolvers.accounts import create_account
from resolvers.audit import EventType, record
from resolvers.audit_chains import chain_name
from resolvers.audit_checkpoints import make_signing_key, origin, sign_checkpoint, signing_key
from resolvers.audit_hash import EventHasher
from resolvers.audit_verification import Verified
from resolvers.caller import Caller
from resolvers.key_changes import KeyFile
from resolvers.users import create_operator
from server.app import deployed
from server.settings import Settings
from tests.postgres import running_postgres
from tests.support.command import run
from tests.support.rows import Rows

OPERATOR = ("operator@provider.example", "correct horse battery staple")
_ISSUER = "https://keys.example"
_COLUMNS = (*EventRow._fields, "chain_id")


class Database(Protocol):
    """A database whose owner is not held back by triggers and constraints."""

    def put(self, chain_id: str, events: Sequence[EventRow], head: HeadRow | None) -> None:
        """What there is of a chain, in the place of what was there."""


@dataclass(frozen=True)
class Made:
    """A chain of an account, and all there is to know of it. `roots` are those of the tree of so many events."""

    url: str
    data_dir: Path
    chain_id: str
    events: list[EventRow]
    head: HeadRow
    keyring: Keyring
    roots: Sequence[bytes]

    @cached_property
    def hasher(self) -> EventHasher:
        return EventHasher(self.keyring.symmetric_keys)

    @cached_property
    def database(self) -> Database:
        return SqliteDatabase(self.url) if self.url.startswith("sqlite") else PostgresDatabase(self.url)

    @property
    def name(self) -> str:
        return chain_name(self.chain_id)

    def newest_head(self) -> HeadRow:
        """As it is in the database by now."""
        ((sequence, hash_),) = Rows(self.url).execute(
            f"SELECT sequence, hash FROM audit_chains WHERE id = '{self.chain_id}'"
        )
        return HeadRow(self.chain_id, sequence, hash_)

    def checkpoint(self, size: int) -> Checkpoint:
        return Checkpoint(origin(_ISSUER, self.chain_id), size, self.roots[size])

    def put(self, events: Sequence[EventRow], head: HeadRow | None) -> None:
        self.database.put(self.chain_id, events, head)

    def verify_by_command(self, checkpoints: Sequence[Checkpoint]) -> tuple[int, str]:
        """The exit status and what was written to standard error."""
        key = signing_key(self.keyring, system_clock())
        assert key
        options = list[str]()
        for checkpoint in checkpoints:
            path = self.data_dir / f"{checkpoint.size}.checkpoint"
            verified = Verified(checkpoint.size, checkpoint.root, None)
            path.write_text(sign_checkpoint(key, _ISSUER, self.chain_id, verified))
            options += ["--checkpoint", str(path)]
        result = run(self.data_dir, "audit", "verify", *options, database_url=self.url, issuer=_ISSUER)
        return result.exit_code, result.stderr


def on_each_engine(run: Callable[[str, Path, bool], None], *, small: bool, engine: str | None = None) -> None:
    """Runs a function on an engine, or on both, or, where it is small, on SQLite alone: with the URL of an empty
    database, a directory that is to be made, and `small`."""
    if small and engine is None:
        with TemporaryDirectory() as name:
            run(f"sqlite://{name}/chain.sqlite3", Path(name) / "sqlite", small)
        return
    for each in [engine] if engine else ["sqlite", "postgres"]:
        # What Tortoise remembers of a statement is of one engine.
        with (
            TemporaryDirectory() as name,
            running_postgres() if each == "postgres" else nullcontext() as server,
            ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process,
        ):
            url = server.create_database("chain") if server else f"sqlite://{name}/chain.sqlite3"
            process.submit(run, url, Path(name) / each, small).result()


def make_chain(url: str, data_dir: Path, size: int) -> Made:
    """An account's chain of so many events, in a new database."""
    data_dir.mkdir()
    return asyncio.run(_make_chain(url, data_dir, size))


async def _make_chain(url: str, data_dir: Path, size: int) -> Made:
    settings = Settings(data_dir=data_dir, database_url=SecretStr(url), issuer=_ISSUER)
    async with deployed(settings) as deployment:
        nobody = Caller(None, None, deployment.clock(), deployment)
        email, password = OPERATOR
        operator = await create_operator(nobody, email=email, display_name="Operator", password=Secret(password))
        caller = replace(nobody, principal=Principal.of_user(operator), source_ip="192.0.2.7")
        account = await create_account(caller, name="Alder")
        async with transaction():
            for number in range(1, size):
                await _record(caller, account.id, number)
        keyring = await make_signing_key(nobody, KeyFile(settings.keys_path, settings.key_sealing))
        chain_id = str(account.id)
        events, (head,) = await _all_events(chain_id), await read_heads(chain_id)
    return Made(url, data_dir, chain_id, events, head, keyring, _roots(events))


async def _record(caller: Caller, account_id: UUID, number: int) -> None:
    """Events of every kind, with and without what may be missing."""
    now = caller.now + timedelta(milliseconds=number)
    somebody = replace(caller, now=now, source_ip=[None, "192.0.2.7", "2001:db8::7"][number % 3])
    subject = (Kind.CREDENTIAL, new_id(now)) if number % 4 else None
    types = list(EventType)
    if number % 5 == 0:
        somebody = replace(somebody, principal=None)
    summary = f"Credential “ci-{number}” was seen, =1+1 and é"
    await record(somebody, types[number % len(types)], summary, account_id=account_id, subject=subject)


async def _all_events(chain_id: str) -> list[EventRow]:
    events = list[EventRow]()
    while page := await read_events(chain_id, (events[-1].sequence, events[-1].id) if events else None):
        events += page
    return events


def _roots(events: Sequence[EventRow]) -> list[bytes]:
    tree = MerkleTree()
    roots = [tree.root()]
    for event in events:
        tree.append(bytes.fromhex(event.hash))
        roots.append(tree.root())
    return roots


class SqliteDatabase:
    def __init__(self, url: str) -> None:
        self._path = url.removeprefix("sqlite://")
        with closing(sqlite3.connect(self._path)) as connection, connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'audit_%'")
            for (name,) in names.fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            connection.execute("DROP INDEX audit_events_sequence")

    def put(self, chain_id: str, events: Sequence[EventRow], head: HeadRow | None) -> None:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute("DELETE FROM audit_events WHERE chain_id = ?", [chain_id])
            connection.execute("DELETE FROM audit_chains WHERE id = ?", [chain_id])
            marks = ", ".join("?" * len(_COLUMNS))
            rows = [(*_with(event, event.occurred_at.replace("T", " ")), chain_id) for event in events]
            connection.executemany(f"INSERT INTO audit_events ({', '.join(_COLUMNS)}) VALUES ({marks})", rows)
            if head is not None:
                connection.execute("INSERT INTO audit_chains VALUES (?, ?, ?)", head)

    def execute(self, statement: str) -> None:
        """What only SQLite lets be put into a column."""
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute(statement)


class PostgresDatabase:
    def __init__(self, url: str) -> None:
        self._url = url
        asyncio.run(self._let_go())

    def put(self, chain_id: str, events: Sequence[EventRow], head: HeadRow | None) -> None:
        asyncio.run(self._put(chain_id, events, head))

    async def _let_go(self) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute("DROP INDEX audit_events_sequence")
            for column in ("sequence", "hash"):
                await connection.execute(f"ALTER TABLE audit_events DROP CONSTRAINT audit_events_{column}_check")
        finally:
            await connection.close()

    async def _put(self, chain_id: str, events: Sequence[EventRow], head: HeadRow | None) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            async with connection.transaction():
                # Neither triggers nor foreign keys.
                await connection.execute("SET LOCAL session_replication_role = replica")
                await connection.execute("DELETE FROM audit_events WHERE chain_id = $1", chain_id)
                await connection.execute("DELETE FROM audit_chains WHERE id = $1", chain_id)
                rows = [(*_with(event, datetime.fromisoformat(event.occurred_at)), chain_id) for event in events]
                await connection.copy_records_to_table("audit_events", records=rows, columns=_COLUMNS)
                if head is not None:
                    await connection.execute("INSERT INTO audit_chains VALUES ($1, $2, $3)", *head)
        finally:
            await connection.close()


def _with(event: EventRow, occurred_at: Any) -> Sequence[Any]:
    return event._replace(occurred_at=occurred_at)
