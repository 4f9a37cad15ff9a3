"""Tortoise's PostgreSQL engine, which loses no connection.

The stock transaction takes a connection from the pool and then begins. Who is cancelled in between, or finds that the
server has gone, never gives it back: after as many of these as the pool has connections, nobody gets one any more. This
one gives it back. Where all connections are in use, nobody waits for one for ever either.

An address may name several servers: the one that takes writes is used.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base.client import (
    PoolConnectionWrapper,
    TransactionalDBClient,
    TransactionContext,
    TransactionContextPooled,
)
from tortoise.connection import get_connections

# As long as the server lets a statement take: by then one has come back, or the database is as good as unavailable.
_WAIT_SECONDS = 15
_SEVERAL = re.compile(r"^(postgres://(?:[^/?#]*@)?)([^/?#@]+,[^/?#@]+)(|[/?#].*)$")
_HOST = re.compile(r"(\[[^\]]+\]|[^:\[\]]+)(?::(\d{1,5}))?")


class Host(NamedTuple):
    name: str
    port: int


def split_hosts(url: str) -> tuple[str, Sequence[Host]]:
    """A URL with several hosts (as libpq has it: `postgres://…@one:5432,other:5432/…`) as one with the first of them,
    and all; of any other, the same and none. Raises ValueError."""
    found = _SEVERAL.match(url)
    if not found:
        return url, ()
    before, hosts, after = found.groups()
    return f"{before}{hosts.partition(',')[0]}{after}", [_host(host) for host in hosts.split(",")]


def _host(text: str) -> Host:
    found = _HOST.fullmatch(text)
    if not found:
        raise ValueError("this is no host")
    return Host(found[1].strip("[]"), int(found[2] or 5432))


async def _take(pool: Any) -> Any:
    # Not the pool's own timeout, which in Python 3.11 may swallow that somebody is cancelled.
    async with asyncio.timeout(_WAIT_SECONDS):
        return await pool.acquire()


async def _give_back(pool: Any, connection: Any) -> None:
    """To be repaired or thrown away by the pool; also for who is cancelled meanwhile."""
    await pool.release(connection, timeout=_WAIT_SECONDS)


class Connection(PoolConnectionWrapper[Any]):
    async def __aenter__(self) -> Any:
        await self.ensure_connection()
        self.connection = await _take(self.client._pool)
        return self.connection

    async def __aexit__(self, *_: object) -> None:
        await _give_back(self.client._pool, self.connection)


class Transaction(TransactionContextPooled):
    __slots__ = ("_pool",)

    async def __aenter__(self) -> TransactionalDBClient:
        await self.ensure_connection()
        self._pool = self.client._parent._pool
        self.client._connection = await _take(self._pool)
        try:
            await self.client.begin()
        except BaseException:
            await asyncio.shield(self._throw_away())
            raise
        self.token = get_connections().set(self.connection_name, self.client)
        return self.client

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        get_connections().reset(self.token)
        try:
            if not self.client._finalized:
                await self._end(is_done=kind is None)
        except BaseException:
            await asyncio.shield(self._throw_away())
            raise
        await _give_back(self._pool, self.client._connection)

    async def _end(self, *, is_done: bool) -> None:
        if is_done:
            await self.client.commit()
        else:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self.client.rollback()

    async def _throw_away(self) -> None:
        """Nobody knows what it was in the middle of: the server rolls that back once it is closed. The pool makes
        another in its place."""
        with suppress(Exception):
            await self.client._connection.close(timeout=_WAIT_SECONDS)


class PostgresClient(AsyncpgDBClient):
    def __init__(self, *, hosts: Sequence[Host] = (), **named: Any) -> None:
        super().__init__(**named)
        if hosts:
            self.host: Any = [host.name for host in hosts]
            self.port: Any = [host.port for host in hosts]
            self.extra.setdefault("target_session_attrs", "read-write")

    def acquire_connection(self) -> Connection:
        return Connection(self, self._pool_init_lock)

    def _in_transaction(self) -> TransactionContext:
        return Transaction(TransactionWrapper(self), self._pool_init_lock)


client_class = PostgresClient
