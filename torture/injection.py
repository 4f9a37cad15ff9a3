"""Makes the nth statement of a request fail, where the driver would: below everything of ours.

Only statements of requests count, not those of what the server does beside them.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import aiosqlite
import asyncpg
from starlette.types import Receive, Scope, Send

from models.sqlite_engine import ImmediateSqliteClient
from server.app import Server

MARK = "what the driver says, which is nobody's business"
Run = Callable[[], Awaitable[Any]]
Fail = Callable[[Any, Callable[[str], Awaitable[Any]]], Coroutine[Any, Any, None]]
"""Of a connection, and of how a statement is run on it: raises what the driver would."""


@dataclass
class Plan:
    """Which statement of the next request fails, from 1 on, and how.

    too_late: after it was executed, if it is COMMIT; others do not fail then.
    rollback_too: the ROLLBACK that follows fails as well.
    """

    at: int
    fail: Fail
    too_late: bool = False
    rollback_too: bool = False
    statements: list[str] = field(default_factory=list)
    hit: str = ""
    """The statement that failed."""
    is_over: bool = False

    async def run(self, connection: Any, statement: str, run: Run, execute: Callable[[str], Awaitable[Any]]) -> Any:
        if self.is_over:
            return await run()
        if self.hit:
            if self.rollback_too and statement.startswith("ROLLBACK"):
                self.rollback_too = False
                await self.fail(connection, execute)
            return await run()
        self.statements.append(statement)
        is_commit = statement.startswith("COMMIT")
        if len(self.statements) != self.at or (self.too_late and not is_commit):
            return await run()
        self.hit = statement
        if self.too_late:
            await run()
        await self.fail(connection, execute)
        raise AssertionError("it did not fail")


_of_request: ContextVar[Plan | None] = ContextVar("plan", default=None)


class Injection:
    """What the next request is in for."""

    plan: Plan | None = None

    @contextmanager
    def planned(self, plan: Plan) -> Iterator[None]:
        self.plan = plan
        try:
            yield
        finally:
            plan.is_over, self.plan = True, None


@contextmanager
def injecting() -> Iterator[Injection]:
    """Servers started inside fail as planned."""
    injection, serve = Injection(), Server.__call__

    async def call(server: Server, scope: Scope, receive: Receive, send: Send) -> None:
        _of_request.set(injection.plan)
        await serve(server, scope, receive, send)

    with ExitStack() as patches:
        patches.enter_context(patch.object(Server, "__call__", call))
        for name in ("execute", "fetch", "fetchrow", "fetchval", "executemany"):
            patches.enter_context(_patched_postgres(name))
        for name in ("execute", "execute_insert", "execute_fetchall", "executemany", "commit", "rollback"):
            patches.enter_context(_patched_sqlite(name))
        patches.enter_context(_patched_reader())
        yield injection


def _patched_postgres(name: str) -> Any:
    real, execute = getattr(asyncpg.Connection, name), asyncpg.Connection.execute

    async def method(connection: Any, statement: str, *arguments: Any, **named: Any) -> Any:
        plan = _of_request.get()

        async def run() -> Any:
            return await real(connection, statement, *arguments, **named)

        async def alone(other: str) -> Any:
            return await execute(connection, other)

        return await (plan.run(connection, statement, run, alone) if plan else run())

    return patch.object(asyncpg.Connection, name, method)


def _patched_sqlite(name: str) -> Any:
    real = getattr(aiosqlite.Connection, name)

    async def method(connection: Any, *arguments: Any) -> Any:
        plan = _of_request.get()

        async def run() -> Any:
            return await real(connection, *arguments)

        async def alone(_other: str) -> Any:
            raise AssertionError("only of PostgreSQL")

        statement = arguments[0] if arguments else name.upper()
        return await (plan.run(connection, statement, run, alone) if plan else run())

    return patch.object(aiosqlite.Connection, name, method)


class _FaultyReader:
    """In the place of the connection that rows are read on without waiting."""

    def __init__(self, fail: Fail) -> None:
        self._fail = fail

    def execute(self, *_arguments: Any) -> Any:
        coroutine = self._fail(None, lambda _other: _nothing())
        coroutine.send(None)  # it waits for nothing

    def close(self) -> None:
        pass


async def _nothing() -> None:
    pass


def _patched_reader() -> Any:
    real = ImmediateSqliteClient.read_row

    def read_row(client: ImmediateSqliteClient, query: str, values: Any) -> Any:
        plan = _of_request.get()
        if plan and not plan.hit and not plan.is_over and not query.startswith("PRAGMA"):
            plan.statements.append(query)
            if len(plan.statements) == plan.at and not plan.too_late:
                plan.hit = query
                client._close_reader()
                client._reader = _FaultyReader(plan.fail)  # type: ignore[assignment]
        return real(client, query, values)

    return patch.object(ImmediateSqliteClient, "read_row", read_row)


def _postgres_error(sqlstate: str) -> Fail:
    """The server's own: a transaction is of no use afterwards."""

    async def fail(_connection: Any, execute: Callable[[str], Awaitable[Any]]) -> None:
        await execute(
            f"DO $$BEGIN RAISE EXCEPTION '{MARK.replace(chr(39), chr(39) * 2)}' USING ERRCODE = '{sqlstate}'; END$$"
        )

    return fail


async def _lost(connection: Any, _execute: Any) -> None:
    connection.terminate()
    raise asyncpg.ConnectionDoesNotExistError(MARK)


async def _silent(_connection: Any, _execute: Any) -> None:
    raise TimeoutError(MARK)


async def _terminated(_connection: Any, execute: Callable[[str], Awaitable[Any]]) -> None:
    await execute("SELECT pg_terminate_backend(pg_backend_pid())")


def _sqlite_error(code: int, kind: type[sqlite3.Error] = sqlite3.OperationalError) -> Fail:
    async def fail(_connection: Any, _execute: Any) -> None:
        error = kind(MARK)
        error.sqlite_errorcode = code
        raise error

    return fail


KINDS: Mapping[str, Mapping[str, Fail]] = {
    "postgres": {
        "connection lost": _lost,
        "backend terminated": _terminated,
        "no answer": _silent,
        "statement timeout": _postgres_error("57014"),
        "lock timeout": _postgres_error("55P03"),
        "deadlock": _postgres_error("40P01"),
        "serialization failure": _postgres_error("40001"),
        "disk full": _postgres_error("53100"),
        "I/O error": _postgres_error("58030"),
        "read-only": _postgres_error("25006"),
        "forbidden": _postgres_error("42501"),
        "damaged": _postgres_error("XX001"),
    },
    "sqlite": {
        "I/O error": _sqlite_error(sqlite3.SQLITE_IOERR),
        "disk full": _sqlite_error(sqlite3.SQLITE_FULL),
        "locked": _sqlite_error(sqlite3.SQLITE_BUSY),
        "read-only": _sqlite_error(sqlite3.SQLITE_READONLY),
        "file gone": _sqlite_error(sqlite3.SQLITE_CANTOPEN),
        "damaged": _sqlite_error(sqlite3.SQLITE_CORRUPT, sqlite3.DatabaseError),
    },
}
