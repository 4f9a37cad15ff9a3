"""Those who watch: over server-sent events, and over a WebSocket by graphql-transport-ws."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import httpx
import orjson
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.support.server import Client
from tests.support.used import USED

CHANGES = """subscription Changes {
    credentialChanged { eventType occurredAt credential { id name status usable blockers service { code } } }
}"""
PATIENCE = 10


class EventStream:
    """An answer of server-sent events, one by one."""

    def __init__(self, response: httpx.Response, document: str) -> None:
        self.response, self.document = response, document
        self._lines = response.iter_lines()

    def first(self) -> Any:
        """What it ended with before it began; None where it has begun."""
        line = next(self._lines)
        return None if line == ":" else orjson.loads(next(self._lines).removeprefix("data: "))

    def next(self) -> tuple[str, Any]:
        """The next event and its data; comments are passed over."""
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line and fields:
                data = fields.get("data")
                return fields["event"], orjson.loads(data) if data else None
            name, _, value = line.partition(":")
            if name:
                fields[name] = value.removeprefix(" ")
        raise AssertionError(f"the stream ended, after {fields}")

    def has_broken_off(self) -> bool:
        """Whether it ends with nothing more, and no `complete`."""
        return not any(self._lines)

    def change(self) -> Any:
        """The change that the next event is."""
        event, body = self.next()
        assert (event, "errors" in body) == ("next", False), body
        USED.record(self.document, {}, body["data"])
        return body["data"]["credentialChanged"]

    def told(self) -> tuple[str, str]:
        """Of the next change, its type and the credential's name."""
        change = self.change()
        return change["eventType"], change["credential"]["name"]

    def ended_with(self) -> str:
        """The code of the error that it ends with."""
        event, body = self.next()
        assert (event, list(body)) == ("next", ["errors"]), body
        assert self.next() == ("complete", None)
        code: str = body["errors"][0]["extensions"]["code"]
        return code


@contextmanager
def streaming(client: Client, document: str = CHANGES, /, **options: Any) -> Iterator[EventStream]:
    """A subscription that has begun."""
    headers = {**client.headers, "Accept": "text/event-stream", **options.pop("headers", {})}
    wanted: dict[str, Any] = {"json": {"query": document}, "timeout": PATIENCE, **options}
    with (
        httpx.Client(trust_env=False) as http,
        http.stream(wanted.pop("method", "POST"), f"{client.url}/graphql", headers=headers, **wanted) as response,
    ):
        yield EventStream(response, document)


class Socket:
    """A connection by graphql-transport-ws."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def send(self, type_: str, **fields: Any) -> Self:
        self.connection.send(orjson.dumps({"type": type_, **fields}).decode())
        return self

    def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = orjson.loads(self.connection.recv(PATIENCE))
        return message

    def begin(self, token: str | None = None) -> Self:
        self.send("connection_init", **({"payload": {"Authorization": f"Bearer {token}"}} if token else {}))
        assert self.receive() == {"type": "connection_ack"}
        return self

    def subscribe(self, id_: str = "1", document: str = CHANGES) -> Self:
        """Begins a subscription; what happens from now on is told."""
        self.send("subscribe", id=id_, payload={"query": document}).send("ping")
        assert self.receive() == {"type": "pong"}
        return self

    def told(self, id_: str = "1") -> tuple[str, str]:
        message = self.receive()
        assert (message["type"], message["id"]) == ("next", id_), message
        change = message["payload"]["data"]["credentialChanged"]
        return change["eventType"], change["credential"]["name"]

    def ended_with(self, id_: str = "1") -> str:
        """The code of the error that a subscription ends with."""
        message = self.receive()
        assert (message["type"], message["id"]) == ("error", id_), message
        code: str = message["payload"][0]["extensions"]["code"]
        return code

    def closed_with(self, reason: str = "") -> int:
        """The code that the server closes with, next, for a reason of which this is part."""
        with pytest.raises(ConnectionClosed) as closed:
            self.connection.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert reason in closed.value.rcvd.reason
        return int(closed.value.rcvd.code)


@contextmanager
def connecting(client: Client, *protocols: str, **options: Any) -> Iterator[Socket]:
    """A WebSocket of whoever the client is, by its Authorization header if it has one."""
    offered = [Subprotocol(each) for each in protocols or ["graphql-transport-ws"]]
    headers = {**client.headers, **options.pop("headers", {})}
    url = client.url.replace("http", "ws", 1) + "/graphql"
    with connect(
        url, subprotocols=offered, additional_headers=headers, proxy=None, compression=None, **options
    ) as connection:
        yield Socket(connection)
