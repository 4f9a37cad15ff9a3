"""Between one page and the next others work on: rows come and go, and whoever walks sees each that stays just once."""

from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from models.ids import Kind, global_id, new_id
from tests.support import bulk
from tests.support.lists import Listing
from tests.support.rows import row_id
from tests.support.server import START
from tests.support.world import Play

DAY = timedelta(days=1)
ORDERS = [("CREATED_AT", "ASC"), ("NAME", "DESC"), ("EXPIRES_AT", "ASC"), ("LAST_USED_AT", "DESC")]


def columns(number: int, letter: str) -> dict[str, Any]:
    """Of the credential with this number, in the middle of every order, beside one of another letter."""
    return {
        "name": f"c_{number:03}_{letter}",
        "expires_at": START + number * DAY,
        "last_used_at": START + number * DAY,
    }


def walk(listing: Listing, way: str, between: Any) -> list[str]:
    pages = listing.forward(8, between) if way == "forward" else listing.backward(8, between)
    return [id_ for page in pages for id_ in page.ids]


@pytest.mark.parametrize("way", ["forward", "backward"])
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order[0])
def test_what_stays_is_seen_once_whatever_is_generated_meanwhile(play: Play, order: tuple[str, str], way: str) -> None:
    there = bulk.global_ids(Kind.CREDENTIAL, bulk.credentials(play, play.alder, [columns(n, "m") for n in range(23)]))
    letters = ["a", "n", "z"]

    def generate() -> None:
        """Before, between and after all that is there; not for ever, or the walk would last as long."""
        if letters:
            letter = letters.pop()
            bulk.credentials(play, play.alder, [columns(n, letter) for n in range(23)])

    seen = walk(Listing(play.member, "credentials").by(*order), way, generate)
    assert len(seen) == len(set(seen))
    assert set(there) <= set(seen)


@pytest.mark.parametrize("way", ["forward", "backward"])
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order[0])
def test_what_stays_is_seen_once_whatever_is_revoked_meanwhile(play: Play, order: tuple[str, str], way: str) -> None:
    staying = bulk.global_ids(Kind.CREDENTIAL, bulk.credentials(play, play.alder, [columns(n, "s") for n in range(20)]))
    going = bulk.global_ids(Kind.CREDENTIAL, bulk.credentials(play, play.alder, [columns(n, "g") for n in range(20)]))
    revoked: list[str] = []

    def revoke() -> None:
        """Some that were seen, some that were not, and the ones a cursor may have been made from."""
        for thirds in (0, 2, 1):
            if going:
                revoked.append(going.pop(len(going) * thirds // 3))
                play.member.do("revokeCredential", "credential { id }", credentialId=revoked[-1])

    seen = walk(Listing(play.member, "credentials").by(*order), way, revoke)
    assert revoked
    assert len(seen) == len(set(seen))
    assert set(staying) | set(going) <= set(seen)


def test_a_page_begins_where_the_last_one_ended_though_that_row_is_gone(play: Play) -> None:
    ids = bulk.global_ids(Kind.CREDENTIAL, bulk.credentials(play, play.alder, [columns(n, "a") for n in range(10)]))
    listing = Listing(play.member, "credentials").by("NAME")
    first = listing.page(first=4)
    assert first.ids == ids[:4]
    for id_ in ids[2:5]:
        play.member.do("revokeCredential", "credential { id }", credentialId=id_)

    second = listing.page(first=4, after=first.end)
    assert (second.ids, second.total) == (ids[5:9], 7)
    assert (second.has_previous, second.has_next) == (True, True)

    for id_ in ids[:2]:
        play.member.do("revokeCredential", "credential { id }", credentialId=id_)
    assert not listing.page(first=4, after=first.end).has_previous


def test_a_credential_used_meanwhile_is_seen_where_it_was_or_where_it_is(play: Play) -> None:
    """Last use is the one order in which rows move: to the end, and so not out of a walker's sight."""
    rows = bulk.credentials(play, play.alder, [columns(n, "a") for n in range(12)])
    ids = bulk.global_ids(Kind.CREDENTIAL, rows)
    uses = count(100)

    def use() -> None:
        play.rows.set("credentials", ids[11], f"last_used_at = '{(START + next(uses) * DAY).isoformat(' ')}'")

    seen = [page.ids for page in Listing(play.member, "credentials").by("LAST_USED_AT").forward(5, use)]
    assert set(ids) == {id_ for page in seen for id_ in page}


def test_the_log_is_read_in_the_order_in_which_it_was_written(play: Play) -> None:
    """A request that came earlier may write later. Its event has the earlier instant, and the greater number."""
    later, earlier = START + timedelta(seconds=2), START + timedelta(seconds=1)
    listing = Listing(play.administrator, "auditEvents")
    seen = listing.page(last=1).end
    (first,) = bulk.audit_events(play, play.alder, [{"id": new_id(later), "occurred_at": later}])
    page = listing.page(first=10, after=seen)
    assert page.ids == [global_id(Kind.AUDIT_EVENT, first["id"])]

    (second,) = bulk.audit_events(play, play.alder, [{"id": new_id(earlier), "occurred_at": earlier}])
    assert listing.page(first=10, after=page.end).ids == [global_id(Kind.AUDIT_EVENT, second["id"])]
    assert Listing(play.operator, "auditEvents").having(accountId=play.alder.id).page(last=2).ids == bulk.global_ids(
        Kind.AUDIT_EVENT, [first, second]
    )


@pytest.mark.parametrize("way", ["forward", "backward"])
def test_the_log_is_walked_through_while_it_grows(play: Play, way: str) -> None:
    there = bulk.global_ids(Kind.AUDIT_EVENT, bulk.audit_events(play, play.alder, bulk.times(23)))
    seen = walk(
        Listing(play.administrator, "auditEvents"),
        way,
        lambda: play.member.execute("{ viewer { role } }") and bulk.audit_events(play, play.alder, bulk.times(2)),
    )
    assert len(seen) == len(set(seen))
    assert set(there) <= set(seen)


def test_a_walk_through_the_log_meets_every_number_once(play: Play) -> None:
    bulk.audit_events(play, play.alder, bulk.times(150))
    numbers = []
    listing, after = Listing(play.auditor, "auditEvents"), None
    while True:
        answer = listing.answer("nodes { sequence } pageInfo { hasNextPage endCursor }", first=40, after=after)
        connection = answer["data"]["auditEvents"]
        numbers += [node["sequence"] for node in connection["nodes"]]
        after = connection["pageInfo"]["endCursor"]
        if not connection["pageInfo"]["hasNextPage"]:
            break
    where = f"chain_id = '{row_id(play.alder.id)}'"
    ((last,),) = play.rows.execute(f"SELECT max(sequence) FROM audit_events WHERE {where}")
    assert numbers == list(range(1, last + 1))
    assert last > 150
