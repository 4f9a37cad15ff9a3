"""What is in a database, seen past the server: for what no field shows, and for changing what no mutation changes."""

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import asyncpg

Dump = dict[str, list[tuple[Any, ...]]]

# The log of what happened; a refusal may be told there, and is no change.
LOG = frozenset({"audit_events", "audit_chains"})
_TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    "postgres": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
}


def row_id(global_id: str) -> str:
    """The row's id in a global id, as SQL takes it on both engines."""
    return str(UUID(hex=global_id.rpartition("_")[2]))


def literal(value: object) -> str:
    """A value as SQL that both engines take, an instant as Tortoise writes it on SQLite."""
    match value:
        case None:
            return "NULL"
        case bool() | int():
            return str(value).upper()
        case datetime():
            return f"'{value.isoformat(' ')}'"
    text = str(value).replace("'", "''")
    return f"'{text}'"


def insertion(table: str, *rows: Mapping[str, Any]) -> str:
    """The statement that adds rows with the same columns."""
    values = ", ".join(f"({', '.join(literal(value) for value in row.values())})" for row in rows)
    return f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES {values}"


class Rows:
    """The tables of a database, by statements that both engines take."""

    def __init__(self, database_url: str) -> None:
        self.url = database_url
        self.engine = database_url.partition(":")[0]

    @cached_property
    def _tables(self) -> list[str]:
        return sorted(str(name) for (name,) in self.execute(_TABLES[self.engine]))

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Runs a statement by itself, and answers its rows."""
        return self._run([statement])[0]

    def insert(self, table: str, *rows: Mapping[str, Any]) -> None:
        """Adds rows with the same columns, in this order and in one statement."""
        if rows:
            self.execute(insertion(table, *rows))

    def set(self, table: str, global_id: str, assignments: str) -> None:
        """Changes the row with an id; `assignments` is what stands after SET."""
        self.execute(f"UPDATE {table} SET {assignments} WHERE id = '{row_id(global_id)}'")

    def dump(self, without: frozenset[str] = frozenset()) -> Dump:
        """Every row of every table."""
        tables = [table for table in self._tables if table not in without]
        rows = self._run([f'SELECT * FROM "{table}"' for table in tables])
        return {table: sorted(found, key=repr) for table, found in zip(tables, rows, strict=True)}

    @contextmanager
    def unchanged(self, without: frozenset[str] = frozenset()) -> Iterator[None]:
        """What is done inside leaves every row as it was."""
        before = self.dump(without)
        yield
        assert self.dump(without) == before

    def _run(self, statements: list[str]) -> list[list[tuple[Any, ...]]]:
        if self.engine == "sqlite":
            return self._run_sqlite(statements)
        return asyncio.run(self._run_postgres(statements))

    def _run_sqlite(self, statements: list[str]) -> list[list[tuple[Any, ...]]]:
        path = self.url.removeprefix("sqlite://")
        with closing(sqlite3.connect(path, timeout=10)) as connection, connection:
            return [connection.execute(statement).fetchall() for statement in statements]

    async def _run_postgres(self, statements: list[str]) -> list[list[tuple[Any, ...]]]:
        connection = await asyncpg.connect(self.url)
        try:
            return [[tuple(row) for row in await connection.fetch(statement)] for statement in statements]
        finally:
            await connection.close()
