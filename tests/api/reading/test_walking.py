"""Whoever walks through a list sees each of its rows once and in order, and at every step where they are."""

from datetime import datetime, timedelta
from itertools import cycle, islice
from typing import Any

import pytest

from models.ids import Kind
from models.instants import LONG_AGO, NEVER
from tests.plugins.play import Theatre
from tests.support import bulk
from tests.support.lists import Listing, Page
from tests.support.rows import row_id
from tests.support.server import START
from tests.support.world import Play

DAY = timedelta(days=1)
MILLISECOND = timedelta(milliseconds=1)
# In the order that they should come in: that of their bytes.
NAMES = ["-", "Zoe", "Zoe", "Zoë", "_", "a", "a", "a b", "ab", "zoe", "Éa", "ß", "éa", "日本", "\N{GRINNING FACE}"]
CREDENTIAL_NAMES = ["0", "01", "1", "10", "9", "_", "__", "_a", "a", "a0", "a_b", "aa", "ab", "b", "z", "zz"]
ENDS = [START + DAY, START + DAY, START + DAY + MILLISECOND, NEVER, NEVER, START + 2 * DAY]
USES = [LONG_AGO, LONG_AGO, START, START + MILLISECOND, START]

KINDS = {
    "accounts": Kind.ACCOUNT,
    "users": Kind.USER,
    "identities": Kind.IDENTITY,
    "services": Kind.SERVICE,
    "credentials": Kind.CREDENTIAL,
    "auditEvents": Kind.AUDIT_EVENT,
}
ORDER_FIELDS = {
    "identities": ["CREATED_AT", "NAME"],
    "services": ["CREATED_AT", "NAME", "EXPIRES_AT"],
    "credentials": ["CREATED_AT", "NAME", "EXPIRES_AT", "LAST_USED_AT"],
}
ORDERED = [
    (field, order_field, direction)
    for field, order_fields in ORDER_FIELDS.items()
    for order_field in order_fields
    for direction in ("ASC", "DESC")
]


@pytest.fixture(scope="module")
def full(theatre: Theatre) -> Play:
    """Rows enough for several pages in every list, with ties in every column."""
    play = theatre.shared()
    bulk.accounts(play, bulk.times(9))
    for account, shift in ((play.alder, 0), (play.birch, 1)):
        bulk.users(play, account, bulk.times(8))
        named: list[dict[str, Any]] = [{"name": name} for name in reversed(NAMES)]
        identities = bulk.identities(play, account, named)
        services = bulk.services(
            play, account, [{**row, "expires_at": end} for row, end in zip(named, cycle(ENDS), strict=False)]
        )
        bulk.links(play, [account.services["certificates"]], bulk.global_ids(Kind.IDENTITY, identities))
        bulk.links(play, bulk.global_ids(Kind.SERVICE, services), [account.identities["active"]])
        bulk.credentials(
            play,
            account,
            [
                {"name": name, "expires_at": end, "last_used_at": used}
                for name, end, used in zip(
                    reversed(CREDENTIAL_NAMES),
                    islice(cycle(ENDS), shift, None),
                    islice(cycle(USES), shift, None),
                    strict=False,
                )
            ],
        )
        bulk.credentials(play, account, [{"name": "_", "revoked_at": START, "revocation_reason": "SUPERSEDED"}] * 2)
    return play


def expected(play: Play, field: str, condition: str = "", column: str = "id", direction: str = "ASC") -> list[str]:
    """The ids of a list as the database has them, put into order here."""
    table = "audit_events" if field == "auditEvents" else field
    where = f" WHERE {condition}" if condition else ""
    rows = play.rows.execute(f"SELECT {column}, id FROM {table}{where}")
    in_order = sorted(rows, key=lambda row: (row[0], str(row[1])), reverse=direction == "DESC")
    return [_global(KINDS[field], id_) for _, id_ in in_order]


def _global(kind: Kind, id_: object) -> str:
    return f"{kind}_{str(id_).replace('-', '')}"


def column_of(order_field: str) -> str:
    return "id" if order_field == "CREATED_AT" else order_field.lower()


def check_walks(listing: Listing, wanted: list[str], size: int = 7) -> None:
    assert len(wanted) > size, "a walk of one page shows little"
    check_walk(list(listing.forward(size)), wanted, size)
    backward = list(listing.backward(size))
    assert len(backward[-1].ids) == (len(wanted) - 1) % size + 1
    check_walk(backward[::-1], wanted, size)


def check_walk(pages: list[Page], wanted: list[str], size: int) -> None:
    """Pages in the order of the list, however they were come by."""
    assert [id_ for page in pages for id_ in page.ids] == wanted
    assert sorted(len(page.ids) for page in pages)[1:] == [size] * (len(pages) - 1)
    assert {page.total for page in pages} == {len(wanted)}
    assert [page.has_previous for page in pages] == [False] + [True] * (len(pages) - 1)
    assert [page.has_next for page in pages] == [True] * (len(pages) - 1) + [False]
    for page in pages:
        assert (page.start, page.end) == (page.cursors[0], page.cursors[-1])
    cursors = [cursor for page in pages for cursor in page.cursors]
    assert len(set(cursors)) == len(cursors)


@pytest.mark.parametrize("field", [field for field in KINDS if field != "auditEvents"])
def test_an_operator_walks_through_every_account_from_the_oldest(full: Play, field: str) -> None:
    condition = "revoked_at IS NULL" if field == "credentials" else ""
    check_walks(Listing(full.operator, field), expected(full, field, condition))


def test_an_administrator_walks_through_tokens_and_endpoints(full: Play) -> None:
    token = {"name": "edge", "expiresAt": full.clock.in_(days=1)}
    tokens = [full.administrator.do("createGatewayToken", "tokenId", **token)["tokenId"] for _ in range(5)]
    check_walks(Listing(full.administrator, "accessTokens"), tokens, size=2)
    endpoint = {"url": "https://receiver.example/", "eventTypes": ["CREDENTIAL_REVOKED"]}
    endpoints = [full.administrator.do("createWebhookEndpoint", "endpoint { id }", **endpoint) for _ in range(5)]
    check_walks(Listing(full.administrator, "webhookEndpoints"), [each["endpoint"]["id"] for each in endpoints], size=2)


def test_an_administrator_walks_through_what_happened_to_a_credential(full: Play) -> None:
    credential = Listing(full.member, "credentials").page(first=1).ids[0]
    for _ in range(5):
        full.member.do("revealApiKey", "apiKey", credentialId=credential)
    about_it = Listing(full.administrator, "auditEvents").having(subjectId=credential).ids()
    assert len(about_it) == 5
    check_walks(Listing(full.administrator, "auditEvents", credential), about_it, size=2)


@pytest.mark.parametrize("field", ["users", "identities", "services", "credentials"])
def test_an_administrator_walks_through_their_account_from_the_oldest(full: Play, field: str) -> None:
    condition = f"account_id = '{row_id(full.alder.id)}'"
    if field == "credentials":
        condition += " AND revoked_at IS NULL"
    check_walks(Listing(full.administrator, field), expected(full, field, condition))


@pytest.mark.parametrize(("field", "order_field", "direction"), ORDERED)
def test_an_operator_walks_through_every_account_in_any_order(
    full: Play, field: str, order_field: str, direction: str
) -> None:
    condition = "revoked_at IS NULL" if field == "credentials" else ""
    listing = Listing(full.operator, field).by(order_field, direction)
    check_walks(listing, expected(full, field, condition, column_of(order_field), direction))


@pytest.mark.parametrize(("field", "order_field", "direction"), ORDERED)
def test_a_member_walks_through_what_is_theirs_in_any_order(
    full: Play, field: str, order_field: str, direction: str
) -> None:
    condition = f"account_id = '{row_id(full.alder.id)}'"
    if field == "credentials":
        condition = f"owner_id = '{row_id(full.alder.users['member'])}' AND revoked_at IS NULL"
    listing = Listing(full.member, field).by(order_field, direction)
    check_walks(listing, expected(full, field, condition, column_of(order_field), direction))


def test_names_come_in_the_order_of_their_bytes(full: Play) -> None:
    listing = Listing(full.operator, "identities").having(accountId=full.birch.id).by("NAME")
    answer = listing.answer("nodes { name }", first=100)
    names = [node["name"] for node in answer["data"]["identities"]["nodes"]]
    assert names == sorted([*NAMES, "birch active", "birch lone", "birch other", "birch pending"])


def instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def test_what_has_no_end_ends_last(full: Play) -> None:
    ascending = Listing(full.member, "credentials").by("EXPIRES_AT").answer("nodes { expiresAt }", first=100)
    ends = [instant(node["expiresAt"]) for node in ascending["data"]["credentials"]["nodes"]]
    real = [end for end in ends if end is not None]
    assert ends == [*real, *[None] * (len(ends) - len(real))]
    assert real == sorted(real)
    assert 0 < len(real) < len(ends)


def test_what_was_never_used_was_used_first(full: Play) -> None:
    ascending = Listing(full.member, "credentials").by("LAST_USED_AT").answer("nodes { lastUsedAt }", first=100)
    uses = [instant(node["lastUsedAt"]) for node in ascending["data"]["credentials"]["nodes"]]
    real = [use for use in uses if use is not None]
    assert uses == [*[None] * (len(uses) - len(real)), *real]
    assert real == sorted(real)
    assert 0 < len(real) < len(uses)


NESTED = {
    "an identity's services": (
        lambda play: (play.alder.identities["active"], "services"),
        "id IN (SELECT service_id FROM service_identities WHERE identity_id = '{}')",
    ),
    "an identity's credentials": (
        lambda play: (play.alder.identities["active"], "credentials"),
        "identity_id = '{}' AND revoked_at IS NULL",
    ),
    "a service's identities": (
        lambda play: (play.alder.services["certificates"], "identities"),
        "id IN (SELECT identity_id FROM service_identities WHERE service_id = '{}')",
    ),
    "a service's credentials": (
        lambda play: (play.alder.services["certificates"], "credentials"),
        "service_id = '{}' AND revoked_at IS NULL",
    ),
}


@pytest.mark.parametrize("viewer", ["operator", "administrator", "member"])
@pytest.mark.parametrize(("of", "condition"), NESTED.values(), ids=NESTED)
def test_a_list_inside_something_is_walked_through_alike(full: Play, viewer: str, of: Any, condition: str) -> None:
    inside, field = of(full)
    listing = Listing(getattr(full, viewer), field, inside)
    check_walks(listing, expected(full, field, condition.format(row_id(inside))))


def test_a_walk_in_steps_that_fit_exactly_ends_without_an_empty_page(full: Play) -> None:
    listing = Listing(full.member, "credentials")
    number = listing.page(first=1).total
    assert number == len(CREDENTIAL_NAMES) == 16
    for size in (1, 4, 16):
        wanted = listing.ids()
        check_walk(list(listing.forward(size)), wanted, size)
        check_walk(list(listing.backward(size))[::-1], wanted, size)
