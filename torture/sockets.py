"""Raw bytes over real sockets, made out of good requests: in pieces, one after the other without waiting, too long, cut
short and closed in the midst. Whatever comes of it, nothing is left over, and the next is served."""

import asyncio
import re
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import Hashable, Sequence
from contextlib import suppress
from io import StringIO
from random import Random
from time import monotonic

from tests.access.stage import Stage
from torture.mutating import Mutator

SHARE = 30
"""Of how many of a thousand cases."""
_DOCUMENTED = {101, 200, 307, 400, 401, 403, 404, 405, 406, 408, 413, 414, 415, 426, 429, 431, 503}
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_FAULTS = ("Traceback", "Exception", "fault ", "Fatal", "never retrieved")
# What does not come so long after the last has been answered, or waits for more.
_QUIET, _LONGEST = 0.03, 0.3
_AT_REST_WITHIN = 10.0
_VIEWER = b'{"query": "{ viewer { role } }"}'
_SUBSCRIPTION = b'{"query": "subscription { credentialChanged { eventType } }"}'
# As large as nothing may be, and more than there may be.
_TOO_MUCH = [b"a" * 70_000, b"a" * 140_000, b"\r\na: b" * 300, b"\r\n" * 70_000, b" " * 70_000]


def seeds(stage: Stage) -> Sequence[bytes]:
    """Good requests, some several at a time."""
    json = (b"Content-Type: application/json",)
    member = f"Authorization: Bearer {stage.play.member.token}".encode()
    administrator = f"Authorization: Bearer {stage.play.administrator.token}".encode()
    gateway = b"X-Sealkey-Gateway-Token: " + stage.mine.gateway_token.encode()
    upgrade = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13")
    socket_key = (b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", b"Sec-WebSocket-Protocol: graphql-transport-ws")
    chunks = b"%x\r\n%b\r\n5;a=b\r\n     \r\n0\r\nTrailer: a\r\n\r\n" % (len(_VIEWER), _VIEWER)
    operation = _request(b"POST /graphql", *json, member, body=_VIEWER)
    check = _request(b"GET /verify?service=alder", gateway, b"X-API-Key: a", b"X-API-Secret: b")
    health = _request(b"GET /healthz")
    return [
        operation,
        _request(b"GET /graphql?query=%7B__typename%7D", member),
        _request(b"POST /graphql", *json, member, b"Transfer-Encoding: chunked") + chunks,
        _request(b"POST /graphql", *json, member, b"Expect: 100-continue", body=_VIEWER),
        _request(b"POST /graphql", *json, member, body=_VIEWER + b" " * 70_000),
        _request(b"POST /graphql", *json, member, b"Accept: text/event-stream", body=_SUBSCRIPTION),
        _request(b"GET /graphql", *upgrade, *socket_key) + b"\x81\x80\0\0\0\0",
        _request(b"POST /graphql", *json, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", body=_VIEWER),
        _request(b"POST /v2/login", *json, body=b'{"api_key": "a", "api_secret": "b"}'),
        _request(b"POST /oauth/token", b"Content-Type: application/x-www-form-urlencoded", body=b"grant_type=x"),
        _request(b"GET /audit/export?format=csv", administrator),
        operation.replace(b"HTTP/1.1", b"HTTP/1.0"),
        operation.replace(b"POST", b"HEAD"),
        _request(b"CONNECT sealkey.example:443"),
        _request(b"GET http://sealkey.example/graphql?query=%7B__typename%7D"),
        check,
        check + operation + health + check,
        health + _request(b"POST /graphql", *json, b"Connection: close", body=_VIEWER) + health,
    ]


def _request(line: bytes, *headers: bytes, body: bytes | None = None) -> bytes:
    length = [b"Content-Length: %d" % len(body)] if body is not None else []
    return b"\r\n".join([line + b" HTTP/1.1", b"Host: sealkey.example", *headers, *length, b"", body or b""])


class Sockets:
    """A client of the stage's server. Everything it does follows from the seed."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self._server = stage.play.server
        self._port = int(self._server.url.rpartition(":")[2])
        self._good = seeds(stage)[0]
        self._random = Random(seed)
        self.mutator = Mutator(seeds(stage), seed)

    def next(self) -> bytes:
        data, chance = self.mutator.next(), self._random
        if chance.random() < 0.1:
            at = chance.randrange(len(data) + 1)
            data = data[:at] + chance.choice(_TOO_MUCH) + data[at:]
        return data

    async def send(self, data: bytes) -> Hashable:
        """The statuses of what was answered. Raises AssertionError where one is not documented."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        received = b""
        with suppress(OSError):
            for piece in self._in_pieces(data):
                writer.write(piece)
                await asyncio.sleep(0)
            if self._random.random() < 0.8:
                received = await _received(reader)
        self._end(writer)
        statuses = [int(status) for status in _STATUS.findall(received)]
        assert not received or _STATUS.match(received), received[:300]
        assert {*statuses} <= _DOCUMENTED | {100}, received[:300]
        return tuple(statuses[:5])

    def _in_pieces(self, data: bytes) -> list[bytes]:
        ends = sorted(self._random.randrange(len(data) + 1) for _ in range(self._random.choice((0, 0, 1, 3))))
        return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]

    def _end(self, writer: StreamWriter) -> None:
        """Closes the connection in one of the ways there are."""
        chance = self._random.random()
        with suppress(OSError):  # the server has closed it before
            if chance < 0.3:
                reset = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        writer.transport.abort() if chance < 0.5 else writer.close()

    async def ask(self) -> None:
        """Raises AssertionError where a good request is not answered as ever."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(self._good)
        answer = await _received(reader, until=b'"MEMBER"')
        writer.close()
        assert answer.startswith(b"HTTP/1.1 200 "), answer[:300]
        assert b'"MEMBER"' in answer, answer[:300]

    async def come_to_rest(self, log: StringIO) -> None:
        """Raises AssertionError where something is left, or a fault was logged."""
        give_up = monotonic() + _AT_REST_WITHIN
        while (left := self._left()) and monotonic() < give_up:  # noqa: ASYNC110  (another thread's loop)
            await asyncio.sleep(0.01)
        assert not left, f"left over: {left}"
        told = [line for line in log.getvalue().splitlines() if any(word in line for word in _FAULTS)]
        assert not told, told[:3]

    def _left(self) -> dict[str, int]:
        state = self._server.app.state
        left = {"connections": len(self._server.connections)}
        for name in ("gate", "checks_gate"):
            gate = getattr(state, name)
            left |= {f"{name}.{what}": getattr(gate, what) for what in ("at_work", "waiting", "received")}
        return {name: number for name, number in left.items() if number}


async def _received(reader: StreamReader, until: bytes | None = None) -> bytes:
    """What comes until nothing does for a while, or `until` has."""
    received, give_up = b"", monotonic() + (_LONGEST if until is None else 20)
    while monotonic() < give_up and not (until and until in received):
        try:
            piece = await asyncio.wait_for(reader.read(65_536), _QUIET if until is None else 20)
        except TimeoutError:
            break
        if not piece:
            break
        received += piece
    return received
