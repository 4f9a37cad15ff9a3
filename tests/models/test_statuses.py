"""A status follows from a row and an instant: by one rule, whether Python asks or the database."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tortoise.models import Model

from models.account import Account
from models.credential import Credential, CredentialStatus, RevocationReason
from models.database import connected
from models.identity import Identity, IdentityKind, IdentityStatus
from models.instants import NEVER
from models.service import Service, ServiceStatus
from tests.models.stocked import ACCOUNT, IDENTITY, KEY, SERVICE, USER, stock
from tests.models.strategies import around, instants
from tests.support.rows import Rows
from tests.support.server import START

AnyModel = TypeVar("AnyModel", Identity, Service, Credential)

# Each example asks of many rows at once, in the one database of its test. One that fails is not made smaller, which
# would take minutes.
in_batches = settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
BATCH = 60

JUST_BEFORE, JUST_AFTER = START - timedelta(milliseconds=1), START + timedelta(milliseconds=1)


def row_of(model: type[Model], **columns: Any) -> dict[str, Any]:
    """As it would be inserted; relations by id."""
    common = {"id": uuid4(), "account_id": ACCOUNT, "created_at": START}
    of_its_own: dict[type[Model], dict[str, Any]] = {
        Identity: {"name": "an identity", "kind": IdentityKind.DOMAIN},
        Service: {"name": "a service", "code": uuid4().hex},
        Credential: {
            "owner_id": USER,
            "service_id": SERVICE,
            "identity_id": IDENTITY,
            "name": uuid4().hex,
            "api_key": uuid4().hex,
            "secret_hash": "0" * 64,
            "hashing_key_id": KEY,
            "delivery_method": "VIEW_AND_COPY",
        },
    }
    return {**common, **of_its_own[model], **columns}


def ends(now: datetime) -> st.SearchStrategy[datetime]:
    return st.one_of(around(now), st.just(NEVER))


def identities(now: datetime) -> st.SearchStrategy[dict[str, Any]]:
    decisions = st.sampled_from([status for status in IdentityStatus if status is not IdentityStatus.EXPIRED])
    return st.fixed_dictionaries({"decision": decisions, "valid_until": ends(now)})


def services(now: datetime) -> st.SearchStrategy[dict[str, Any]]:
    spans = st.tuples(around(now), ends(now)).filter(lambda span: span[0] < span[1])
    decided = st.fixed_dictionaries({name: st.none() | instants() for name in ("suspended_at", "cancelled_at")})
    return st.tuples(spans, decided).map(
        lambda drawn: {"starts_at": drawn[0][0], "expires_at": drawn[0][1], **drawn[1]}
    )


def credentials(now: datetime) -> st.SearchStrategy[dict[str, Any]]:
    living = st.just({"revoked_at": None, "revocation_reason": None})
    revoked = st.fixed_dictionaries({"revoked_at": around(now), "revocation_reason": st.sampled_from(RevocationReason)})
    return st.tuples(ends(now), living | revoked).map(lambda drawn: {"expires_at": drawn[0], **drawn[1]})


def batch_of(
    columns: Callable[[datetime], st.SearchStrategy[dict[str, Any]]],
) -> st.SearchStrategy[tuple[datetime, list[dict[str, Any]]]]:
    """An instant, and rows that it may matter to."""
    return instants().flatmap(lambda now: st.tuples(st.just(now), st.lists(columns(now), min_size=10, max_size=BATCH)))


def check_agreement(
    url: str, model: type[AnyModel], statuses: type[StrEnum], now: datetime, batch: list[dict[str, Any]]
) -> None:
    """Of each row the database has the status, and only the one, that Python says it has."""

    async def ask() -> None:
        async with connected(url):
            rows = [model(**row_of(model, **columns)) for columns in batch]
            await model.bulk_create(rows)
            among = model.filter(id__in=[row.id for row in rows])
            by_python: set[tuple[Any, str]] = {(row.id, row.status(now)) for row in await among}
            by_database: set[tuple[Any, str]] = {
                (id_, status)
                for status in statuses
                for id_ in await among.filter(model.having_status(status, now)).values_list("id", flat=True)  # type: ignore[arg-type]
            }
            assert by_database == by_python

    asyncio.run(ask())


@pytest.fixture
def stocked_url(database_url: str) -> str:
    stock(Rows(database_url))
    return database_url


@in_batches
@given(batch_of(identities))
def test_the_database_tells_an_identitys_status_as_python_does(
    stocked_url: str, batch: tuple[datetime, list[dict[str, Any]]]
) -> None:
    check_agreement(stocked_url, Identity, IdentityStatus, *batch)


@in_batches
@given(batch_of(services))
def test_the_database_tells_a_services_status_as_python_does(
    stocked_url: str, batch: tuple[datetime, list[dict[str, Any]]]
) -> None:
    check_agreement(stocked_url, Service, ServiceStatus, *batch)


@in_batches
@given(batch_of(credentials))
def test_the_database_tells_a_credentials_status_as_python_does(
    stocked_url: str, batch: tuple[datetime, list[dict[str, Any]]]
) -> None:
    check_agreement(stocked_url, Credential, CredentialStatus, *batch)


# What the rules are, at the instants where they tip: the status at START of a row with these columns.
IDENTITY_RULES = [
    ({"decision": "ACTIVE", "valid_until": NEVER}, "ACTIVE"),
    ({"decision": "ACTIVE", "valid_until": JUST_AFTER}, "ACTIVE"),
    ({"decision": "ACTIVE", "valid_until": START}, "EXPIRED"),
    ({"decision": "SUSPENDED", "valid_until": JUST_AFTER}, "SUSPENDED"),
    ({"decision": "SUSPENDED", "valid_until": START}, "EXPIRED"),
    ({"decision": "PENDING_VETTING", "valid_until": JUST_BEFORE}, "PENDING_VETTING"),
    ({"decision": "REJECTED", "valid_until": JUST_BEFORE}, "REJECTED"),
]
SERVICE_RULES = [
    ({"starts_at": START, "expires_at": NEVER}, "ACTIVE"),
    ({"starts_at": JUST_AFTER, "expires_at": NEVER}, "SCHEDULED"),
    ({"starts_at": JUST_BEFORE, "expires_at": JUST_AFTER}, "ACTIVE"),
    ({"starts_at": JUST_BEFORE, "expires_at": START}, "EXPIRED"),
    ({"starts_at": START, "expires_at": NEVER, "suspended_at": START}, "SUSPENDED"),
    ({"starts_at": JUST_BEFORE, "expires_at": START, "suspended_at": START}, "SUSPENDED"),
    ({"starts_at": JUST_AFTER, "expires_at": NEVER, "suspended_at": START}, "SUSPENDED"),
    ({"starts_at": JUST_BEFORE, "expires_at": START, "cancelled_at": START}, "CANCELLED"),
    ({"starts_at": START, "expires_at": NEVER, "suspended_at": START, "cancelled_at": START}, "CANCELLED"),
]
CREDENTIAL_RULES = [
    ({"expires_at": NEVER}, "ACTIVE"),
    ({"expires_at": JUST_AFTER}, "ACTIVE"),
    ({"expires_at": START}, "EXPIRED"),
    ({"expires_at": JUST_BEFORE, "revoked_at": START, "revocation_reason": "SUPERSEDED"}, "REVOKED"),
    ({"expires_at": NEVER, "revoked_at": START, "revocation_reason": "SUPERSEDED"}, "REVOKED"),
]


@pytest.mark.parametrize(
    ("model", "columns", "status"),
    [
        *((Identity, *rule) for rule in IDENTITY_RULES),
        *((Service, *rule) for rule in SERVICE_RULES),
        *((Credential, *rule) for rule in CREDENTIAL_RULES),
    ],
)
def test_a_status_tips_at_its_instant_and_not_a_millisecond_later(
    database_url: str, model: type[AnyModel], columns: dict[str, Any], status: str
) -> None:
    async def ask() -> str:
        async with connected(database_url):
            return model(**row_of(model, **columns)).status(START)

    assert asyncio.run(ask()) == status


def test_an_account_allows_the_deliveries_that_it_says() -> None:
    both = Account(view_and_copy_allowed=True, encrypted_file_allowed=True)
    neither = Account(view_and_copy_allowed=False, encrypted_file_allowed=False)
    assert (both.allowed_delivery_methods, neither.allowed_delivery_methods) == (
        ["VIEW_AND_COPY", "ENCRYPTED_FILE"],
        [],
    )
