"""A network between the server and its database, which can fail in the ways that networks do."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """What becomes of connections: those there are, and new ones."""

    WHOLE = "whole"
    CUT = "cut"
    """They are reset, and new ones too."""
    BLACK_HOLE = "black hole"
    """Nothing comes through and nobody is told of it."""
    HALF_OPEN = "half-open"
    """Nothing comes through those there were, as when a firewall has forgotten them; new ones are as ever."""
    SLOW = "slow"
    """Everything takes its time."""


_SECONDS = 0.05


class Network:
    """Runs in a thread of its own. What is sent to `port` goes to `target`, a port of this machine."""

    port: int

    def __init__(self, target: int) -> None:
        self.target = target
        self._state = State.WHOLE
        self._connections: set[_Connection] = set()
        self._listens = threading.Event()

    def become(self, state: State) -> None:
        async def change() -> None:
            self._state = state
            if state in {State.CUT, State.WHOLE}:
                # Once it is whole again, who waits in a connection of before learns that it is no more.
                for connection in [each for each in self._connections if state is State.CUT or each.is_lost]:
                    connection.reset()
            if state in {State.BLACK_HOLE, State.HALF_OPEN}:
                for connection in self._connections:
                    connection.is_lost = True

        self._wait_for(change())

    def lead_to(self, target: int) -> None:
        """Another server takes the place of the one there was."""
        self.target = target
        self.become(State.CUT)
        self.become(State.WHOLE)

    @contextmanager
    def running(self) -> Iterator["Network"]:
        thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        thread.start()
        if not self._listens.wait(10):
            raise RuntimeError("the network did not start")
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._over.set)
            thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listens.set()
        await self._over.wait()
        server.close()
        for connection in list(self._connections):
            connection.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(writer)
        self._connections.add(connection)
        try:
            if self._state is State.CUT:
                return
            connection.is_lost = self._state is State.BLACK_HOLE
            while connection.is_lost:  # noqa: ASYNC110  (it is for a test)
                await asyncio.sleep(_SECONDS)
            to, back = await asyncio.open_connection("127.0.0.1", self.target)
            connection.other = back
            await asyncio.gather(self._carry(connection, reader, back), self._carry(connection, to, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(connection)
            connection.reset()

    async def _carry(
        self, connection: "_Connection", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65_536):
            while connection.is_lost and not writer.is_closing():  # noqa: ASYNC110  (as above)
                await asyncio.sleep(_SECONDS)
            if self._state is State.SLOW:
                await asyncio.sleep(_SECONDS)
            writer.write(data)
            await writer.drain()
        connection.reset()

    def _wait_for(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)


class _Connection:
    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.other: asyncio.StreamWriter | None = None
        self.is_lost = False

    def reset(self) -> None:
        self.is_lost = False
        for writer in (self._writer, self.other):
            with suppress(Exception):
                if writer:
                    writer.transport.abort()
