"""Everything in the database, to see what has changed in it and what has not."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Protocol

import asyncpg

Row = frozenset[tuple[str, str]]
Dump = dict[str, frozenset[Row]]
Changes = dict[str, tuple[list[dict[str, str]], list[dict[str, str]]]]

# When somebody was last here is noted whatever comes of it, and messages that are there are tried again meanwhile.
_BESIDE_THE_POINT = {"last_seen_at", "last_used_at", "attempts", "next_attempt_at"}


class Tables(Protocol):
    """A connection of the test's own."""

    def dump(self) -> Dump: ...


def changes(before: Dump, after: Dump) -> Changes:
    """For each table that has changed, the rows that have gone and those that have come; of a row that was changed,
    the one before and the one after."""
    return {
        table: (_readable(before[table] - after[table]), _readable(after[table] - before[table]))
        for table in before
        if before[table] != after[table]
    }


@contextmanager
def opened(database_url: str) -> Iterator[Tables]:
    if database_url.startswith("sqlite:"):
        path = database_url.removeprefix("sqlite://")
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            yield _Sqlite(connection)
    else:
        with asyncio.Runner() as runner:
            connection = runner.run(asyncpg.connect(database_url))
            yield _Postgres(runner, connection)
            runner.run(connection.close())


class _Sqlite:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.row_factory = sqlite3.Row

    def dump(self) -> Dump:
        names = [name for (name,) in self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: _rows(self._connection.execute(f'SELECT * FROM "{name}"')) for name in names}


class _Postgres:
    def __init__(self, runner: asyncio.Runner, connection: Any) -> None:
        self._runner = runner
        self._connection = connection

    def dump(self) -> Dump:
        return self._runner.run(self._dump())

    async def _dump(self) -> Dump:
        tables = await self._connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        names = [name for (name,) in tables]
        return {name: _rows(await self._connection.fetch(f'SELECT * FROM "{name}"')) for name in names}


def _rows(rows: Any) -> frozenset[Row]:
    dicts = [dict(row) for row in rows]
    return frozenset(
        frozenset((name, str(value)) for name, value in row.items() if name not in _BESIDE_THE_POINT) for row in dicts
    )


def _readable(rows: frozenset[Row]) -> list[dict[str, str]]:
    return [dict(sorted(row)) for row in rows]
