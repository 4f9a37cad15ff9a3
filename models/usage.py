"""How often a credential was let in and turned away, by day in UTC."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson
from tortoise import fields
from tortoise.connection import get_connections
from tortoise.models import Model

from models.database import let_others_write, transaction


class CredentialUsage(Model):
    """One day of one credential. The two columns are the key; Tortoise wants one named."""

    credential_id = fields.UUIDField(primary_key=True)
    day = fields.CharField(max_length=10)
    allowed = fields.BigIntField()
    denied = fields.BigIntField()

    class Meta:
        table = "credential_usage"


class UsageBatch(Model):
    """Counts of one process that were added, and must not be added again."""

    id = fields.CharField(max_length=36, primary_key=True)
    day = fields.CharField(max_length=10)

    class Meta:
        table = "usage_batches"


@dataclass(slots=True)
class Count:
    """What is to be added to a day of a credential, and the minute of its last use on that day, if it was used."""

    allowed: int = 0
    denied: int = 0
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be added to a day of the credentials with these global ids, once, however often it is tried."""

    id: str
    day: str
    counts: dict[bytes, Count]


# No row where it is there: who lost the connection at COMMIT asks again. The database waits for a COMMIT that is still
# under way.
_NOTE_BATCH = "INSERT INTO usage_batches (id, day) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING id"
# One statement for many rows: a driver that comes back for each waits, for each, until the checks that go on meanwhile
# let it (SQLite's are in this process). In one order, so that two processes that add at once wait for each other and
# not in a circle. Of credentials that a database lost, as one does that took over before it had all changes, nothing is
# added: the others' counts must not wait for these without end.
_ADD = {
    "sqlite": """
        INSERT INTO credential_usage (credential_id, day, allowed, denied)
        SELECT value ->> 0, $2, value ->> 1, value ->> 2 FROM json_each($1)
        WHERE EXISTS (SELECT 1 FROM credentials WHERE credentials.id = value ->> 0)
        ON CONFLICT (credential_id, day) DO UPDATE
        SET allowed = credential_usage.allowed + excluded.allowed, denied = credential_usage.denied + excluded.denied
    """,
    "postgres": """
        INSERT INTO credential_usage (credential_id, day, allowed, denied)
        SELECT credentials.id, $2, (value ->> 1)::bigint, (value ->> 2)::bigint
        FROM jsonb_array_elements($1::jsonb) JOIN credentials ON credentials.id = (value ->> 0)::uuid
        ORDER BY credentials.id
        ON CONFLICT (credential_id, day) DO UPDATE
        SET allowed = credential_usage.allowed + excluded.allowed, denied = credential_usage.denied + excluded.denied
    """,
}
_NOTE_USE = {
    "sqlite": """
        UPDATE credentials SET last_used_at = used.at
        FROM (SELECT value ->> 0 AS id, value ->> 3 AS at FROM json_each($1) WHERE value ->> 3 IS NOT NULL) AS used
        WHERE credentials.id = used.id AND credentials.last_used_at < used.at
    """,
    "postgres": """
        WITH used AS (
            SELECT (value ->> 0)::uuid AS id, (value ->> 3)::timestamptz AS at FROM jsonb_array_elements($1::jsonb)
        ), held AS (
            SELECT credentials.id, used.at FROM credentials JOIN used ON used.id = credentials.id
            WHERE credentials.last_used_at < used.at ORDER BY credentials.id FOR NO KEY UPDATE OF credentials
        )
        UPDATE credentials SET last_used_at = held.at FROM held WHERE credentials.id = held.id
    """,
}


# A day of a million credentials takes longer than anybody waits, or than a statement may.
_FORGOTTEN_AT_ONCE = 5_000
_FORGET = {
    "sqlite": "DELETE FROM {0} WHERE rowid IN (SELECT rowid FROM {0} WHERE day < ? LIMIT {1})",
    "postgres": "DELETE FROM {0} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {0} WHERE day < $1 LIMIT {1}))",
}


async def add_usage(batch: Batch) -> None:
    """Adds counts and notes last uses, all or nothing; nothing where that was done before."""
    rows = [_row(id_, count) for id_, count in sorted(batch.counts.items())]
    given = orjson.dumps(rows).decode()
    async with transaction() as connection:
        dialect = connection.capabilities.dialect
        note_batch, add, note_use = _NOTE_BATCH, _ADD[dialect], _NOTE_USE[dialect]
        if dialect == "sqlite":
            note_batch, add, note_use = (each.replace("$", "?") for each in (note_batch, add, note_use))
        if await connection.execute_query_dict(note_batch, [batch.id, batch.day]):
            await connection.execute_query(add, [given, batch.day])
            await connection.execute_query(note_use, [given])


def _row(id_: bytes, count: Count) -> tuple[str, int, int, str | None]:
    credential_id = UUID(hex=id_.rpartition(b"_")[2].decode())
    last_used_at = str(count.last_used_at) if count.last_used_at else None
    return str(credential_id), count.allowed, count.denied, last_used_at


async def forget_usage(before_day: str, *, batches_before_day: str) -> None:
    """Removes days, and notes of batches that were written, before these."""
    for table, day in (("credential_usage", before_day), ("usage_batches", batches_before_day)):
        while await _forget_some(table, day) == _FORGOTTEN_AT_ONCE:
            await let_others_write()


async def _forget_some(table: str, before_day: str) -> int:
    """How many rows were removed."""
    client = get_connections().get("default")
    statement = _FORGET[client.capabilities.dialect].format(table, _FORGOTTEN_AT_ONCE)
    forgotten, _ = await client.execute_query(statement, [before_day])
    return forgotten
