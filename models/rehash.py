"""Hashes of secrets, rewritten under a newer key of the server's."""

from collections.abc import Sequence
from typing import NamedTuple

import orjson

from models.database import transaction


class Rehash(NamedTuple):
    """One credential by its row's id: the key and hash that it had, and those that it is to have."""

    credential_id: str
    old_key_id: str
    old_hash: str
    new_key_id: str
    new_hash: str


# What has another hash by now stays as it is: another process was first. In one order, as in models.usage.
_REHASH = {
    "sqlite": """
        UPDATE credentials SET hashing_key_id = due.new_key, secret_hash = due.new_hash
        FROM (SELECT value ->> 0 AS id, value ->> 1 AS old_key, value ->> 2 AS old_hash, value ->> 3 AS new_key,
            value ->> 4 AS new_hash FROM json_each(?)) AS due
        WHERE credentials.id = due.id AND credentials.hashing_key_id = due.old_key
            AND credentials.secret_hash = due.old_hash
    """,
    "postgres": """
        WITH due AS (
            SELECT (value ->> 0)::uuid AS id, value ->> 1 AS old_key, value ->> 2 AS old_hash, value ->> 3 AS new_key,
                value ->> 4 AS new_hash FROM jsonb_array_elements($1::jsonb)
        ), held AS (
            SELECT credentials.id, due.new_key, due.new_hash FROM credentials JOIN due ON due.id = credentials.id
            WHERE credentials.hashing_key_id = due.old_key AND credentials.secret_hash = due.old_hash
            ORDER BY credentials.id FOR NO KEY UPDATE OF credentials
        )
        UPDATE credentials SET hashing_key_id = held.new_key, secret_hash = held.new_hash
        FROM held WHERE credentials.id = held.id
    """,
}


async def rehash(changes: Sequence[Rehash]) -> None:
    """Rewrites the hashes of those that still have the old one."""
    async with transaction() as connection:
        given = orjson.dumps([tuple(change) for change in sorted(changes)]).decode()
        await connection.execute_query(_REHASH[connection.capabilities.dialect], [given])
