"""Load by a loop that is closed, where so many ask again once they were answered, and who was refused when it is told
to, or open, where requests arrive at random instants of a rate (a Poisson process) whatever becomes of those before
them.

In an open loop a latency is counted from the instant at which the request was to arrive, also where it had to wait for
a connection: what a slow server delays is not left out. How late the generator itself is, which shares the machine with
the server, is measured with each arrival.
"""

import asyncio
from array import array
from collections import Counter, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from random import Random
from time import monotonic
from typing import Protocol, cast

_TICK = 0.001
_ANSWERED_WITHIN = 4.0  # seconds, at the end
GIVES_UP_AFTER = 10.0  # seconds, as whoever asks would
_BODY = b"\r\n\r\n"
_LENGTH = b"content-length: "
_RETRY_AFTER = b"retry-after: "
_REFUSALS = frozenset({429, 503})

Learn = Callable[[int, bytes], bool]
"""Status and body of an answer; whether it is what it should be."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it is sent, what kind it is of, and who wants to know the answer."""

    kind: str
    request: bytes
    learn: Learn


class Source(Protocol):
    """Where requests come from."""

    def next(self) -> Asked: ...


@dataclass
class Tally:
    """What came of a load. Latencies are in seconds; `seconds` is how long it went on."""

    seconds: float = 0
    asked: int = 0
    good: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    """503 and 429, which say when to come back."""
    wrong: Counter[str] = field(default_factory=Counter)
    """Other answers than there should be, by kind and status."""
    examples: dict[str, bytes] = field(default_factory=dict)
    unanswered: int = 0
    accepted: "array[float]" = field(default_factory=lambda: array("f"))
    turned_away: "array[float]" = field(default_factory=lambda: array("f"))
    late: "array[float]" = field(default_factory=lambda: array("f"))
    """By how much the generator sent later than it should have, while a connection was free."""
    good_in_second: Counter[int] = field(default_factory=Counter)

    @property
    def goodput(self) -> float:
        return self.good.total() / self.seconds

    def goodput_without(self, kinds: Collection[str]) -> float:
        """Of all other kinds."""
        return sum(count for kind, count in self.good.items() if kind not in kinds) / self.seconds

    def worst_goodput(self, over: int = 10) -> float:
        """Of the worst so many seconds in a row."""
        counts = [self.good_in_second[second] for second in range(int(self.seconds))]
        if len(counts) <= over:
            return self.goodput
        return min(sum(counts[first : first + over]) for first in range(len(counts) - over + 1)) / over

    def note(self, asked: Asked, status: int, head: bytes, body: bytes, latency: float, at: float) -> None:
        if status in _REFUSALS:
            asked.learn(status, body)
            if _RETRY_AFTER in head:
                self.refused[asked.kind] += 1
                self.turned_away.append(latency)
                return
        elif asked.learn(status, body):
            self.good[asked.kind] += 1
            self.good_in_second[int(at)] += 1
            self.accepted.append(latency)
            return
        what = f"{asked.kind} {status}"
        self.wrong[what] += 1
        self.examples.setdefault(what, head + b"\n" + body[:500])


def percentile(latencies: "array[float]", share: float) -> float:
    """0 where there is none."""
    ordered = sorted(latencies)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def _number(head: bytes, name: bytes) -> int:
    """What a header says, 0 where it is not there. The server writes names in small letters."""
    place = head.find(name)
    return int(head[place + len(name) : head.find(b"\r", place)]) if place >= 0 else 0


class _Connection(asyncio.Protocol):
    """Sends one request at a time."""

    def __init__(self, load: "_Load") -> None:
        self._load = load
        self._buffer = b""
        self._asked: Asked | None = None
        self._since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, asked: Asked, since: float) -> None:
        self._asked, self._since, self._buffer = asked, since, b""
        self._transport.write(asked.request)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer = self._buffer + data if self._buffer else data
        end = buffer.find(_BODY)
        if end < 0:
            return
        head = buffer[: end + 2]
        length = _number(head, _LENGTH)
        body = buffer[end + len(_BODY) :]
        if len(body) >= length and self._asked:
            asked, self._asked = self._asked, None
            self._load.answered(self, asked, int(head[9:12]), head, body, self._since)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(self, self._asked)

    @property
    def is_asking(self) -> bool:
        return self._asked is not None

    def close(self) -> None:
        """What was asked for and not answered by now is given up."""
        self._load.tally.unanswered += self.is_asking
        self._asked = None
        self._transport.abort()


class _Load:
    def __init__(self, port: int, source: Source) -> None:
        self._port, self._source = port, source
        self.tally = Tally()
        self.idle: deque[_Connection] = deque()
        self._connections: set[_Connection] = set()
        self._waiting: deque[tuple[Asked, float]] = deque()
        self._is_closed_loop = self._over = False
        self._began = monotonic()
        self.lost_connections = 0

    async def connect(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(count):
            _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._port)
            self._connections.add(connection)
            self.idle.append(connection)

    async def closed(self, seconds: float) -> Tally:
        """Each connection asks again once it was answered, or when it was told to come again."""
        self._is_closed_loop, self._began = True, monotonic()
        while self.idle:
            self._ask_next(self.idle.popleft())
        await asyncio.sleep(seconds)
        return await self._end()

    async def open(self, per_second: float, seconds: float, random: Random) -> Tally:
        """So many arrive each second."""
        began = self._began = due = monotonic()
        while (now := monotonic()) - began < seconds:
            while due <= now:
                self._arrive(due, now)
                due += random.expovariate(per_second)
                now = monotonic()
            await asyncio.sleep(max(0, min(_TICK, due - now)))
        return await self._end()

    def _arrive(self, due: float, now: float) -> None:
        self.tally.asked += 1
        asked = self._source.next()
        if self.idle:
            self.tally.late.append(now - due)
            self.idle.popleft().ask(asked, due)
        else:
            self._waiting.append((asked, due))

    def _ask_next(self, connection: _Connection) -> None:
        if self._over:
            return
        self.tally.asked += 1
        connection.ask(self._source.next(), monotonic())

    def answered(
        self, connection: _Connection, asked: Asked, status: int, head: bytes, body: bytes, since: float
    ) -> None:
        now = monotonic()
        self.tally.note(asked, status, head, body, now - since, now - self._began)
        if self._over:
            return
        if self._is_closed_loop:
            if pause := _number(head, _RETRY_AFTER) if status in _REFUSALS else 0:
                asyncio.get_running_loop().call_later(pause, self._ask_next, connection)
            else:
                self._ask_next(connection)
            return
        while self._waiting:
            waiting, due = self._waiting.popleft()
            if now - due < GIVES_UP_AFTER:
                connection.ask(waiting, due)
                return
            self.tally.unanswered += 1
        self.idle.append(connection)

    def lost(self, connection: _Connection, asked: Asked | None) -> None:
        self._connections.discard(connection)
        if asked or not self._over:
            self.tally.wrong["connection lost"] += 1

    async def _end(self) -> Tally:
        self.tally.seconds = monotonic() - self._began
        self._over = True
        give_up_at = monotonic() + _ANSWERED_WITHIN
        while self._is_asking() and monotonic() < give_up_at:  # noqa: ASYNC110  (as good as any)
            await asyncio.sleep(0.01)
        self.tally.unanswered += len(self._waiting)
        for connection in list(self._connections):
            connection.close()
        await asyncio.sleep(0)
        return self.tally

    def _is_asking(self) -> bool:
        return any(connection.is_asking for connection in self._connections)


async def closed_loop(port: int, source: Source, *, connections: int, seconds: float) -> Tally:
    load = _Load(port, source)
    await load.connect(connections)
    return await load.closed(seconds)


async def open_loop(
    port: int, source: Source, *, per_second: float, connections: int, seconds: float, random: Random
) -> Tally:
    load = _Load(port, source)
    await load.connect(connections)
    return await load.open(per_second, seconds, random)
