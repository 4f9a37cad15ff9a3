"""Calendar months, in UTC."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resolvers.expiry import add_months

seconds = st.integers(
    int(datetime(1999, 12, 31, tzinfo=UTC).timestamp()), int(datetime(2200, 1, 1, tzinfo=UTC).timestamp())
)
offsets = st.integers(-14 * 4, 14 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))
instants = st.builds(datetime.fromtimestamp, seconds, offsets)


def some_months_later(instant: datetime, months: int) -> datetime:
    """The simple definition: turn the pages of a calendar, then look for the day, or the one before it, or …"""
    year, month = instant.year, instant.month
    for _ in range(months):
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    for day in range(instant.day, instant.day - 4, -1):
        with suppress(ValueError):
            return instant.replace(year=year, month=month, day=day, microsecond=0)
    raise AssertionError("every month has 28 days")


@settings(deadline=None)
@given(instants, st.integers(1, 1200))
def test_months_are_pages_of_a_calendar_in_utc(instant: datetime, months: int) -> None:
    later = add_months(instant, months)
    assert later == some_months_later(instant.astimezone(UTC), months)
    assert later.tzinfo is UTC


@settings(deadline=None)
@given(instants, st.integers(1, 1199))
def test_more_months_end_later(instant: datetime, months: int) -> None:
    assert instant < add_months(instant, months) < add_months(instant, months + 1)


@pytest.mark.parametrize(
    ("made", "months", "end"),
    [
        ("2027-01-28", 1, "2027-02-28"),
        ("2027-01-29", 1, "2027-02-28"),
        ("2027-01-30", 1, "2027-02-28"),
        ("2027-01-31", 1, "2027-02-28"),
        ("2028-01-28", 1, "2028-02-28"),
        ("2028-01-29", 1, "2028-02-29"),
        ("2028-01-30", 1, "2028-02-29"),
        ("2028-01-31", 1, "2028-02-29"),
        ("2027-01-31", 2, "2027-03-31"),
        ("2027-03-31", 1, "2027-04-30"),
        ("2027-12-31", 2, "2028-02-29"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2028-02-29", 48, "2032-02-29"),
        ("2096-02-29", 48, "2100-02-28"),
        ("2000-02-29", 1200, "2100-02-28"),
    ],
)
def test_a_month_that_is_too_short_ends_on_its_last_day(made: str, months: int, end: str) -> None:
    assert add_months(datetime.fromisoformat(f"{made}T23:59:59Z"), months).isoformat() == f"{end}T23:59:59+00:00"


def test_the_day_counts_where_it_is_in_utc() -> None:
    first_of_march_in_tokyo = datetime(2027, 3, 1, 8, 0, tzinfo=timezone(timedelta(hours=9)))
    assert add_months(first_of_march_in_tokyo, 1) == datetime(2027, 3, 28, 23, 0, tzinfo=UTC)
