"""The way of a database to the newest schema, while servers of the version before use it.

On PostgreSQL a statement that waits for a table makes everybody wait who comes after it, readers too. So it waits for
a moment only; where somebody holds the table for longer (a backup does, or an export), all is undone and tried again
after a pause in which the others go on. That has no end: a server that can't be upgraded yet is not started, and says
what it waits for.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, NamedTuple

import asyncpg
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.connection import get_connections
from tortoise.migrations.executor import MigrationExecutor

from models.database import APP, as_unusable, connected
from models.failures import is_unavailable
from models.postgres_engine import PostgresClient
from models.reasons import cause_of
from models.schema_age import is_behind
from models.sqlite_errors import is_damage

_LOCK = 7_345_209_113
# Less than a check waits for what it asks.
_WAIT_FOR_TABLE = "400ms"
_TRY_AGAIN_AFTER = 2.0
_LOOK_AGAIN_AFTER = 0.2
# Ordinarily others are done by then, and nobody wants to know.
_TELL_AFTER = 10.0
_TELL_EVERY = 60.0
_LOGGER = logging.getLogger(__name__)


async def migrate(url: str) -> None:
    """Connects to a database and brings it to the newest schema."""
    async with connected(url):
        await upgrade()


async def upgrade() -> None:
    """Brings the connected database to the newest schema, from any earlier one, an empty one included.

    Any number of processes may start at once: the first holds a lock, the others wait and find nothing to do. A
    migration and the note that it ran are one transaction, so a crash leaves the database as it was. Raises
    DatabaseUnusable where it is damaged or can't be reached any more, or where on SQLite somebody else holds it for too
    long.
    """
    try:
        # A role that may only use what is there can serve.
        if await is_behind():
            async with _unhurried() as client:
                await _upgrade(client)
    except Exception as error:
        cause = cause_of(error)
        if not is_unavailable(error) and not (isinstance(cause, sqlite3.Error) and is_damage(cause)):
            raise
        raise as_unusable(error) from None


@asynccontextmanager
async def _unhurried() -> AsyncIterator[BaseDBAsyncClient]:
    """A client of which a statement may take as long as it does."""
    client = get_connections().get("default")
    if not isinstance(client, PostgresClient):
        yield client
        return
    other = client.unhurried()
    try:
        yield other
    finally:
        await other.close()


class _Obstacle(NamedTuple):
    text: str
    """Who is in the way."""
    try_again_after: float


async def _upgrade(client: BaseDBAsyncClient) -> None:
    tell_at = monotonic() + _TELL_AFTER
    while obstacle := await _try(client):
        if monotonic() >= tell_at:
            _LOGGER.warning("The database is not upgraded yet: %s.", obstacle.text)
            tell_at = monotonic() + _TELL_EVERY
        await asyncio.sleep(obstacle.try_again_after)


async def _try(client: BaseDBAsyncClient) -> _Obstacle | None:
    """What was in the way, if anything; the database is as it was then."""
    try:
        async with client._in_transaction() as connection:
            if isinstance(client, PostgresClient) and not await _is_the_only_one(connection):
                return _Obstacle("another process is upgrading it", _LOOK_AGAIN_AFTER)
            await _run(connection)
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
        return _Obstacle(f"a table is in use{await _oldest_transaction(client)}", _TRY_AGAIN_AFTER)
    return None


async def _is_the_only_one(connection: Any) -> bool:
    """Until the transaction ends. What it executes waits for a table for a moment, and takes as long as it does."""
    await connection.execute_query(f"SET LOCAL lock_timeout = '{_WAIT_FOR_TABLE}'")
    await connection.execute_query("SET LOCAL statement_timeout = 0")
    (row,) = await connection.execute_query_dict(f"SELECT pg_try_advisory_xact_lock({_LOCK}) AS taken")
    return bool(row["taken"])


async def _run(connection: Any) -> None:
    executor = MigrationExecutor(connection, {"models": APP})
    # First of all the table of what ran: asking for it where it is missing would end the transaction.
    await executor.recorder.ensure_schema(executor._schema_editor(atomic=False))
    # The executor would take it for none that ran where that can't be read.
    await connection.execute_query(f"SELECT name FROM {executor.recorder.table_name}")  # noqa: S608
    await executor.migrate()


async def _oldest_transaction(client: BaseDBAsyncClient) -> str:
    """Most likely the one that is waited for; nothing where the database tells this role of none."""
    rows = await client.execute_query_dict(
        "SELECT pid, coalesce(nullif(application_name, ''), backend_type) AS name, "
        "extract(epoch FROM clock_timestamp() - xact_start)::int AS seconds FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL "
        "ORDER BY xact_start LIMIT 1"
    )
    return "".join(
        f"; the oldest transaction is that of process {row['pid']} ({row['name']}), since {row['seconds']} s"
        for row in rows
    )
