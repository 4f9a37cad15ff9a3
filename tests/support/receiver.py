"""An account's own server, to be told of events: real sockets, and the public library of Standard Webhooks."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self
from unittest.mock import patch

from standardwebhooks import Webhook


@dataclass(frozen=True)
class Message:
    """A request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def type(self) -> str:
        return str(json.loads(self.body)["type"])

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.body)["data"]
        return data

    def but(self, **headers: str) -> Self:
        """The same with other headers: webhook_id is webhook-id."""
        return replace(self, headers={**self.headers, **{name.replace("_", "-"): to for name, to in headers.items()}})

    def verify(self, secret: str, now: datetime) -> Any:
        """What the public library makes of it at an instant. Raises WebhookVerificationError."""

        with at(now):
            return Webhook(secret).verify(self.body, self.headers)


@contextmanager
def at(now: datetime) -> Iterator[None]:
    """Inside, the public library takes this instant for the present."""

    class At(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(now.timestamp(), tz)

    with patch("standardwebhooks.webhooks.datetime", At):
        yield


Answer = Callable[[Message], int]


class Receiver:
    """Keeps what it is sent, and answers each message with a status: 204, or what `answer` says."""

    def __init__(self, scheme: str, port: int) -> None:
        self.scheme, self.port = scheme, port
        self.messages: list[Message] = []
        self.more_headers: dict[str, str] = {}
        self.answer: Answer = lambda _: 204
        self._came = threading.Condition()

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def take(self) -> list[Message]:
        """What came since this was asked last."""
        with self._came:
            taken, self.messages = self.messages, []
        return taken

    def wait_for(self, number: int) -> list[Message]:
        """So many messages, once they have come."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.messages) >= number, 30), f"{len(self.messages)} came"
        return self.take()

    def receive(self, message: Message) -> int:
        with self._came:
            self.messages.append(message)
            self._came.notify_all()
        return self.answer(message)


@contextmanager
def running_receiver(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver on a free port of the loopback address."""

    class Handler(_Handler):
        receiver = Receiver("https" if tls else "http", 0)

    with _Server(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        Handler.receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
        thread.start()
        try:
            yield Handler.receiver
        finally:
            server.shutdown()
            thread.join(30)


class _Server(ThreadingHTTPServer):
    request_queue_size = 100
    # An answer that a test still holds back keeps nobody from stopping.
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Somebody who hung up, or did not like the certificate, is no news."""


class _Handler(BaseHTTPRequestHandler):
    receiver: ClassVar[Receiver]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status = self.receiver.receive(Message(self.path, headers, body))
        self.send_response(status)
        for name, value in self.receiver.more_headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Says nothing."""
