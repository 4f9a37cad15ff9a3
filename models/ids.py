"""Row ids, and the opaque global ids that clients see.

A global id is a kind's prefix and the row's id in hex, `cred_0199…`: readable in a log, safe in a URL, and saying
nothing of other accounts' rows.
"""

import secrets
from datetime import datetime
from enum import StrEnum
from uuid import UUID

_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62


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


def new_id(now: datetime) -> UUID:
    """A UUID version 7 (RFC 9562, 5.7) of this instant: rows made later sort later, so that the order of ids is the
    order of creation and new rows land at the end of an index."""
    milliseconds = int(now.timestamp() * 1000)
    random = secrets.randbits(74)
    high, low = random >> 62, random & ((1 << 62) - 1)
    return UUID(int=milliseconds << 80 | _VERSION_7 | high << 64 | _VARIANT | low)


def global_id(kind: Kind, row_id: UUID) -> str:
    """The global id of a row."""
    return f"{kind}_{row_id.hex}"


def parse_global_id(text: str) -> tuple[Kind, UUID] | None:
    """The kind and row id that a global id names, or None where it is not one of ours."""
    prefix, _, rest = text.partition("_")
    if len(rest) != 32 or not rest.isalnum() or not rest.isascii() or rest != rest.lower():
        return None
    try:
        return Kind(prefix), UUID(hex=rest)
    except ValueError:
        return None


def row_id(kind: Kind, text: str) -> UUID | None:
    """The row id in a global id of this kind; None for anything else, another kind's id included."""
    parsed = parse_global_id(text)
    return parsed[1] if parsed and parsed[0] is kind else None
