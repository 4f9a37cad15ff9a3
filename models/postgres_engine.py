"""Tortoise's PostgreSQL engine with connections that are neither lost nor waited for without end.

The stock context keeps its connection for good when BEGIN fails, or when who asks is cancelled just then: after as many
as the pool holds, nobody gets one any more. And the stock pool waits for one for as long as it takes, also where all of
them wait for a server that the network has lost.
"""

from contextlib import suppress
from typing import Any, cast

from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base.client import (
    PoolConnectionWrapper,
    TransactionalDBClient,
    TransactionContext,
    TransactionContextPooled,
)
from tortoise.connection import get_connections

_POOL_SECONDS = 10


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
            self.client._connection.terminate()
            await _release(pool, self.client._connection, error)
            raise
        self.token = get_connections().set(self.connection_name, self.client)
        return self.client

    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        get_connections().reset(self.token)
        connection = self.client._connection
        try:
            if exc_val is None and not self.client._finalized:
                await self.client.commit()
            elif not self.client._finalized and not isinstance(exc_val, TimeoutError):
                await self.client.rollback()
        except BaseException as error:
            # Nobody knows what state it is in; the server rolls back what was not committed.
            connection.terminate()
            if exc_val is None:
                raise
            if not isinstance(error, Exception):
                raise
        finally:
            await _release(self.client._parent._pool, connection, exc_val)


class PostgresClient(AsyncpgDBClient):
    def acquire_connection(self) -> PooledConnection:
        return PooledConnection(self, self._pool_init_lock)

    def _in_transaction(self) -> TransactionContext:
        wrapper = cast(TransactionalDBClient, TransactionWrapper(self))
        return PooledTransaction(wrapper, self._pool_init_lock)


async def _acquire(pool: Any) -> Any:
    """Raises ConnectionError where none becomes free, and what the driver raises where it can't connect."""
    if pool.get_idle_size():
        return await pool.acquire()  # at once: a limit would cost a task of its own
    try:
        return await pool.acquire(timeout=_POOL_SECONDS)
    except TimeoutError:
        raise ConnectionError("No connection to the database became free.") from None


async def _release(pool: Any, connection: Any, error: BaseException | None) -> None:
    """Its place in the pool is free then, whatever becomes of the connection."""
    if isinstance(error, TimeoutError):
        # The server has gone silent, since it ends what takes long by itself: the others lead there too.
        connection.terminate()
        await pool.expire_connections()
    with suppress(Exception):  # what came of the last statement is known, and the driver has ended the connection
        await pool.release(connection)


client_class = PostgresClient
