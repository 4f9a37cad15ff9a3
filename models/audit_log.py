"""The audit log as rows, past the models: for who reads millions of events.

Rows come in pages, each by a statement of its own that continues after the last row of the one before: between pages
nothing is held, neither a connection nor a transaction.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tortoise.exceptions import OperationalError

from models.audit import DEPLOYMENT_CHAIN
from models.database import fetch_rows, is_sqlite

PAGE_SIZE = 2000

Mark = tuple[Any, str]
"""Sequence and id of a row: pages are in the order of both, since a chain that was tampered with may have a sequence
twice."""


class EventRow(NamedTuple):
    """An event as it is hashed: text, as `str` writes it, but for its numbers; the instant in ISO 8601."""

    sequence: int
    id: str
    type: str
    occurred_at: str
    actor_id: str | None
    subject_id: str | None
    source_ip: str | None
    summary: str
    hashing_key_id: str
    hash_version: int
    hash: str


class ActorRow(NamedTuple):
    """Who acted: the address, and the account, None for the provider's staff."""

    email: str
    account_id: str | None


class HeadRow(NamedTuple):
    id: str
    sequence: int
    hash: str


_TEXTS = ("id", "type", "occurred_at", "actor_id", "subject_id", "source_ip", "summary", "hashing_key_id", "hash")
_COLUMNS = ("sequence", *_TEXTS[:-1], "hash_version", "hash")

# One step along the index for each chain, where DISTINCT would read every row of it.
_CHAINS = """WITH RECURSIVE found (id) AS (
        SELECT (SELECT chain_id FROM audit_events ORDER BY chain_id LIMIT 1)
        UNION ALL SELECT (SELECT chain_id FROM audit_events WHERE chain_id > found.id ORDER BY chain_id LIMIT 1)
        FROM found WHERE found.id IS NOT NULL)
    SELECT id FROM found WHERE id IS NOT NULL UNION SELECT id FROM accounts UNION SELECT id FROM audit_chains"""


async def read_heads(chain_id: str | None = None) -> list[HeadRow]:
    """The heads of all chains, in one statement, or of one; in the order of their ids."""
    condition, values = ("", []) if chain_id is None else (" WHERE id = $1", [chain_id])
    rows = await fetch_rows(f"SELECT id, sequence, hash FROM audit_chains{condition} ORDER BY id", *values)  # noqa: S608
    return [HeadRow(str(id_), sequence, hash_) for id_, sequence, hash_ in rows]


async def read_chain_ids() -> list[str]:
    """Every chain that there is or ought to be: of heads, of events and of accounts; the deployment's first."""
    found = {str(id_) for (id_,) in await fetch_rows(_CHAINS)}
    return sorted(found | {str(DEPLOYMENT_CHAIN)})


async def read_account_names(ids: Sequence[str]) -> dict[str, str]:
    """The names of those of these accounts that there are."""
    found = [row for id_ in ids for row in await fetch_rows("SELECT id, name FROM accounts WHERE id = $1", id_)]
    return {str(id_): name for id_, name in found}


async def read_events(chain_id: str, after: Mark | None, limit: int = PAGE_SIZE) -> list[EventRow]:
    """The next events of a chain."""
    condition, values = ("", []) if after is None else ("AND (sequence, id) > ($2, $3)", list(after))
    statement = f"FROM audit_events WHERE chain_id = $1 {condition} ORDER BY sequence, id LIMIT {limit}"
    try:
        return [_event(row) for row in await fetch_rows(f"SELECT {', '.join(_COLUMNS)} {statement}", chain_id, *values)]
    except OperationalError:
        if not is_sqlite():
            raise
    # A text that is none keeps SQLite's driver from reading the page; as bytes it can be had, and told from the others.
    columns = ", ".join(f"CAST({name} AS BLOB)" if name in _TEXTS else name for name in _COLUMNS)
    return [_decoded(row) for row in await fetch_rows(f"SELECT {columns} {statement}", chain_id, *values)]


async def read_events_with_actors(
    chain_id: str, after: int, through: int, since: datetime | None, before: datetime | None
) -> list[tuple[EventRow, ActorRow | None]]:
    """The events of a chain after one number and up to another, from an instant on and before another."""
    conditions, values = ["chain_id = $1", "sequence > $2", "sequence <= $3"], [chain_id, after, through]
    for instant, comparison in ((since, ">="), (before, "<")):
        if instant is not None:
            values.append(instant.astimezone(UTC).isoformat(" ") if is_sqlite() else instant)
            conditions.append(f"occurred_at {comparison} ${len(values)}")
    columns = ", ".join(f"event.{name}" for name in _COLUMNS)
    rows = await fetch_rows(
        f"SELECT {columns}, users.email, users.account_id FROM audit_events AS event "  # noqa: S608
        "LEFT JOIN users ON users.id = event.actor_id "
        f"WHERE {' AND '.join(f'event.{condition}' for condition in conditions)} ORDER BY event.sequence",
        *values,
    )
    return [(_event(row[:-2]), None if row[-2] is None else ActorRow(row[-2], _text(row[-1]))) for row in rows]


def _event(row: Sequence[Any]) -> EventRow:
    sequence, id_, type_, occurred_at, actor_id, *rest = row
    if isinstance(occurred_at, str):
        return EventRow(sequence, id_, type_, _instant(occurred_at), actor_id, *rest)
    if isinstance(occurred_at, datetime):  # PostgreSQL's driver has its own types
        return EventRow(sequence, str(id_), type_, occurred_at.isoformat(), _text(actor_id), *rest)
    return EventRow(*row)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _instant(text: str) -> str:
    """As it was hashed: Tortoise writes a space into SQLite's where ISO 8601 has a T; nothing else goes for one."""
    return f"{text[:10]}T{text[11:]}" if text[10:11] == " " else f" {text}"


def _decoded(row: Sequence[Any]) -> EventRow:
    return _event([_decoded_text(value) if isinstance(value, bytes) else value for value in row])


def _decoded_text(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeError:
        return value
