"""Tortoise's PostgreSQL engine with connections that are neither lost nor waited for without end.

The stock transaction takes a connection from the pool and then begins. Who is cancelled in between, or finds that the
server has gone, never gives it back: after as many of these as the pool has connections, nobody gets one any more. And
the stock pool waits for one for as long as it takes, also where all of them wait for a server that the network has
lost.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base.client import (
    PoolConnectionWrapper,
    TransactionalDBClient,
    TransactionContext,
    TransactionContextPooled,
)
from tortoise.connection import get_connections

from models.postgres_hosts import Host, HostFinder

# By then one has come back, or the database is as good as unavailable.
_WAIT_SECONDS = 10


class PooledConnection(PoolConnectionWrapper[Any]):
    async def __aenter__(self) -> Any:
        await self.ensure_connection()
        self.connection = await _acquire(self.client._pool)
        return self.connection

    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        await _release(self.client._pool, self.connection, exc_val)


class PooledTransaction(TransactionContextPooled):
    async def __aenter__(self) -> TransactionalDBClient:
        await self.ensure_connection()
        pool = self.client._parent._pool
        self.client._connection = await _acquire(pool)
        try:
            await self.client.begin()
        except BaseException as error:
            _terminate(self.client._connection)
            await _release(pool, self.client._connection, error)
            raise
        self.token = get_connections().set(self.connection_name, self.client)
        return self.client

    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        get_connections().reset(self.token)
        connection = self.client._connection
        try:
            if not self.client._finalized:
                await self._end(exc_val)
        except BaseException as error:
            # Nobody knows what state it is in; the server rolls back what was not committed.
            _terminate(connection)
            if exc_val is None or not isinstance(error, Exception):
                raise
        finally:
            await _release(self.client._parent._pool, connection, exc_val)

    async def _end(self, error: BaseException | None) -> None:
        if error is None:
            await self.client.commit()
        elif not isinstance(error, TimeoutError):  # else the server is not asked for anything more
            async with asyncio.timeout(_WAIT_SECONDS):
                await self.client.rollback()


class PostgresClient(AsyncpgDBClient):
    def __init__(self, *, hosts: Sequence[Host] = (), **named: Any) -> None:
        super().__init__(**named)
        self._given = {"hosts": hosts, **named}
        self._ahead: PostgresClient | None = None
        self._connecting = {"connect": HostFinder(hosts).connect} if hosts else {}

    @property
    def place(self) -> str:
        """Where it is, for people: ` at db:5432`; nothing where the URL does not say."""
        hosts = self._given["hosts"] or ([Host(self.host, self.port or 5432)] if self.host else [])
        return f" at {', '.join(f'{host.name}:{host.port}' for host in hosts)}" if hosts else ""

    def unhurried(self) -> "PostgresClient":
        """Another one, with one connection, that waits for an answer as long as it takes."""
        return self._with_one_connection(command_timeout=None)

    def _with_one_connection(self, **named: Any) -> "PostgresClient":
        return PostgresClient(**{**self._given, "minsize": 1, "maxsize": 1, **named})

    async def ahead(self) -> "PostgresClient":
        """Another one with a single connection, for what must not wait until the others give one back. It is connected
        by then, which may take longer than whoever asks it then waits for an answer. Raises what the driver raises."""
        if self._ahead is None:
            self._ahead = self._with_one_connection()
        async with self._ahead.acquire_connection():
            return self._ahead

    async def close(self) -> None:
        if self._ahead is not None:
            await self._ahead.close()
        await super().close()

    def abandon(self) -> None:
        """Ends every connection at once: whoever waits for an answer is told that there is none."""
        for client in filter(None, (self, self._ahead)):
            if client._pool is not None:
                client._pool.terminate()

    async def create_pool(self, **named: Any) -> Any:
        return await asyncpg.create_pool(**named, **self._connecting)  # the stock method takes no address

    def acquire_connection(self) -> PooledConnection:
        return PooledConnection(self, self._pool_init_lock)

    def _in_transaction(self) -> TransactionContext:
        wrapper = cast(TransactionalDBClient, TransactionWrapper(self))
        return PooledTransaction(wrapper, self._pool_init_lock)


async def _acquire(pool: Any) -> Any:
    """Raises ConnectionError where none becomes free, and what the driver raises where it can't connect."""
    if pool.get_idle_size():
        return await pool.acquire()  # at once: a limit costs as much as the rest
    try:
        # Not the pool's own limit, which in Python 3.11 may swallow that somebody is cancelled.
        async with asyncio.timeout(_WAIT_SECONDS):
            return await pool.acquire()
    except TimeoutError:
        raise ConnectionError("No connection to the database became free.") from None


def _terminate(connection: Any) -> None:
    with suppress(asyncpg.InterfaceError):  # it has gone by itself
        connection.terminate()


async def _release(pool: Any, connection: Any, error: BaseException | None) -> None:
    """Its place in the pool is free then, whatever becomes of the connection."""
    if isinstance(error, TimeoutError):
        # The server has gone silent, since it ends what takes long by itself: the others lead there too.
        _terminate(connection)
        await pool.expire_connections()
    with suppress(Exception):  # what came of the last statement is known, and the driver has ended the connection
        await pool.release(connection, timeout=_WAIT_SECONDS)


client_class = PostgresClient
