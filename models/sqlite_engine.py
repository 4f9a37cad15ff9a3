"""Tortoise's SQLite engine with transactions that can be relied on.

A transaction that reads before it writes must say so when it begins: after a plain BEGIN another process's write
between the two makes SQLite fail at once, whatever the busy timeout. So every transaction here begins IMMEDIATE. The
stock context also keeps the connection's lock when beginning fails; this one gives it back.
"""

import sqlite3
from typing import cast

from tortoise.backends.base.client import TransactionalDBClient, TransactionContext
from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionContext, SqliteTransactionWrapper
from tortoise.connection import get_connections
from tortoise.exceptions import OperationalError


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
            await self.ensure_connection()
            await self.connection.begin()
        except BaseException:
            self._trxlock.release()
            raise
        self.token = get_connections().set(self.connection_name, self.connection)
        return cast(TransactionalDBClient, self.connection)


class ImmediateSqliteClient(SqliteClient):
    def _in_transaction(self) -> TransactionContext:
        return ImmediateTransactionContext(ImmediateTransaction(self), self._lock)


client_class = ImmediateSqliteClient
