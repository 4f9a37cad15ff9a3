"""Instants on the wire."""

import re
from datetime import datetime

import strawberry

from models.instants import to_millisecond, write_instant

# RFC 3339, 5.6: the offset is not optional, since a time without one names no instant.
_RFC_3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})")


def parse_instant(text: object) -> datetime:
    """Raises ValueError, with a message that helps and does not repeat the text."""
    if not isinstance(text, str) or len(text) > 64 or not _RFC_3339.fullmatch(text):
        raise ValueError("An instant is written as in RFC 3339, with its offset: 2026-11-22T09:30:00Z.")
    try:
        instant = to_millisecond(datetime.fromisoformat(text.upper()))
    except (ValueError, OverflowError):
        raise ValueError("There is no such day or time.") from None
    if not 1970 <= instant.year <= 9998:
        raise ValueError("Instants lie between the years 1970 and 9998.")
    return instant


DateTime = strawberry.scalar(
    name="DateTime",
    description="An instant in RFC 3339, always UTC on the way out (2026-11-22T09:30:00Z).",
    serialize=write_instant,
    parse_value=parse_instant,
    specified_by_url="https://scalars.graphql.org/andimarek/date-time",
)
