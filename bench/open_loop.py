"""Load that does not wait for answers: so many requests a second arrive, whatever becomes of those before them, as from
many clients who know nothing of each other. wrk's connections wait each for its answer, and so hold back what a server
can't do."""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from urllib.parse import urlsplit

_GIVES_UP_AFTER = 10.0  # seconds
_TICK = 0.002


@dataclass
class Outcome:
    """Answers by status (0: none came in time), and seconds until those with 200 and those with another were there."""

    seconds: float
    statuses: Counter[int] = field(default_factory=Counter)
    good: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    @property
    def goodput(self) -> float:
        """Answers with 200 a second."""
        return len(self.good) / self.seconds

    def percentile(self, share: float, latencies: Sequence[float] | None = None) -> float:
        ordered = sorted(self.good if latencies is None else latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


class _Connection(asyncio.Protocol):
    """Sends one request at a time. What is answered says how long it is."""

    def __init__(self, load: "_Load") -> None:
        self._load = load
        self._buffer = b""
        self._asked_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes) -> None:
        self._asked_at = perf_counter()
        self._buffer = b""
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        lower = head.lower()
        _, _, after = lower.partition(b"content-length: ")
        length = int(after.partition(b"\r\n")[0] or b"0")
        if len(body) >= length:
            self._load.answered(int(head[9:12]), perf_counter() - self._asked_at)
            if b"connection: close" in lower:
                self._transport.close()
            else:
                self._load.idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(self)


class _Load:
    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.idle: deque[_Connection] = deque()
        self.open = 0

    def answered(self, status: int, seconds: float) -> None:
        self.outcome.statuses[status] += 1
        (self.outcome.good if status == 200 else self.outcome.refused).append(seconds)

    def lost(self, connection: _Connection) -> None:
        self.open -= 1
        if connection in self.idle:
            self.idle.remove(connection)


async def ask_at_rate(address: str, requests: Sequence[bytes], *, per_second: float, seconds: float) -> Outcome:
    """Sends the requests in turn, so many a second, each on a connection that is idle or on a new one."""
    url, loop = urlsplit(address), asyncio.get_running_loop()
    load = _Load(Outcome(seconds))
    asked, began, opening = 0, perf_counter(), set[asyncio.Task[None]]()

    async def open_and_ask(request: bytes) -> None:
        _, connection = await loop.create_connection(lambda: _Connection(load), str(url.hostname), url.port or 80)
        load.open += 1
        connection.ask(request)

    while (passed := perf_counter() - began) < seconds:
        due = int(passed * per_second)
        while asked < due:
            request = requests[asked % len(requests)]
            if load.idle:
                load.idle.pop().ask(request)
            else:
                task = asyncio.create_task(open_and_ask(request))
                opening.add(task)
                task.add_done_callback(opening.discard)
            asked += 1
        await asyncio.sleep(_TICK)
    give_up = perf_counter() + _GIVES_UP_AFTER
    while load.outcome.statuses.total() < asked and perf_counter() < give_up:  # noqa: ASYNC110  (as good as any)
        await asyncio.sleep(_TICK)
    load.outcome.statuses[0] += asked - load.outcome.statuses.total()
    for connection in load.idle.copy():
        connection._transport.close()
    return load.outcome


def post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nHost: sealkey.example\r\nContent-Type: application/json\r\n{lines}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
