"""What tests of throttling share."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from models.database import connected
from tests.plugins.play import StartPlay, Theatre
from tests.support.server import LARGE_DOCUMENTS
from tests.support.world import Play

Run = Callable[[Awaitable[Any]], Any]


@pytest.fixture
def run(database_url: str) -> Iterator[Run]:
    """Awaits what it is given, with the models connected to a database."""

    async def awaited(something: Awaitable[Any]) -> Any:
        return await something

    with asyncio.Runner() as runner:
        connection = AsyncExitStack()
        runner.run(connection.enter_async_context(connected(database_url)))
        yield lambda something: runner.run(awaited(something))
        runner.run(connection.aclose())


@pytest.fixture
def play(theatre: Theatre) -> Iterator[Play]:
    """One whose documents may hold many tries: what throttles is not their size."""
    with theatre.new(**LARGE_DOCUMENTS) as play:
        yield play


@pytest.fixture
def proxied(start_play: StartPlay) -> Play:
    """A server behind a proxy on this machine: X-Forwarded-For says where a client is."""
    return start_play(trusted_proxies=("127.0.0.0/8",), **LARGE_DOCUMENTS)
