"""Tortoise's SQLite engine with transactions that can be relied on.

A transaction that reads before it writes must say so when it begins: after a plain BEGIN another process's write
between the two makes SQLite fail at once, whatever the busy timeout. So every transaction here begins IMMEDIATE.

All share one connection, so that none may leave it behind in a transaction: where COMMIT or ROLLBACK fails, as they do
on a full disk, the stock context lets every later BEGIN fail; and it keeps the connection's lock when beginning fails,
or who asks is cancelled just then. This one rolls back, and where that fails opens another connection. A thread does
what the connection is asked for, also for who is cancelled and no longer waits: so a transaction that nobody waits for
is rolled back before anybody else's turn, or what others write would be part of it and never committed.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

from tortoise.backends.base.client import ConnectionWrapper, TransactionalDBClient, TransactionContext
from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionContext, SqliteTransactionWrapper
from tortoise.connection import get_connections
from tortoise.exceptions import DBConnectionError, OperationalError

# In WAL mode readers wait for nobody, but for a moment while another process recovers the file.
_READER_SECONDS = 0.25


class CurrentConnection(ConnectionWrapper[Any]):
    """The connection there is once it is this one's turn, which may be another than when it began to wait."""

    async def __aenter__(self) -> Any:
        await self._lock.acquire()
        try:
            self.connection = self.client._connection
            await self.ensure_connection()
        except BaseException:
            self._lock.release()
            raise
        return self.connection


class ImmediateTransaction(SqliteTransactionWrapper):
    async def begin(self) -> None:
        try:
            await self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise OperationalError(error) from error

    async def execute_script(self, query: str) -> None:
        # The stock method commits what is open before it runs.
        for statement in query.split(";"):
            if statement.strip():
                await self.execute_query(statement)


class ImmediateTransactionContext(SqliteTransactionContext):
    async def __aenter__(self) -> TransactionalDBClient:
        await self._trxlock.acquire()
        try:
            self.connection._connection = self.connection._parent._connection
            await self.ensure_connection()
            await self.connection.begin()
        except BaseException:
            await self._undo()
            raise
        self.token = get_connections().set(self.connection_name, self.connection)
        return cast(TransactionalDBClient, self.connection)

    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        get_connections().reset(self.token)
        if exc_type is not None:
            return await self._undo()
        try:
            if not self.connection._finalized:
                await self.connection.commit()
        except BaseException:
            await self._undo()
            raise
        self._trxlock.release()
        return None

    async def _undo(self) -> None:
        """Also where who asked is cancelled: what the connection's thread was told before, it still does."""
        await asyncio.shield(asyncio.ensure_future(self._roll_back()))

    async def _roll_back(self) -> None:
        try:
            if self.connection._connection:
                await self.connection._connection.rollback()  # nothing, where nothing is open
        except (Exception, asyncio.CancelledError):  # noqa: BLE001  (whatever it is, this connection is of no use)
            await self.connection._parent.start_over()
        finally:
            self._trxlock.release()


class ImmediateSqliteClient(SqliteClient):
    _reader: sqlite3.Connection | None = None

    async def create_connection(self, with_db: bool) -> None:
        try:
            await super().create_connection(with_db)
        except BaseException:
            await self.start_over()  # without its pragmas it would keep no foreign key
            raise

    async def start_over(self) -> None:
        """Lets go of the connection: who needs one next opens it."""
        connection, self._connection = self._connection, None
        if connection:
            with suppress(Exception):
                await connection.close()

    def read_row(self, query: str, values: Sequence[Any]) -> Any:
        """One row, read where the call is made, on a connection of its own that changes nothing. Asking the thread
        of the other connection costs ten times what reading a row by its index does."""
        try:
            if self._reader is None:
                self._reader = sqlite3.connect(f"file:{self.filename}?mode=rw", uri=True, timeout=_READER_SECONDS)
                self._reader.execute("PRAGMA query_only = ON")
                # Of a million credentials, what leads to each; 2 MB is SQLite's own.
                self._reader.execute("PRAGMA cache_size = -4000")
            return self._reader.execute(query, values).fetchone()
        except sqlite3.Error as error:
            # Whatever it was, the next one begins anew: the file may have been there for the last time, or be back.
            self._close_reader()
            is_wrong = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
            raise (OperationalError if is_wrong else DBConnectionError)(error) from error

    async def close(self) -> None:
        self._close_reader()
        await super().close()

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def acquire_connection(self) -> CurrentConnection:
        return CurrentConnection(self._lock, self)

    def _in_transaction(self) -> TransactionContext:
        return ImmediateTransactionContext(ImmediateTransaction(self), self._lock)


client_class = ImmediateSqliteClient
