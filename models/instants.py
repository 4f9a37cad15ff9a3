"""Instants: always aware, always UTC, to the millisecond.

One rule for all of them lets SQLite, which compares instants as text, and PostgreSQL agree on every comparison, and
lets a row's id (see `models.ids.new_id`) carry the same instant as its `created_at`.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from time import time_ns

Clock = Callable[[], datetime]

NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""What `expires_at` and `valid_until` hold for "no end". A real instant, after all others, so that comparing,
ordering and paging need no special case for null. It never leaves the server: see `or_none`."""

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""What `last_used_at` holds for "not yet": before all others."""


def to_millisecond(instant: datetime) -> datetime:
    """The same instant in UTC without its microseconds."""
    utc = instant.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def system_clock() -> datetime:
    """The present, as every part of Sealkey understands it."""
    return datetime.fromtimestamp(time_ns() // 1_000_000 / 1000, UTC)


def write_instant(instant: datetime) -> str:
    """RFC 3339 in UTC; the milliseconds only where there are any."""
    utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    if not utc.microsecond:
        return utc.isoformat()[:19] + "Z"
    return utc.isoformat(timespec="milliseconds")[:23] + "Z"


def or_none(instant: datetime) -> datetime | None:
    """None for the two stand-ins, the instant itself otherwise."""
    return None if instant in (NEVER, LONG_AGO) else instant
