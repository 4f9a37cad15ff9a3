"""HTTP as cheap as it can be asked in Python, and whether an answer came."""

import asyncio
import itertools
from asyncio import StreamReader, StreamWriter
from dataclasses import dataclass, field
from typing import Any

import orjson

_SECONDS = 20


class Lost(Exception):
    """No answer came. Nobody knows whether anything was done."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


_connections = itertools.count()


def _source() -> str:
    """Each connection's own address: a sign-in whose server is killed counts as a try in vain, of which a source has
    some."""
    number = next(_connections)
    return f"127.{1 + number // 62_500 % 250}.{number // 250 % 250}.{1 + number % 250}"


@dataclass
class Wire:
    """Keeps a connection to each port of this machine that it is used with. For one request at a time."""

    _kept: dict[int, tuple[StreamReader, StreamWriter]] = field(default_factory=dict)

    async def ask(
        self, port: int, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """The answer to a GET, or with a body to a POST of JSON. Raises Lost."""
        try:
            async with asyncio.timeout(_SECONDS):
                if port not in self._kept:
                    self._kept[port] = await asyncio.open_connection("127.0.0.1", port, local_addr=(_source(), 0))
                reader, writer = self._kept[port]
                writer.write(_request(path, headers or {}, body))
                return await _answer(reader)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self.drop(port)
            raise Lost(str(error)) from None
        except asyncio.CancelledError:
            self.drop(port)
            raise

    def drop(self, port: int) -> None:
        """Lets a connection go, at once."""
        if port in self._kept:
            _, writer = self._kept.pop(port)
            writer.transport.abort()

    def close(self) -> None:
        for port in list(self._kept):
            self.drop(port)


def _request(path: str, headers: dict[str, str], body: bytes | None) -> bytes:
    if body is not None:
        headers = {**headers, "Content-Type": "application/json", "Content-Length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    method = "GET" if body is None else "POST"
    return f"{method} {path} HTTP/1.1\r\nHost: sealkey.example\r\n{lines}\r\n".encode() + (body or b"")


async def _answer(reader: StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ", 2)[1])
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return Answer(status, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
