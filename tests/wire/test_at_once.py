"""What a gateway is answered at once, from memory and past the framework, is what it would be answered otherwise."""

import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from server.verify import verify_at_once
from tests.plugins.play import Theatre
from tests.support.world import Play


class Asked:
    """A gateway, and how many of its questions were answered at once."""

    def __init__(self, play: Play, patch: pytest.MonkeyPatch) -> None:
        self.play, self.keys, self.at_once = play, play.keys(), 0
        wanted = {"name": "edge", "expiresAt": play.clock.in_(days=1)}
        self.token: str = play.operator.do("createGatewayToken", "token", **wanted)["token"]

        def counted(*arguments: Any) -> Any:
            answer = verify_at_once(*arguments)
            self.at_once += answer is not None
            return answer

        patch.setattr("server.wire_protocol.verify_at_once", counted)
        self.basic = b64encode(f"{self.keys['apiKey']}:{self.keys['apiSecret']}".encode()).decode()

    def ask(self, method: str, path: str, headers: list[tuple[str, str]]) -> tuple[int, list[tuple[str, str]], bytes]:
        own = ("X-Sealkey-Gateway-Token", self.token)
        answer = httpx.request(method, f"{self.play.server.url}{path}", headers=[own, *headers])
        told = [(name, value) for name, value in answer.headers.multi_items() if name != "date"]
        return answer.status_code, told, answer.content

    def twice(self, method: str, path: str, headers: list[tuple[str, str]]) -> tuple[Any, Any, int]:
        """The answer of a server that remembers nothing, that of one that does, and how many of both came at once."""
        self.play.server.forget()
        first = self.ask(method, path, headers)
        self.ask("GET", "/verify", [("Authorization", f"Basic {self.basic}")])
        before = self.at_once
        return first, self.ask(method, path, headers), self.at_once - before


@pytest.fixture(scope="module")
def asked(theatre: Theatre) -> Iterator[Asked]:
    with theatre.new() as play, pytest.MonkeyPatch.context() as patch:
        yield Asked(play, patch)


BY: dict[str, Callable[[Asked], list[tuple[str, str]]]] = {
    "Basic": lambda asked: [("Authorization", f"Basic {asked.basic}")],
    "basic, in lower case": lambda asked: [("authorization", f"basic  {asked.basic}")],
    "X-API": lambda asked: [("X-API-Key", asked.keys["apiKey"]), ("X-API-Secret", asked.keys["apiSecret"])],
}


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("path", ["/verify", "/verify?service=certificates", "/verify?service=timestamps"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS"])
def test_it_is_the_same_answer(asked: Asked, by: str, path: str, method: str) -> None:
    first, second, at_once = asked.twice(method, path, BY[by](asked))
    assert second == first
    assert at_once == (method != "POST")  # with which httpx sends Content-Length: 0


@pytest.mark.parametrize(
    "headers",
    [
        [("Accept", "application/json")],
        [("X-Sealkey-Client-Address", "192.0.2.1"), ("X-Sealkey-Client-Address", "192.0.2.2")],
        [("Connection", "close")],
        [("Content-Length", "0")],
    ],
    ids=str,
)
def test_what_wants_more_than_that_goes_the_other_way(asked: Asked, headers: list[tuple[str, str]]) -> None:
    first, second, at_once = asked.twice("GET", "/verify", [*BY["Basic"](asked), *headers])
    assert second == first
    assert at_once == 0


def test_whose_secret_is_wrong_is_not_answered_at_once(asked: Asked) -> None:
    wrong = b64encode(f"{asked.keys['apiKey']}:{asked.keys['apiSecret'][:-1]}".encode()).decode()
    first, second, at_once = asked.twice("GET", "/verify", [("Authorization", f"Basic {wrong}")])
    assert (first[0], second, at_once) == (401, first, 0)


def test_a_fault_on_the_way_is_answered_as_any_other(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any) -> None:
        raise ValueError("broken")

    monkeypatch.setattr("server.wire_protocol.verify_at_once", fail)
    assert asked.ask("GET", "/verify", BY["Basic"](asked))[0] == 200


def test_requests_sent_without_waiting_are_answered_in_their_order(asked: Asked) -> None:
    asked.ask("GET", "/verify", BY["Basic"](asked))

    def request(path: str, close: bool = False) -> bytes:
        lines = [f"GET {path} HTTP/1.1", "Host: sealkey", f"X-Sealkey-Gateway-Token: {asked.token}"]
        lines += [f"Authorization: Basic {asked.basic}", *(["Connection: close"] if close else [])]
        return "\r\n".join([*lines, "", ""]).encode()

    url = httpx.URL(asked.play.server.url)
    sent = [request("/verify"), request("/healthz"), request("/verify?service=timestamps"), request("/verify", True)]
    with socket.create_connection((url.host, url.port or 0), timeout=10) as connection:
        connection.sendall(b"".join(sent))
        received = b""
        while piece := connection.recv(65536):
            received += piece
    codes = [part.split(b" ")[0] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert codes == [b"200", b"200", b"403", b"200"]
