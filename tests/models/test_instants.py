"""Instants are aware, in UTC and to the millisecond, wherever they come from."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from models.instants import LONG_AGO, NEVER, or_none, system_clock, to_millisecond
from tests.models.strategies import instants

offsets = st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59)).map(timezone)
written_anywhere = st.datetimes(datetime(1970, 1, 2), datetime(9998, 12, 30), timezones=offsets)  # noqa: DTZ001


@given(written_anywhere)
def test_an_instant_is_kept_in_utc_and_loses_less_than_a_millisecond(instant: datetime) -> None:
    kept = to_millisecond(instant)
    assert kept.tzinfo is UTC
    assert kept.microsecond % 1000 == 0
    assert timedelta(0) <= instant - kept < timedelta(milliseconds=1)


@given(instants())
def test_an_instant_that_is_kept_stays_as_it_is(instant: datetime) -> None:
    assert to_millisecond(instant) == instant


@given(instants(), instants())
def test_instants_sort_as_sqlite_writes_them(one: datetime, other: datetime) -> None:
    """There they are text; so this is what its comparisons rest on."""
    assert (one < other) == (one.isoformat(" ") < other.isoformat(" "))


@given(instants())
def test_the_stand_ins_lie_outside_of_all_that_can_be_asked_for(instant: datetime) -> None:
    assert LONG_AGO <= instant < NEVER


@given(instants().filter(lambda instant: instant != LONG_AGO))
def test_only_the_stand_ins_are_shown_as_nothing(instant: datetime) -> None:
    assert or_none(instant) == instant
    assert or_none(NEVER) is None
    assert or_none(LONG_AGO) is None


def test_the_clock_tells_the_time_in_utc_to_the_millisecond() -> None:
    before, now, after = datetime.now(UTC), system_clock(), datetime.now(UTC)
    assert now.tzinfo is UTC
    assert now.microsecond % 1000 == 0
    assert before - timedelta(milliseconds=1) < now <= after
