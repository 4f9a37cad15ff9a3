"""Row ids carry the instant of creation; global ids name one thing, and are read back or refused."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.ids import Kind, global_id, new_id, parse_global_id, row_id
from tests.models.strategies import instants
from tests.support.server import START

UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
kinds = st.sampled_from(Kind)
row_ids = st.uuids()


@given(st.lists(instants(), max_size=50))
def test_what_is_made_later_or_next_sorts_later(moments: list[datetime]) -> None:
    ids = [new_id(moment) for moment in sorted(moments)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


@given(instants())
def test_an_id_carries_its_instant_to_the_millisecond(moment: datetime) -> None:
    id_ = new_id(moment)
    assert id_.int >> 80 == (moment - UNIX_EPOCH) // timedelta(milliseconds=1)
    assert (id_.version, id_.variant) == (7, "specified in RFC 4122")


def test_ten_thousand_ids_of_one_instant_ascend() -> None:
    ids = [new_id(START) for _ in range(10_000)]
    assert ids == sorted(set(ids))
    assert {id_.int >> 80 for id_ in ids} == {ids[0].int >> 80}


def test_ids_of_an_instant_cannot_be_guessed_from_one_another() -> None:
    ids = [new_id(START).int for _ in range(1000)]
    steps = {later - earlier for earlier, later in pairwise(ids)}
    assert len(steps) > 990


@given(kinds, row_ids)
def test_a_global_id_is_read_back(kind: Kind, id_: UUID) -> None:
    text = global_id(kind, id_)
    assert parse_global_id(text) == (kind, id_)
    assert row_id(kind, text) == id_


@given(kinds, kinds, row_ids)
def test_a_global_id_names_one_kind_of_thing(kind: Kind, other: Kind, id_: UUID) -> None:
    assert row_id(other, global_id(kind, id_)) == (id_ if kind is other else None)


@given(st.text(max_size=80))
@example("")
@example("_")
@example("cred")
@example("cred_")
@example("cred_0")
@example("cred_" + "0" * 31)
@example("cred_" + "0" * 33)
@example("cred_" + "g" * 32)
@example("cred_" + "A" * 32)
@example("cred_" + "٣" * 32)
@example("cred_" + "0_0" + "0" * 29)
@example("cred_" + "+" + "0" * 31)
@example("cred_" + " " + "0" * 31)
@example("cred_{" + "0" * 30 + "}")
@example("cred_urn:uuid:" + "0" * 23)
@example("CRED_" + "0" * 32)
@example("card_" + "0" * 32)
@example("cred__" + "0" * 32)
@example("cred_" + "0" * 32 + "\n")
@example("cred_00000000-0000-0000-0000-000000000000")
@example("\ud800_" + "0" * 32)
def test_garbage_names_nothing(text: str) -> None:
    assert parse_global_id(text) is None


@given(kinds, row_ids, st.data())
def test_a_global_id_has_one_spelling(kind: Kind, id_: UUID, data: st.DataObject) -> None:
    """Else one thing could pass for two, and an audit log be searched for the wrong one."""
    text = global_id(kind, id_)
    place = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.characters())
    altered = text[:place] + character + text[place + 1 :]
    parsed = parse_global_id(altered)
    assert parsed is None or global_id(*parsed) == altered


@pytest.mark.parametrize("kind", Kind)
def test_a_global_id_fits_where_the_audit_log_keeps_it(kind: Kind) -> None:
    assert len(global_id(kind, UUID(int=2**128 - 1))) <= 64


@pytest.mark.parametrize(
    "rest", ["0x" + "1" * 30, "0X" + "1" * 30, "1" * 15 + "_" + "1" * 16, "A" * 32, "1" * 31, "\u0661" * 32]
)
def test_what_python_would_read_in_several_spellings_has_one(rest: str) -> None:
    assert parse_global_id(f"cred_{rest}") is None
