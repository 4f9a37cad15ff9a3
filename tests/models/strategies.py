"""What property tests of the models draw from."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9998, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def instants() -> st.SearchStrategy[datetime]:
    """Every instant that can be asked for: UTC, to the millisecond."""
    return st.integers(0, (_LAST - _FIRST) // _MILLISECOND).map(lambda count: _FIRST + count * _MILLISECOND)


def around(now: datetime) -> st.SearchStrategy[datetime]:
    """Instants that matter to a comparison with this one: itself, those next to it, whole seconds about it, any."""
    second = timedelta(seconds=1)
    whole = now.replace(microsecond=0)
    near = {now, now - _MILLISECOND, now + _MILLISECOND, whole, whole - second, whole + second}
    return st.one_of(st.sampled_from(sorted(near)), instants())
