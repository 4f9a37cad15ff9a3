"""A database that an earlier version or a later one has left, as it is told by the migrations that were run there."""

from collections.abc import Collection, Sequence

import asyncpg
from tortoise.exceptions import OperationalError

from models.database import DatabaseUnusable, as_unusable, fetch_rows, is_sqlite, known_migrations
from models.failures import is_unavailable
from models.reasons import cause_of

READABLE_SINCE = "m0009_server_keys"
"""From here on a schema has all that the audit log and what is known of the server's keys are read by."""


async def unknown_migrations() -> Sequence[str]:
    """The migrations in the connected database that this version does not know, in their order."""
    known = known_migrations()
    return [name for name in await _done() if name not in known]


async def is_behind() -> bool:
    """Whether the connected database lacks migrations of this version."""
    return not known_migrations() <= set(await _done())


async def is_empty() -> bool:
    """Whether nothing was ever made in the connected database."""
    return not await _done()


async def confirm_readable() -> None:
    """That the log and the keys in the connected database can be looked at, as it is. Raises DatabaseUnusable."""
    await _confirm([name for name in known_migrations() if name <= READABLE_SINCE])


async def confirm_newest() -> None:
    """That the connected database has the newest schema. Raises DatabaseUnusable."""
    await _confirm(known_migrations())


async def _confirm(needed: Collection[str]) -> None:
    done = await _done()
    if not done:
        raise DatabaseUnusable(
            "The database is empty. Does SEALKEY_DATABASE_URL, or SEALKEY_DATA_DIR, name the one that is meant?"
        )
    if not set(needed) <= set(done):
        raise DatabaseUnusable(
            "The database has the schema of an earlier version, which this command leaves as it is. Upgrade it first, "
            "or a copy of it: `sealkey db upgrade`."
        )


async def _done() -> Sequence[str]:
    try:
        rows = await fetch_rows("SELECT name FROM tortoise_migrations WHERE app = 'models' ORDER BY name")
    except OperationalError as error:
        if is_unavailable(error) or not _has_no_table(error):
            raise
        await _confirm_schema()
        return []
    return [name for (name,) in rows]


async def _confirm_schema() -> None:
    """That the role of the connection may look where tables are. Raises DatabaseUnusable."""
    if is_sqlite():
        return
    ((schema,),) = await fetch_rows("SELECT current_schema()")
    if schema is None:
        raise as_unusable(asyncpg.InvalidSchemaNameError("there is no schema that can be used"))


def _has_no_table(error: OperationalError) -> bool:
    cause = cause_of(error)
    return isinstance(cause, asyncpg.UndefinedTableError) or "no such table" in str(cause)
