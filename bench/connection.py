"""One connection to a server, kept open: for what is measured answer by answer."""

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """Asks one thing at a time. Raises OSError where there is no answer in time, and connects anew afterwards."""

    def __init__(self, address: str, *, timeout: float = 30) -> None:
        parts = urlsplit(address)
        self._place, self._timeout = (str(parts.hostname), int(parts.port or 80)), timeout
        self._socket: socket.socket | None = None

    def ask(self, request: bytes) -> Answer:
        try:
            if self._socket is None:
                self._socket = socket.create_connection(self._place, self._timeout)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(request)
            return self._read(self._socket)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _read(self, connected: socket.socket) -> Answer:
        received = b""
        while b"\r\n\r\n" not in received:
            received += _some(connected)
        head, _, body = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(body) < int(headers.get("content-length", "0")):
            body += _some(connected)
        return Answer(int(first.split(" ")[1]), headers, body)


def _some(connected: socket.socket) -> bytes:
    received = connected.recv(65_536)
    if not received:
        raise ConnectionResetError("the server closed the connection")
    return received


def get(path: str, headers: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "sealkey.example", **headers}.items())
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()


def graphql(document: str, variables: dict[str, object], token: str) -> bytes:
    body = orjson.dumps({"query": document, "variables": variables})
    headers = {
        "Host": "sealkey.example",
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /graphql HTTP/1.1\r\n{lines}\r\n".encode() + body
