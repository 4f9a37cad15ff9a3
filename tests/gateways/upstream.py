"""What a gateway stands between: an API that tells what it was asked, and the wire to Sealkey, on which all is seen."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson


@dataclass(frozen=True, repr=False)  # what it holds is secret
class Asked:
    """A request as it reached the API: header names in lower case, and each header as often as it came."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body_sha256: str

    def header(self, name: str) -> str | None:
        """The only one of this name."""
        values = [value for key, value in self.headers if key == name.lower()]
        assert len(values) <= 1, f"{name} came more than once"
        return values[0] if values else None


class ToyApi:
    """An API that is glad of every request, and remembers it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[Asked] = []


@contextmanager
def toy_api() -> Iterator[ToyApi]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.body()
            headers = [(name.lower(), value) for name, value in self.headers.items()]
            api.asked.append(Asked(self.command, self.path, headers, sha256(body).hexdigest()))
            content = orjson.dumps({"hello": self.path})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = bytearray()
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return bytes(body)

        do_GET = do_POST = answer  # noqa: N815  (what the base class looks for)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  (its name in the base class)
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        api = ToyApi(server.server_address[1])
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield api
        server.shutdown()


@dataclass(repr=False)  # what it holds is secret
class Wire:
    """A port whose connections lead to another, which may change; what is sent to there is kept."""

    port: int
    to_port: int
    sent: bytearray = field(default_factory=bytearray)


@contextmanager
def tapped_wire(to_port: int) -> Iterator[Wire]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = Wire(listener.getsockname()[1], to_port)
        threading.Thread(target=_accept, args=[listener, wire], daemon=True).start()
        yield wire
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, wire: Wire) -> None:
    with suppress(OSError):  # once the listener is closed
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_carry, args=[client, wire], daemon=True).start()


def _carry(client: socket.socket, wire: Wire) -> None:
    with client, suppress(OSError), socket.create_connection(("127.0.0.1", wire.to_port)) as server:
        back = threading.Thread(target=_copy, args=[server, client, None], daemon=True)
        back.start()
        _copy(client, server, wire.sent)
        back.join(30)


def _copy(source: socket.socket, target: socket.socket, kept: bytearray | None) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if kept is not None:
                kept += data
            target.sendall(data)
    # Whichever side ends, the other learns of it.
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
