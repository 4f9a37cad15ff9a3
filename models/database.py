"""The one door to the database: connecting, and transactions."""

import asyncio
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, NamedTuple, TypeVar, cast

import asyncpg
from tortoise import Tortoise
from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.backends.base.client import TransactionalDBClient
from tortoise.backends.base.config_generator import expand_db_url
from tortoise.backends.sqlite.client import SqliteClient
from tortoise.connection import get_connections
from tortoise.exceptions import ConfigurationError
from tortoise.models import Model
from tortoise.queryset import QuerySet
from tortoise.transactions import in_transaction

from models import migrations
from models.failures import OF_DATABASE, is_unavailable
from models.postgres_engine import PostgresClient
from models.postgres_hosts import split_hosts
from models.postgres_url import understood, unreadable
from models.reasons import cause_of
from models.sqlite_engine import ImmediateSqliteClient
from models.sqlite_errors import has_no_room, unusable
from models.sqlite_file import confirm_usable
from models.unusable import DatabaseUnusable as DatabaseUnusable  # noqa: PLC0414  (by this name here too)
from models.unusable import in_words

Row = TypeVar("Row", bound=Model)
Answer = TypeVar("Answer")

APP = {
    "models": [
        f"models.{module}"
        for module in (
            "account",
            "user",
            "access_token",
            "identity",
            "service",
            "credential",
            "audit",
            "server_key",
            "throttle",
            "idempotent_answer",
            "usage",
            "webhook",
            "revoked_token",
            "check_epoch",
        )
    ],
    "default_connection": "default",
    "migrations": "models.migrations",
}
_POSTGRES_SETTINGS = {
    # A stuck statement, a lock never given up or a client that died in a transaction must not hold others up.
    "statement_timeout": "15s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "30s",
    "timezone": "UTC",
}
_POSTGRES_SECONDS = {
    # A server that ends what takes longer than above, but does not say so, is not there any more.
    "command_timeout": 20,
    # As long may connecting take.
    "timeout": 10,
}
_SQLITE_PRAGMAS = {
    # An acknowledged change survives a power cut; with Tortoise's own journal_mode=WAL and foreign_keys=ON.
    "synchronous": "FULL",
    "busy_timeout": 10_000,
    # REPLACE removes rows; only with this do the triggers that refuse it hear of that.
    "recursive_triggers": "ON",
}
# Where Tortoise writes its statements.
_LOGGER = logging.getLogger("tortoise.db_client")
# What was read is judged within this time of having been asked for, or not at all: less than the second after which a
# change counts everywhere.
_ANSWER_SECONDS = 0.9
# Longer than most transactions.
_OTHERS_SECONDS = 0.05
# asyncio itself keeps no task from being collected.
_left: set[asyncio.Future[Any]] = set()


def _read_url(url: str) -> dict[str, Any]:
    try:
        url, hosts = split_hosts(url)
        config = expand_db_url(url)
    except (ConfigurationError, ValueError):
        # Not chained: what can't be read may be a part of the password.
        raise unreadable() from None
    if hosts:
        config["credentials"]["hosts"] = hosts
    return config


def file_of(url: str) -> Path | None:
    """The file of a SQLite database, whether it is there or not; None for another kind. Raises DatabaseUnusable."""
    return Path(_read_url(url)["credentials"]["file_path"]) if url.startswith("sqlite:") else None


def confirm_there(url: str) -> None:
    """That there is a file where a SQLite database is to be, since connecting makes one. Raises DatabaseUnusable."""
    file = file_of(url)
    if file is not None and not file.is_file():
        raise DatabaseUnusable(f"There is no database {file}.")


def _connection(url: str, pool_size: int) -> dict[str, Any]:
    config = _read_url(url)
    credentials = config["credentials"]
    if url.startswith("sqlite:"):
        _make_private(file := Path(credentials["file_path"]))
        confirm_usable(file)
        config["engine"] = "models.sqlite_engine"
        config["credentials"] = {**_SQLITE_PRAGMAS, **credentials}
    else:
        config["engine"] = "models.postgres_engine"
        config["credentials"] = {
            "maxsize": pool_size,
            "reset": _leave_as_it_is,
            # What a standby answers may be long past; where it is promoted, it is connected to then. Of several servers
            # the one that takes writes is looked for.
            "target_session_attrs": "read-write" if "hosts" in credentials else "primary",
            **_POSTGRES_SECONDS,
            **understood(credentials),
            "server_settings": {"application_name": "sealkey", **_POSTGRES_SETTINGS},
        }
    return config


async def _leave_as_it_is(_connection: Any) -> None:
    """In the place of a statement each time that a connection is given back: nothing here changes a connection for
    longer than a transaction, and one that was left open is rolled back all the same."""


def _make_private(file: Path) -> None:
    """A new database is its owner's alone; SQLite gives the files beside it the same mode."""
    if file.exists():
        return
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnusable(
            f"{file.parent} can't be the directory of the database: {error.strerror}: {error.filename}. Does "
            "SEALKEY_DATA_DIR, or SEALKEY_DATABASE_URL, name the one that is meant?"
        ) from None
    file.touch(mode=0o600)


@asynccontextmanager
async def connected(url: str, *, pool_size: int = 10) -> AsyncIterator[None]:
    """Models work inside: connects to `sqlite://…` or `postgres://…`, and lets go of every connection at the end.
    Raises DatabaseUnusable."""
    config = {
        "connections": {"default": _connection(url, pool_size)},
        "apps": {"models": APP},
        "use_tz": True,
        "timezone": "UTC",
    }
    # Requests run in other tasks than the one that connects, hence the fallback.
    context = await Tortoise.init(config=config, _enable_global_fallback=True)
    try:
        await _reach()
        yield
    except BrokenPipeError:
        raise  # of whoever reads what is printed: of a connection's the drivers tell by errors of their own
    except OF_DATABASE as error:
        if not is_unavailable(error):
            raise
        raise as_unusable(error) from error
    finally:
        await _end_what_was_left()
        await context.close_connections()


async def _reach() -> None:
    try:
        await ping()
    except Exception as error:  # noqa: BLE001  (each driver raises what it likes)
        raise as_unusable(error) from None


def as_unusable(error: Exception) -> DatabaseUnusable:
    """An error of the database's as a sentence about it."""
    cause, client = cause_of(error), get_connections().get("default")
    if isinstance(cause, sqlite3.Error) and isinstance(client, ImmediateSqliteClient):
        return unusable(Path(client.filename), cause)
    place = client.place if isinstance(client, PostgresClient) else ""
    return DatabaseUnusable(f"The database{place} can't be used: {in_words(cause)}{_remedy(cause)}")


def _remedy(cause: BaseException) -> str:
    """What to do where the role of the URL lacks a right, or a schema."""
    if isinstance(cause, asyncpg.InsufficientPrivilegeError):
        return (
            ". The role in SEALKEY_DATABASE_URL lacks that right. As the database's owner: ALTER DATABASE … OWNER TO "
            "that role, or GRANT USAGE, CREATE ON SCHEMA … TO it; where another role upgrades the schema, the rights "
            "in docs/operating.md, under PostgreSQL"
        )
    if isinstance(cause, asyncpg.InvalidSchemaNameError):
        return (
            ". The schema that SEALKEY_DATABASE_URL names (?schema=…, otherwise public) is not there, or its role may "
            "not use it: CREATE SCHEMA … AUTHORIZATION that role, or GRANT USAGE, CREATE ON SCHEMA … TO it"
        )
    return ""


def transaction() -> AbstractAsyncContextManager[TransactionalDBClient]:
    """Everything inside happens, or nothing does. On SQLite one writes at a time, deployment-wide."""
    return in_transaction("default")


def locked(rows: QuerySet[Row]) -> QuerySet[Row]:
    """The same rows, held against changes by others until the transaction ends.

    FOR NO KEY UPDATE: who only refers to such a row, as each audit event does to its actor, need not wait for it, and
    so can't wait in a circle. On SQLite the transaction as a whole is held against others already.
    """
    return rows.select_for_update(no_key=True)


async def let_others_write() -> None:
    """Between the transactions of what takes many of them: on SQLite who waits looks only every tenth of a second
    whether the file is free, and would hardly ever meet the moment. On PostgreSQL nobody waits for that."""
    await asyncio.sleep(_OTHERS_SECONDS if is_sqlite() else 0)


async def ahead() -> Any:
    """A client that does not wait for what others do with the database: on PostgreSQL by a connection of its own, which
    there is by then. Raises what the driver raises."""
    client = get_connections().get("default")
    return await client.ahead() if isinstance(client, PostgresClient) else client


async def fetch_row(query: str, *values: Any, using: Any = None) -> Any:
    """The columns of one row, or None: past the models, for what is asked thousands of times a second. Placeholders
    are $1, and the row is one that is committed. `using`: another client. Raises what the driver raises."""
    client = using or get_connections().get("default")
    if isinstance(client, ImmediateSqliteClient):
        return read_row_here(query, *values)
    _LOGGER.debug("%s: %s", query, values)
    async with client.acquire_connection() as connection:
        return await connection.fetchrow(query, *values)


async def fetch_rows(query: str, *values: Any) -> Sequence[Sequence[Any]]:
    """The rows of a query with placeholders as in `fetch_row`, as the driver gives them: past the models, for those who
    read millions. Raises what Tortoise raises."""
    client = get_connections().get("default")
    _, rows = await client.execute_query(query.replace("$", "?") if is_sqlite() else query, list(values))
    return cast(Sequence[Sequence[Any]], rows)


async def answered_soon(asking: Coroutine[Any, Any, Answer]) -> Answer:
    """What the database is asked for, if it answers soon; else raises TimeoutError, which means that it is unavailable.

    A server that neither answers nor goes away is not waited for: what can't be decided is not allowed. Who asks is
    left to itself then, since the driver gives its connection back only when the server has answered."""
    asked = asyncio.ensure_future(asking)
    _left.add(asked)
    asked.add_done_callback(_left.discard)
    done, _ = await asyncio.wait({asked}, timeout=_ANSWER_SECONDS)
    if not done:
        asked.cancel()
        raise TimeoutError
    return asked.result()


async def _end_what_was_left() -> None:
    """What nobody waits for any more may be connecting still."""
    loop = asyncio.get_running_loop()
    left = [asked for asked in _left if asked.get_loop() is loop]
    for asked in left:
        asked.cancel()
    await asyncio.gather(*left, return_exceptions=True)


class Connections(NamedTuple):
    """Of this process to PostgreSQL: how many there may be, are, and are in use; and who waits for one."""

    most: int
    open: int
    in_use: int
    waiting: int


def connections() -> Connections | None:
    """On SQLite None."""
    pool = getattr(get_connections().get("default"), "_pool", None)
    if pool is None:
        return None
    size = pool.get_size()
    # Who waits, the pool does not tell: it is whom its queue has promised a connection.
    waiting = sum(not promised.done() for promised in pool._queue._getters)
    return Connections(pool.get_max_size(), size, size - pool.get_idle_size(), waiting)


def abandon() -> None:
    """Ends every connection to PostgreSQL at once: whoever waits for an answer is told that there is none."""
    client = get_connections().get("default")
    if isinstance(client, PostgresClient):
        client.abandon()


def traceable_clients() -> list[type]:
    """The classes whose methods execute statements, inside of transactions and outside."""
    return [SqliteClient] if is_sqlite() else [AsyncpgDBClient]


def dialect() -> str:
    """sqlite or postgres."""
    return str(get_connections().get("default").capabilities.dialect)


def is_sqlite() -> bool:
    return dialect() == "sqlite"


def read_row_here(query: str, *values: Any) -> Any:
    """As `fetch_row`, at once: on SQLite."""
    client = get_connections().get("default")
    assert isinstance(client, ImmediateSqliteClient)  # noqa: S101  (who asks has asked for that)
    _LOGGER.debug("%s: %s", query, values)
    return client.read_row(query.replace("$1", "?"), values)


def hold_connection() -> AbstractAsyncContextManager[Any]:
    """A connection of PostgreSQL's driver for as long as it is held."""
    connection: AbstractAsyncContextManager[Any] = get_connections().get("default").acquire_connection()
    return connection


async def ping() -> None:
    """Asks the database for an answer; raises what the driver raises when there is none."""
    await get_connections().get("default").execute_query("SELECT 1")


class Condition(NamedTuple):
    """Whether the database takes no writes; whether SQLite's disk has next to no room left; whether it lacks migrations
    of this version's, and has some of later ones'."""

    is_read_only: bool
    is_full: bool
    is_behind: bool
    is_ahead: bool


async def condition() -> Condition:
    """Raises what the driver raises."""
    client = get_connections().get("default")
    rows = await client.execute_query_dict("SELECT name FROM tortoise_migrations WHERE app = 'models'")
    done, known = {row["name"] for row in rows}, known_migrations()
    return Condition(await _is_read_only(client), _is_full(client), bool(known - done), bool(done - known))


async def _is_read_only(client: Any) -> bool:
    if isinstance(client, ImmediateSqliteClient):
        file = Path(client.filename)
        return not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK))
    (row,) = await client.execute_query_dict("SELECT current_setting('transaction_read_only') AS value")
    return bool(row["value"] == "on")


def _is_full(client: Any) -> bool:
    """PostgreSQL's disk is not to be seen from here."""
    return isinstance(client, ImmediateSqliteClient) and has_no_room(Path(client.filename).parent)


@cache
def known_migrations() -> frozenset[str]:
    """The names of this version's."""
    return frozenset(module.name for module in iter_modules(migrations.__path__) if module.name.startswith("m"))
