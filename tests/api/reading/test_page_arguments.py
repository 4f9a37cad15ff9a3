"""What can be asked of a page, and how what can't be is refused: with a code and a sentence, never as a fault."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from models.ids import Kind
from tests.plugins.play import Theatre
from tests.support import bulk
from tests.support.lists import TYPES, Listing
from tests.support.rows import row_id
from tests.support.world import Play

NOT_OURS = "This is not a cursor of ours: pass back one that a page of this list gave."
OF_ANOTHER_ORDER = "This cursor belongs to another order of the list: start again from the first page."


@pytest.fixture(scope="module")
def full(theatre: Theatre) -> Play:
    """Lists of more rows than a page has when nobody says how many."""
    play = theatre.shared()
    bulk.users(play, play.alder, bulk.times(51))
    services = bulk.services(play, play.alder, bulk.times(51))
    identities = bulk.identities(play, play.alder, bulk.times(51))
    bulk.links(play, [play.alder.services["certificates"]], bulk.global_ids(Kind.IDENTITY, identities))
    bulk.links(play, bulk.global_ids(Kind.SERVICE, services), [play.alder.identities["active"]])
    bulk.credentials(play, play.alder, bulk.times(101))
    bulk.accounts(play, bulk.times(51))
    bulk.audit_events(play, play.alder, bulk.times(51))
    return play


def lists(play: Play) -> dict[str, Listing]:
    active, certificates = play.alder.identities["active"], play.alder.services["certificates"]
    return {
        **{field: Listing(play.operator, field) for field in TYPES},
        "identity.services": Listing(play.operator, "services", active),
        "identity.credentials": Listing(play.operator, "credentials", active),
        "service.identities": Listing(play.operator, "identities", certificates),
        "service.credentials": Listing(play.operator, "credentials", certificates),
    }


EVERY_LIST = [
    *TYPES,
    "identity.services",
    "identity.credentials",
    "service.identities",
    "service.credentials",
    "credential.auditEvents",
]


def every(play: Play, name: str) -> Listing:
    """One of the lists, by where it is."""
    if name == "credential.auditEvents":
        credential = Listing(play.member, "credentials").page(first=1).ids[0]
        return Listing(play.operator, "auditEvents", credential)
    return lists(play)[name]


@pytest.mark.parametrize("name", EVERY_LIST)
@pytest.mark.parametrize("argument", ["first", "last"])
@pytest.mark.parametrize("size", [-1, -(2**31), 101, 1000, 2**31 - 1])
def test_a_page_of_a_size_that_is_not_served_is_refused(full: Play, name: str, argument: str, size: int) -> None:
    wanted = ("BAD_USER_INPUT", f"{argument} must be between 0 and 100; ask for the rest page by page.")
    assert every(full, name).refusal(**{argument: size}) == wanted


@pytest.mark.parametrize("size", [2**31, 1.5, "10", True])
def test_a_size_that_is_no_whole_number_is_refused(full: Play, size: Any) -> None:
    code, message = Listing(full.member, "credentials").refusal(first=size)
    assert code == "BAD_USER_INPUT"
    assert message.startswith("Variable '$first' has invalid value: Int cannot represent")


@pytest.mark.parametrize("name", EVERY_LIST)
def test_both_ways_at_once_is_refused(full: Play, name: str) -> None:
    wanted = ("BAD_USER_INPUT", "Ask for first or for last, not for both.")
    assert every(full, name).refusal(first=1, last=1) == wanted
    assert every(full, name).refusal(first=0, last=0) == wanted


@pytest.mark.parametrize("name", TYPES)
def test_a_page_has_fifty_rows_where_nobody_says_how_many(full: Play, name: str) -> None:
    page = every(full, name).page()
    assert len(page.ids) == 50
    assert page.total > 50
    assert (page.has_previous, page.has_next) == (False, True)
    assert every(full, name).page(first=None, after=None, last=None, before=None) == page


def test_a_page_has_a_hundred_rows_at_most(full: Play) -> None:
    listing = Listing(full.member, "credentials")
    pages = list(listing.forward(100))
    assert [len(page.ids) for page in pages] == [100, 1]


def test_a_page_of_no_rows_tells_how_many_there_are(full: Play) -> None:
    listing = Listing(full.member, "credentials")
    forward, backward = listing.page(first=0), listing.page(last=0)
    for page in (forward, backward):
        assert (page.ids, page.start, page.end, page.total) == ([], None, None, 101)
    assert (forward.has_previous, forward.has_next) == (False, True)
    assert (backward.has_previous, backward.has_next) == (True, False)


@pytest.mark.parametrize("way", ["first", "last"])
@pytest.mark.parametrize("name", TYPES)
def test_an_empty_list_has_an_empty_page(full: Play, name: str, way: str) -> None:
    nothing: dict[str, Any] = {
        "users": {"emailContains": "nobody has this"},
        "identities": {"nameContains": "nothing has this"},
        "services": {"nameContains": "nothing has this"},
        "credentials": {"nameContains": "nothing has this"},
        "auditEvents": {"types": []},
    }
    if name == "accounts":
        return  # everyone sees one at least
    page = Listing(full.operator, name).having(**nothing[name]).page(**{way: 10})
    assert (page.ids, page.start, page.end, page.total) == ([], None, None, 0)
    assert (page.has_previous, page.has_next) == (False, False)


def test_beyond_the_last_row_there_is_an_empty_page(full: Play) -> None:
    listing = Listing(full.member, "credentials")
    first, last = listing.page(first=1), listing.page(last=1)

    after_all = listing.page(first=10, after=last.end)
    assert (after_all.ids, after_all.has_previous, after_all.has_next) == ([], True, False)
    before_all = listing.page(last=10, before=first.start)
    assert (before_all.ids, before_all.has_previous, before_all.has_next) == ([], False, True)


@pytest.mark.parametrize("order", [("CREATED_AT", "ASC"), ("NAME", "ASC"), ("LAST_USED_AT", "DESC")])
def test_a_page_may_have_a_bound_on_either_side(full: Play, order: tuple[str, str]) -> None:
    listing = Listing(full.member, "credentials").by(*order)
    whole = listing.page(first=20)
    between = {"after": whole.cursors[4], "before": whole.cursors[15]}
    assert listing.page(first=100, **between).ids == whole.ids[5:15]
    assert listing.page(first=3, **between).ids == whole.ids[5:8]
    assert listing.page(last=3, **between).ids == whole.ids[12:15]
    assert listing.page(first=3, **between).has_next
    assert listing.page(last=3, **between).has_previous
    assert listing.page(first=10, after=whole.cursors[15], before=whole.cursors[4]).ids == []
    assert {listing.page(first=3, **between).total, whole.total} == {101}


# ---------------------------------------------------------------- cursors

ROW = str(UUID(int=1))


def written(*parts: Any, of: str = "credentials") -> str:
    """A cursor of a list, as the server writes one."""
    return encoded(json.dumps([of, *parts], separators=(",", ":"), ensure_ascii=False).encode())


def encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


GARBAGE = {
    "empty": "",
    "a word": "garbage",
    "not in base64": "!!!",
    "not in ASCII": "日本",
    "a NUL": "\0",
    "a number": "7",
    "padding": "====",
    "bytes": encoded(b"\xff\xfe\x00"),
    "no JSON": encoded(b"{"),
    "a deep one": encoded(b"[" * 100_000),
    "an object": encoded(b"{}"),
    "a string": encoded(b'"id"'),
    "three letters": encoded(b'"abc"'),
    "null": encoded(b"null"),
    "a number within": encoded(b"1e999"),
    "too few parts": written("id", None),
    "too many parts": written("id", None, ROW, ROW),
    "no row": written("id", None, None),
    "a row by number": written("id", None, 1),
    "a row that is none": written("id", None, "1"),
    "a row in a list": written("id", None, [ROW]),
    "a huge one": "A" * 500_000,
    "a huge row": written("id", None, "0" * 100_000),
    "a column by number": written(1, None, ROW),
    "a column in a list": written(["id"], None, ROW),
    "no column": written(None, None, ROW),
    "a column that nothing is ordered by": written("secret_hash", "0", ROW),
    "another table's column": written("owner__password_hash", "0", ROW),
    "the column behind the order's": written("created_at", "2026-01-15T12:00:00+00:00", ROW),
    "another spelling of a row": written("id", None, ROW.replace("-", "")),
    "another spelling of JSON": encoded(json.dumps(["credentials", "id", None, ROW]).encode()),
    "padded": written("id", None, ROW) + "=",
}


@pytest.mark.parametrize("cursor", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("side", ["after", "before"])
def test_what_is_no_cursor_is_refused(full: Play, side: str, cursor: str) -> None:
    assert Listing(full.member, "credentials").refusal(**{side: cursor}) == ("BAD_USER_INPUT", NOT_OURS)


TAMPERED: dict[str, list[Any]] = {
    "NAME": [None, 1, 1.5, True, ["a"], {"a": 1}, "\0", "a\0b", "z" * 65, "z" * 100_000],
    "EXPIRES_AT": [
        None,
        1,
        True,
        ["2026-01-15T12:00:00Z"],
        "",
        "soon",
        "2026-01-15",
        "2026-01-15T12:00:00",
        "2026-01-15T12:00:00Z",
        "2026-01-15T12:00:00+01:00",
        "2026-01-15T12:00:00.000001+00:00",
        "2026-13-15T12:00:00+00:00",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-01-15T12:00:00+00:00\0",
    ],
    "CREATED_AT": ["x", 1, "2026-01-15T12:00:00Z", ["a"]],
}


@pytest.mark.parametrize(
    ("order_field", "value"),
    [(field, value) for field, values in TAMPERED.items() for value in values],
    ids=lambda part: repr(part)[:30],
)
def test_a_cursor_with_a_value_that_its_column_never_has_is_refused(full: Play, order_field: str, value: Any) -> None:
    column = "id" if order_field == "CREATED_AT" else order_field.lower()
    cursor = written(column, value, ROW)
    for direction in ("ASC", "DESC"):
        listing = Listing(full.member, "credentials").by(order_field, direction)
        assert listing.refusal(first=1, after=cursor) == ("BAD_USER_INPUT", NOT_OURS)
        assert listing.refusal(last=1, before=cursor) == ("BAD_USER_INPUT", NOT_OURS)


@pytest.mark.parametrize("sequence", [None, "1", 1.5, True, -1, 2**31, 2**63, 2**64, [1]])
def test_an_audit_cursor_with_a_number_that_no_event_has_is_refused(full: Play, sequence: Any) -> None:
    cursor = written("sequence", sequence, ROW, of="audit_events")
    assert Listing(full.administrator, "auditEvents").refusal(after=cursor) == ("BAD_USER_INPUT", NOT_OURS)


ORDERS = ["CREATED_AT", "NAME", "EXPIRES_AT", "LAST_USED_AT"]


@pytest.mark.parametrize(("of", "by"), [(of, by) for of in ORDERS for by in ORDERS if of != by])
def test_a_cursor_of_another_order_is_refused(full: Play, of: str, by: str) -> None:
    listing = Listing(full.member, "credentials")
    cursor = listing.by(of).page(first=1).end
    assert listing.by(by).refusal(after=cursor) == ("BAD_USER_INPUT", OF_ANOTHER_ORDER)
    assert listing.by(by).refusal(last=5, before=cursor) == ("BAD_USER_INPUT", OF_ANOTHER_ORDER)


@pytest.mark.parametrize(("of", "by"), list(permutations([name for name in EVERY_LIST if "." not in name], 2)))
def test_a_cursor_of_another_list_is_refused(full: Play, of: str, by: str) -> None:
    cursor = every(full, of).page(first=1).end
    code, message = every(full, by).refusal(after=cursor)
    assert (code, message.partition(":")[0]) == ("BAD_USER_INPUT", "This cursor belongs to another list")


def test_a_cursor_marks_a_place_in_either_direction_of_an_order(full: Play) -> None:
    listing = Listing(full.member, "credentials")
    up, down = listing.by("NAME", "ASC"), listing.by("NAME", "DESC")
    cursor = up.page(first=5).end
    assert up.page(first=100, after=cursor).ids == down.page(last=100, before=cursor).ids[::-1][:96]


def test_a_cursor_says_nothing_that_the_list_does_not_show(full: Play) -> None:
    """Not the key, not the hash, and not the internals of another order."""
    cursor = Listing(full.member, "credentials").page(first=1).end
    assert cursor is not None
    table, column, value, row = json.loads(urlsafe_b64decode(cursor + "=="))
    assert (table, column, value) == ("credentials", "id", None)
    assert UUID(row)


def test_a_cursor_opens_no_list_that_is_not_ones_own(full: Play) -> None:
    """A mark, not a permission: in another's hands it begins their own list."""
    credentials = Listing(full.member, "credentials")
    before_all = credentials.page(first=1).start
    assert Listing(full.other_member, "credentials").page(first=100, after=before_all).ids == []
    users = Listing(full.administrator, "users").page(first=1)
    others = Listing(full.other_administrator, "users").page(first=100, after=users.end)
    assert set(others.ids) <= set(full.birch.users.values())


@pytest.mark.parametrize("name", EVERY_LIST)
def test_every_list_refuses_garbage_for_a_cursor(full: Play, name: str) -> None:
    listing = every(full, name)
    assert listing.refusal(after="garbage") == ("BAD_USER_INPUT", NOT_OURS)
    assert listing.refusal(last=1, before="garbage") == ("BAD_USER_INPUT", NOT_OURS)


UNTAMPERED = [
    ("NAME", "a name that no row has"),
    ("NAME", "z" * 64),
    ("NAME", ""),
    ("NAME", "%_\\'\"日本"),
    ("EXPIRES_AT", "1970-01-01T00:00:00+00:00"),
    ("EXPIRES_AT", "9999-12-31T00:00:00+00:00"),
    ("EXPIRES_AT", "2026-01-15T12:00:00.001000+00:00"),
]


@pytest.mark.parametrize(("order_field", "value"), UNTAMPERED, ids=lambda part: part[:20])
def test_a_cursor_of_a_row_that_there_could_be_is_taken(full: Play, order_field: str, value: str) -> None:
    listing = Listing(full.member, "credentials").by(order_field)
    cursor = written(order_field.lower(), value, ROW)
    after, before = listing.page(first=100, after=cursor), listing.page(last=100, before=cursor)
    assert len(after.ids) + len(before.ids) in {100, 101}


def test_a_row_that_is_gone_still_marks_its_place(full: Play) -> None:
    """Nothing is looked up by a cursor, so what it was made from may have been revoked."""
    listing = Listing(full.member, "credentials").by("NAME")
    ids = listing.ids()
    name = full.rows.execute(f"SELECT name FROM credentials WHERE id = '{row_id(ids[9])}'")[0][0]
    assert listing.page(first=5, after=written("name", name, ROW)).ids == ids[9:14]
    assert listing.page(first=5, after=written("name", f"{name}!", ROW)).ids == ids[10:15]


def test_every_cursor_that_a_list_gives_is_taken_back(full: Play) -> None:
    for order_field in ORDERS:
        listing = Listing(full.member, "credentials").by(order_field)
        whole = listing.page(first=12)
        for place, cursor in enumerate(whole.cursors, 1):
            assert listing.page(first=12 - place, after=cursor).ids == whole.ids[place:]
