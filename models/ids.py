"""Row ids, and the opaque global ids that clients see.

A global id is a kind's prefix and the row's id in hex, `cred_0199…`: readable in a log, safe in a URL, and saying
nothing of other accounts' rows.
"""

import re
import secrets
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62
_ROW_ID = re.compile("[0-9a-f]{32}")


class Kind(StrEnum):
    """What a global id can name; the value is its prefix."""

    ACCOUNT = "acct"
    USER = "user"
    IDENTITY = "idty"
    SERVICE = "svc"
    CREDENTIAL = "cred"
    AUDIT_EVENT = "evt"
    WEBHOOK_ENDPOINT = "whk"
    ACCESS_TOKEN = "tok"  # noqa: S105


class _Tails:
    """The 74 bits of an id after its instant: random, and growing within a millisecond (RFC 9562, 6.2, method 2)."""

    def __init__(self) -> None:
        self._milliseconds, self._last = -1, 0

    def next(self, milliseconds: int) -> int:
        same = milliseconds == self._milliseconds
        # From the lower half of the range, so that millions of such steps fit above.
        self._last = self._last + 1 + secrets.randbits(48) if same else secrets.randbits(73)
        self._milliseconds = milliseconds
        return self._last


_TAILS = _Tails()


def new_id(now: datetime) -> UUID:
    """A UUID version 7 (RFC 9562, 5.7) of this instant: rows made later sort later, in one process within a
    millisecond too, so that the order of ids is the order of creation and new rows land at the end of an index."""
    milliseconds = (now - _UNIX_EPOCH) // timedelta(milliseconds=1)
    tail = _TAILS.next(milliseconds)
    high, low = tail >> 62, tail & ((1 << 62) - 1)
    return UUID(int=milliseconds << 80 | _VERSION_7 | high << 64 | _VARIANT | low)


def first_id(instant: datetime) -> UUID:
    """What no id of this instant lies before, and no id of an earlier one after."""
    return UUID(int=((instant - _UNIX_EPOCH) // timedelta(milliseconds=1)) << 80)


def global_id(kind: Kind, row_id: UUID) -> str:
    """The global id of a row."""
    return kind + "_" + row_id.hex


def parse_global_id(text: str) -> tuple[Kind, UUID] | None:
    """The kind and row id that a global id names, or None where it is not one of ours."""
    prefix, _, rest = text.partition("_")
    if not _ROW_ID.fullmatch(rest):  # UUID itself takes other spellings too
        return None
    try:
        return Kind(prefix), UUID(hex=rest)
    except ValueError:
        return None


def row_id(kind: Kind, text: str) -> UUID | None:
    """The row id in a global id of this kind; None for anything else, another kind's id included."""
    parsed = parse_global_id(text)
    return parsed[1] if parsed and parsed[0] is kind else None
