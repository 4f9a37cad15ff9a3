"""Every filter of every list, alone and with each other: what fits all of it, and nothing else, is there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations, product
from typing import Any

import pytest

from models.ids import Kind
from models.instants import LONG_AGO, NEVER
from tests.plugins.play import Theatre
from tests.support import bulk
from tests.support.lists import Listing
from tests.support.rows import row_id
from tests.support.server import START, Client
from tests.support.world import AccountWorld, Play

DAY, MILLISECOND = timedelta(days=1), timedelta(milliseconds=1)
Row = dict[str, Any]
Fits = Callable[[Row], bool]


@dataclass(frozen=True)
class Choice:
    """A value for a field of a filter, and which rows fit it."""

    field: str
    value: Any
    fits: Fits


def rows_of(play: Play, table: str, *columns: str) -> list[Row]:
    """Rows as the database has them, ids as text and instants as instants on either engine."""
    found = play.rows.execute(f"SELECT {', '.join(columns)} FROM {table}")
    return [{name: _plain(name, value) for name, value in zip(columns, row, strict=True)} for row in found]


def _plain(column: str, value: Any) -> Any:
    if value is not None and column.endswith(("_at", "_until")):
        return value if isinstance(value, datetime) else datetime.fromisoformat(value)
    if value is not None and (column == "id" or column.endswith("_id")) and column != "subject_id":
        return str(value)
    return value


def combined(choices: list[Choice]) -> Iterator[tuple[Choice, ...]]:
    """None of them, each alone, each two fields together by two values of each, and all fields at once."""
    yield ()
    yield from ((choice,) for choice in choices)
    by_field: dict[str, list[Choice]] = {}
    for choice in choices:
        by_field.setdefault(choice.field, []).append(choice)
    for one, other in combinations(by_field.values(), 2):
        yield from product(one[:2], other[:2])
    yield tuple(some[0] for some in by_field.values())


def check_filters(client: Client, field: str, kind: Kind, rows: list[Row], choices: list[Choice]) -> None:
    """The rows must be those that the client sees without a filter, as far as no choice says otherwise."""
    for choice in choices:
        fitting = sum(choice.fits(row) for row in rows)
        assert fitting > 0, f"{choice.field}: {choice.value} leaves nothing, so nothing can be missed"
    for some in combined(choices):
        wanted = {f"{kind}_{row['id'].replace('-', '')}" for row in rows if all(choice.fits(row) for choice in some)}
        filter_ = {choice.field: choice.value for choice in some}
        page = Listing(client, field).having(**filter_).page(first=100)
        assert set(page.ids) == wanted, filter_
        assert page.total == len(page.ids) == len(wanted), filter_


def in_account(account: AccountWorld) -> Choice:
    return Choice("accountId", account.id, lambda row: row["account_id"] == row_id(account.id))


def text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


@pytest.fixture(scope="module")
def full(theatre: Theatre) -> Play:
    play = theatre.shared()
    for account in (play.alder, play.birch):
        bulk.users(
            play,
            account,
            [
                {"email": f"50%_off@{account.id[-4:]}.example", "role": "AUDITOR", "api_access": False},
                {"email": f"500off@{account.id[-4:]}.example", "role": "ADMINISTRATOR", "api_access": False},
                {"email": f"back\\slash@{account.id[-4:]}.example"},
            ],
        )
        bulk.identities(
            play,
            account,
            [
                {"name": "A_b 10% École", "decision": "ACTIVE", "valid_until": START + MILLISECOND},
                {"name": "axb 100 école", "decision": "ACTIVE", "valid_until": START},
                {"name": "a\\b", "decision": "SUSPENDED", "valid_until": START},
                {"name": "AXB", "decision": "SUSPENDED"},
                {"name": "%", "decision": "REJECTED"},
            ],
        )
        bulk.services(
            play,
            account,
            [
                {"name": "A_b 10% École", "starts_at": START + MILLISECOND},
                {"name": "axb 100 école", "starts_at": START - DAY, "expires_at": START},
                {"name": "a\\b", "starts_at": START - DAY, "expires_at": START + MILLISECOND},
                {"name": "AXB", "suspended_at": START, "starts_at": START - DAY, "expires_at": START},
                {"name": "%", "suspended_at": START, "cancelled_at": START},
            ],
        )
        elsewhere = {
            "service_id": account.services["timestamps"],
            "identity_id": account.identities["other"],
            "owner_id": account.users["member_without_access"],
        }
        revoked = {"revoked_at": START, "revocation_reason": "SUPERSEDED"}
        bulk.credentials(
            play,
            account,
            [
                {"name": "a_b", "expires_at": START, "last_used_at": START - MILLISECOND},
                {"name": "axb", "expires_at": START + MILLISECOND, "last_used_at": START, **elsewhere},
                {"name": "ab", "expires_at": START - DAY, "last_used_at": LONG_AGO},
                {"name": "ci", "expires_at": NEVER, "last_used_at": START, **elsewhere},
                {"name": "cd", "expires_at": START + DAY, "identity_id": account.identities["other"]},
                {"name": "ax", "expires_at": START - DAY, "service_id": account.services["timestamps"]},
            ],
        )
        bulk.credentials(
            play,
            account,
            [
                {"name": "a_b", "expires_at": START, **revoked},
                {"name": "axb", "last_used_at": START, **revoked, **elsewhere},
            ],
        )
        member = row_id(account.users["member"])
        bulk.audit_events(
            play,
            account,
            [
                {"type": "credential.viewed", "actor_id": member, "subject_id": account.services["certificates"]},
                {"type": "credential.revoked", "actor_id": member, "occurred_at": START - MILLISECOND},
                {"type": "login.denied", "occurred_at": START + MILLISECOND, "subject_id": account.users["member"]},
                {"type": "login.denied", "occurred_at": START + DAY, "subject_id": account.id, "actor_id": member},
            ],
        )
    return play


def test_users_by_every_filter(full: Play) -> None:
    rows = rows_of(full, "users", "id", "account_id", "email", "role", "api_access")
    choices = [
        in_account(full.alder),
        Choice("roles", ["MEMBER"], lambda row: row["role"] == "MEMBER"),
        Choice("roles", ["OPERATOR", "AUDITOR"], lambda row: row["role"] in {"OPERATOR", "AUDITOR"}),
        Choice("apiAccess", True, lambda row: bool(row["api_access"])),
        Choice("apiAccess", False, lambda row: not row["api_access"]),
        Choice("emailContains", "%", lambda row: "%" in row["email"]),
        Choice("emailContains", "_", lambda row: "_" in row["email"]),
        Choice("emailContains", "\\", lambda row: "\\" in row["email"]),
        Choice("emailContains", "MEMBER@", lambda row: "member@" in row["email"]),
        Choice("emailContains", "", lambda row: True),
    ]
    check_filters(full.operator, "users", Kind.USER, rows, choices)
    of_alder = [row for row in rows if row["account_id"] == row_id(full.alder.id)]
    within = [choice for choice in choices if any(choice.fits(row) for row in of_alder)]
    check_filters(full.administrator, "users", Kind.USER, of_alder, within)


NAMES = ["_", "%", "\\", "a_b", "A_B", "10%", "axb", "École", "cole", " ", ""]


def named(value: str) -> Choice:
    """Case matters for what is not of A to Z."""
    folded = "".join(letter.lower() if letter.isascii() else letter for letter in value)

    def fits(row: Row) -> bool:
        return folded in "".join(letter.lower() if letter.isascii() else letter for letter in row["name"])

    return Choice("nameContains", value, fits)


def identity_status(row: Row) -> str:
    over = row["valid_until"] <= START
    return "EXPIRED" if over and row["decision"] in {"ACTIVE", "SUSPENDED"} else str(row["decision"])


def test_identities_by_every_filter(full: Play) -> None:
    rows = rows_of(full, "identities", "id", "account_id", "name", "decision", "valid_until")
    certificates = full.alder.services["certificates"]
    linked = {row_id(full.alder.identities[name]) for name in ("active", "other")}
    choices = [
        in_account(full.alder),
        *(named(name) for name in NAMES),
        Choice("statuses", ["ACTIVE"], lambda row: identity_status(row) == "ACTIVE"),
        Choice("statuses", ["EXPIRED"], lambda row: identity_status(row) == "EXPIRED"),
        Choice(
            "statuses",
            ["SUSPENDED", "REJECTED", "PENDING_VETTING"],
            lambda row: identity_status(row) in {"SUSPENDED", "REJECTED", "PENDING_VETTING"},
        ),
        Choice("serviceId", certificates, lambda row: row["id"] in linked),
    ]
    check_filters(full.operator, "identities", Kind.IDENTITY, rows, choices)
    of_alder = [row for row in rows if row["account_id"] == row_id(full.alder.id)]
    check_filters(full.member, "identities", Kind.IDENTITY, of_alder, choices)


def service_status(row: Row) -> str:
    if row["cancelled_at"] or row["suspended_at"]:
        return "CANCELLED" if row["cancelled_at"] else "SUSPENDED"
    if row["expires_at"] <= START:
        return "EXPIRED"
    return "SCHEDULED" if row["starts_at"] > START else "ACTIVE"


def test_services_by_every_filter(full: Play) -> None:
    dates = ("starts_at", "expires_at", "suspended_at", "cancelled_at")
    rows = rows_of(full, "services", "id", "account_id", "name", *dates)
    active = full.alder.identities["active"]
    linked = {row_id(id_) for id_ in full.alder.services.values()}
    choices = [
        in_account(full.alder),
        *(named(name) for name in NAMES),
        Choice("statuses", ["ACTIVE"], lambda row: service_status(row) == "ACTIVE"),
        Choice("statuses", ["SCHEDULED"], lambda row: service_status(row) == "SCHEDULED"),
        Choice("statuses", ["EXPIRED", "SUSPENDED"], lambda row: service_status(row) in {"EXPIRED", "SUSPENDED"}),
        Choice("statuses", ["CANCELLED"], lambda row: service_status(row) == "CANCELLED"),
        Choice("identityId", active, lambda row: row["id"] in linked),
    ]
    check_filters(full.operator, "services", Kind.SERVICE, rows, choices)
    of_alder = [row for row in rows if row["account_id"] == row_id(full.alder.id)]
    check_filters(full.member, "services", Kind.SERVICE, of_alder, choices)


def credential_status(row: Row) -> str:
    if row["revoked_at"]:
        return "REVOKED"
    return "EXPIRED" if row["expires_at"] <= START else "ACTIVE"


CREDENTIAL_COLUMNS = (
    "id",
    "account_id",
    "name",
    "owner_id",
    "service_id",
    "identity_id",
    "expires_at",
    "revoked_at",
    "last_used_at",
)


def credential_choices(account: AccountWorld) -> list[Choice]:
    member, timestamps, other = account.users["member"], account.services["timestamps"], account.identities["other"]
    return [
        in_account(account),
        Choice("ownerId", member, lambda row: row["owner_id"] == row_id(member)),
        Choice("serviceId", timestamps, lambda row: row["service_id"] == row_id(timestamps)),
        Choice("identityId", other, lambda row: row["identity_id"] == row_id(other)),
        Choice("nameContains", "_", lambda row: "_" in row["name"]),
        Choice("nameContains", "a_b", lambda row: "a_b" in row["name"]),
        Choice("nameContains", "CI", lambda row: "ci" in row["name"]),
        Choice("nameContains", "", lambda row: True),
        Choice("expiresBefore", text(START), lambda row: row["expires_at"] < START),
        Choice("expiresBefore", text(START + MILLISECOND), lambda row: row["expires_at"] <= START),
        Choice("expiresBefore", "9998-12-31T23:59:59Z", lambda row: row["expires_at"] < NEVER),
        Choice("unusedSince", text(START), lambda row: row["last_used_at"] < START),
        Choice("unusedSince", text(START + DAY), lambda row: row["last_used_at"] < START + DAY),
    ]


def test_credentials_by_every_filter(full: Play) -> None:
    rows = rows_of(full, "credentials", *CREDENTIAL_COLUMNS)
    choices = credential_choices(full.alder)
    statuses = [
        Choice("statuses", ["ACTIVE"], lambda row: credential_status(row) == "ACTIVE"),
        Choice("statuses", ["EXPIRED"], lambda row: credential_status(row) == "EXPIRED"),
        Choice("statuses", ["REVOKED"], lambda row: credential_status(row) == "REVOKED"),
        Choice("statuses", ["ACTIVE", "RETIRING"], lambda row: credential_status(row) == "ACTIVE"),
        Choice("statuses", ["EXPIRED", "REVOKED"], lambda row: credential_status(row) != "ACTIVE"),
    ]
    # Without a word about statuses the revoked ones are left out; so each of these is asked with and without one.
    living = [row for row in rows if not row["revoked_at"]]
    check_filters(full.operator, "credentials", Kind.CREDENTIAL, living, choices)
    for status in statuses:
        with_status = [row for row in rows if status.fits(row)]
        filters = [choice for choice in choices if any(choice.fits(row) for row in with_status)]
        for choice in filters:
            wanted = {row["id"] for row in with_status if choice.fits(row)}
            filter_ = {status.field: status.value, choice.field: choice.value}
            found = Listing(full.operator, "credentials").having(**filter_).page(first=100)
            assert {row_id(id_) for id_ in found.ids} == wanted, filter_

    of_member = [row for row in living if row["owner_id"] == row_id(full.alder.users["member"])]
    within = [choice for choice in choices if any(choice.fits(row) for row in of_member)]
    check_filters(full.member, "credentials", Kind.CREDENTIAL, of_member, within)


def test_revoked_credentials_are_left_out_unless_they_are_asked_for(full: Play) -> None:
    listing = Listing(full.member, "credentials")
    of_member = f"owner_id = '{row_id(full.alder.users['member'])}'"
    ((all_, revoked),) = full.rows.execute(f"SELECT count(*), count(revoked_at) FROM credentials WHERE {of_member}")
    assert 0 < revoked < all_
    assert listing.page().total == listing.having().page().total == all_ - revoked
    assert listing.having(statuses=None).page().total == all_ - revoked
    assert listing.having(statuses=["REVOKED"]).page().total == revoked
    assert listing.having(statuses=["ACTIVE", "RETIRING", "EXPIRED", "REVOKED"]).page().total == all_


def test_audit_events_by_every_filter(full: Play) -> None:
    columns = ("id", "chain_id", "type", "occurred_at", "actor_id", "subject_id")
    rows = [{**row, "account_id": row["chain_id"]} for row in rows_of(full, "audit_events", *columns)]
    member, certificates = full.alder.users["member"], full.alder.services["certificates"]
    choices = [
        in_account(full.alder),
        Choice("types", ["login.denied"], lambda row: row["type"] == "login.denied"),
        Choice(
            "types",
            ["credential.viewed", "credential.revoked", "nothing.of_the_sort"],
            lambda row: row["type"] in {"credential.viewed", "credential.revoked"},
        ),
        Choice("actorId", member, lambda row: row["actor_id"] == row_id(member)),
        Choice("subjectId", certificates, lambda row: row["subject_id"] == certificates),
        Choice("subjectId", full.alder.id, lambda row: row["subject_id"] == full.alder.id),
        Choice("after", text(START), lambda row: row["occurred_at"] >= START),
        Choice("after", text(START + MILLISECOND), lambda row: row["occurred_at"] > START),
        Choice("before", text(START), lambda row: row["occurred_at"] < START),
        Choice("before", text(START + MILLISECOND), lambda row: row["occurred_at"] <= START),
    ]
    check_filters(full.operator, "auditEvents", Kind.AUDIT_EVENT, rows, choices)
    of_alder = [row for row in rows if row["account_id"] == row_id(full.alder.id)]
    check_filters(full.auditor, "auditEvents", Kind.AUDIT_EVENT, of_alder, choices)


def test_consecutive_spans_of_the_log_make_up_the_log(full: Play) -> None:
    """From the one instant on, and before the other: an event at the boundary is in one span."""
    log = Listing(full.auditor, "auditEvents")
    before, after = log.having(before=text(START)), log.having(after=text(START))
    assert sorted(before.ids() + after.ids()) == sorted(log.ids())
    assert log.having(after=text(START), before=text(START)).ids() == []


LISTS_OF_VALUES: dict[str, dict[str, list[str]]] = {
    "users": {"roles": []},
    "identities": {"statuses": []},
    "services": {"statuses": []},
    "credentials": {"statuses": []},
    "auditEvents": {"types": []},
}


@pytest.mark.parametrize("field", LISTS_OF_VALUES)
def test_none_of_the_values_is_none_of_the_rows(full: Play, field: str) -> None:
    assert Listing(full.operator, field).having(**LISTS_OF_VALUES[field]).page().total == 0


@pytest.mark.parametrize(
    ("field", "filter_"),
    [
        ("users", {"roles": ["MEMBER"]}),
        ("identities", {"statuses": ["ACTIVE"]}),
        ("services", {"statuses": ["ACTIVE"]}),
        ("credentials", {"statuses": ["ACTIVE"]}),
        ("auditEvents", {"types": ["login.denied"]}),
    ],
)
def test_a_value_said_ten_thousand_times_is_that_value(full: Play, field: str, filter_: dict[str, list[str]]) -> None:
    once = Listing(full.operator, field).having(**filter_)
    often = Listing(full.operator, field).having(**{name: value * 10_000 for name, value in filter_.items()})
    assert often.page() == once.page()


def test_a_role_that_no_user_has_is_nobodys(full: Play) -> None:
    assert Listing(full.operator, "users").having(roles=["GATEWAY"]).ids() == []
    assert Listing(full.operator, "credentials").having(statuses=["RETIRING"]).ids() == []


def test_more_types_of_events_than_there_are_are_refused(full: Play) -> None:
    types = [f"type.{number}" for number in range(101)]
    code, message = Listing(full.operator, "auditEvents").having(types=types).refusal()
    assert (code, message) == ("BAD_USER_INPUT", "At most 100 types at once, please.")
    assert Listing(full.operator, "auditEvents").having(types=types[:100]).page().total == 0


@pytest.mark.parametrize("searched", ["\0", "a\0", "a" * 255, "%" * 100_000, "\\" * 60_000, "日本" * 100_000])
def test_a_text_that_no_row_can_have_is_found_nowhere(full: Play, searched: str) -> None:
    for field, name in [
        ("users", "emailContains"),
        ("identities", "nameContains"),
        ("services", "nameContains"),
        ("credentials", "nameContains"),
    ]:
        assert Listing(full.operator, field).having(**{name: searched}).page().total == 0
    assert Listing(full.operator, "auditEvents").having(types=[searched]).page().total == 0


def test_a_filter_that_is_null_or_empty_leaves_everything(full: Play) -> None:
    for field in LISTS_OF_VALUES:
        whole = Listing(full.operator, field).page()
        assert Listing(full.operator, field, arguments={"filter": None}).page() == whole
        assert Listing(full.operator, field).having().page() == whole
    whole = Listing(full.operator, "credentials").page()
    nulls = dict.fromkeys(["accountId", "statuses", "identityId", "serviceId", "ownerId", "nameContains"])
    assert Listing(full.operator, "credentials").having(**nulls, expiresBefore=None, unusedSince=None).page() == whole


@pytest.mark.parametrize("order", [("NAME", "ASC"), ("NAME", "DESC"), ("EXPIRES_AT", "ASC"), ("CREATED_AT", "DESC")])
def test_what_a_filter_leaves_is_walked_through_like_any_list(full: Play, order: tuple[str, str]) -> None:
    identity = full.alder.identities["active"]
    for listing in (
        Listing(full.operator, "services").having(nameContains="a", statuses=["ACTIVE", "EXPIRED"]),
        Listing(full.member, "services").having(identityId=identity, nameContains="A"),
        Listing(full.operator, "credentials").having(nameContains="a", statuses=["REVOKED", "EXPIRED"]),
    ):
        ordered = listing.by(*order)
        whole = ordered.page(first=100).ids
        assert len(whole) > 1
        assert [id_ for page in ordered.forward(1) for id_ in page.ids] == whole
        assert [id_ for page in ordered.backward(1) for id_ in page.ids] == whole[::-1]
