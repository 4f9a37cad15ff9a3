"""Whatever somebody sends, or does not go on to send or to read, the server keeps little of it and not for long."""

import socket
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from server import bounded_protocol, gate, patient_protocol
from server.logs import faults
from tests.support.subscribers import connecting, streaming
from tests.support.world import Play

OPERATION = b'{"query": "{ __typename }"}'
WEBSOCKET = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Protocol: graphql-transport-ws",
]
GATED = ["/graphql", "/v2/login", "/oauth/token", "/audit/export"]
LONG = "a" * 66_000


@contextmanager
def connected(play: Play) -> Iterator[socket.socket]:
    host, _, port = play.server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        yield connection


def head(path: str, *lines: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *lines, "", ""]).encode("latin-1")


def asked(*lines: str) -> bytes:
    """An operation."""
    return head("/graphql", "Content-Type: application/json", f"Content-Length: {len(OPERATION)}", *lines) + OPERATION


@contextmanager
def connected_narrowly(play: Play) -> Iterator[tuple[socket.socket, Any]]:
    """A connection on which little of the answers is under way, and the server's end of it."""
    connections: Collection[Any] = play.server.connections
    before = set(connections)
    with connected(play) as connection:
        assert in_the_end(lambda: not before.issuperset(connections))
        (end,) = set(connections) - before
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        end.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        yield connection, end


def received(connection: socket.socket) -> bytes:
    """All that comes until the connection is closed."""
    pieces = []
    with suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            pieces.append(piece)
    return b"".join(pieces)


def sent(play: Play, *parts: bytes) -> bytes:
    with connected(play) as connection:
        for part in parts:
            connection.sendall(part)
        return received(connection)


def statuses(answers: bytes) -> list[int]:
    return [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]


def in_the_end(what: Callable[[], bool], seconds: float = 10) -> bool:
    give_up = time.monotonic() + seconds
    while not what() and time.monotonic() < give_up:
        time.sleep(0.005)
    return what()


def is_at_rest(play: Play) -> bool:
    gate, connections = play.server.app.state.gate, play.server.connections
    return (gate.at_work, gate.waiting, gate.received, len(connections)) == (0, 0, 0, 0)


@pytest.mark.parametrize("path", GATED)
def test_an_address_that_is_too_long_is_refused_and_takes_no_place(shared_play: Play, path: str) -> None:
    for method, length in (("GET", 0), ("POST", 2)):
        request = head(f"{path}?{LONG}", f"Content-Length: {length}", method=method)
        assert statuses(sent(shared_play, request + b"{}"[:length])) == [414]
    assert in_the_end(lambda: is_at_rest(shared_play))


def test_an_address_that_can_not_be_read_takes_no_place(shared_play: Play) -> None:
    for request in (head("/audit/\xff"), head("/audit/\xff", "Content-Length: 2") + b"{}"):
        assert statuses(sent(shared_play, request)) == [400]
    assert in_the_end(lambda: is_at_rest(shared_play))


@pytest.mark.parametrize("path", ["/graphql", f"/graphql?{LONG}", "/audit/\xff"], ids=["good", "long", "unreadable"])
@pytest.mark.parametrize("length", [100, 100_000])
def test_of_a_request_that_is_broken_off_nothing_is_left(shared_play: Play, path: str, length: int) -> None:
    with connected(shared_play) as connection:
        connection.sendall(head(path, f"Content-Length: {length}") + b"x" * 50)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
    assert in_the_end(lambda: is_at_rest(shared_play))


WITHOUT_END = {
    "an address": (b"GET /", b"a" * 1000, 414),
    "a header's name": (b"GET / HTTP/1.1\r\n", b"a" * 1000, 431),
    "a header's value": (b"GET / HTTP/1.1\r\na: ", b"a" * 1000, 431),
    "headers": (b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 200, 431),
    "trailers": (head("/graphql", "Transfer-Encoding: chunked") + b"0\r\n", b"a: b\r\n" * 200, 431),
    "a chunk's extension": (head("/graphql", "Transfer-Encoding: chunked") + b"1;", b"a" * 1000, 431),
    "nothing": (b"\r\n", b"\r\n" * 500, 431),
}


@pytest.mark.parametrize("what", WITHOUT_END)
def test_what_has_no_end_is_refused(shared_play: Play, what: str) -> None:
    begin, more, status = WITHOUT_END[what]
    assert statuses(sent(shared_play, begin, *[more] * 140)) == [status]
    assert in_the_end(lambda: is_at_rest(shared_play))


def test_headers_that_come_at_once_are_counted_as_well(shared_play: Play) -> None:
    for lines in ([f"a{number}: b" for number in range(300)], ["a: " + "b" * 140_000]):
        assert statuses(sent(shared_play, head("/healthz", *lines, method="GET"))) == [431]
    body = b'{"query": "{ __typename }"}' + b" " * 200_000
    fields = ["Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close"]
    assert statuses(sent(shared_play, head("/graphql", *fields) + body)) == [200]


@pytest.mark.parametrize(("length", "bound"), [(60_000, "_MOST_RECEIVED"), (900_000, "_OF_LARGE")])
def test_bodies_that_are_not_there_as_a_whole_take_bounded_room(
    shared_play: Play, monkeypatch: pytest.MonkeyPatch, length: int, bound: str
) -> None:
    monkeypatch.setattr(gate, bound, 100_000)
    request = head("/graphql", "Content-Type: application/json", f"Content-Length: {length}")
    with connected(shared_play) as first:
        first.sendall(request + b" " * 55_000)
        assert in_the_end(lambda: shared_play.server.app.state.gate.received == 55_000)
        with connected(shared_play) as second:
            second.sendall(request + b" " * 55_000)
            answer = second.recv(65_536)
            assert statuses(answer) == [503]
            assert b"\r\nretry-after: 1\r\n" in answer.lower()
        assert in_the_end(lambda: shared_play.server.app.state.gate.received == 55_000)
        assert shared_play.member.data("{ viewer { role } }") == {"role": "MEMBER"}
    assert in_the_end(lambda: is_at_rest(shared_play))


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patient_protocol, "_LOOK_EVERY", 0.01)


INCOMPLETE = {
    "a line": (b"GET /heal", [408]),
    "a header": (b"GET /healthz HTTP/1.1\r\nHost: a\r\n", [408]),
    "a small body": (head("/graphql", "Content-Length: 100") + b"{", [408]),
    "a large body": (head("/graphql", "Content-Length: 100000") + b"{", [408]),
    "a body in chunks": (head("/oauth/token", "Transfer-Encoding: chunked") + b"1\r\n{", [408]),
    "a body that nobody reads": (head("/healthz", "Content-Length: 10", method="GET"), [200]),
    "a body behind another request": (asked() + head("/graphql", "Content-Length: 100"), [200, 408]),
    "nothing": (b"", []),
}


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("what", INCOMPLETE)
def test_who_takes_too_long_to_ask_is_let_go_of(shared_play: Play, what: str) -> None:
    request, answers = INCOMPLETE[what]
    assert statuses(sent(shared_play, request)) == answers
    assert in_the_end(lambda: is_at_rest(shared_play))


@pytest.mark.usefixtures("hurried")
def test_who_has_asked_may_take_their_time_for_the_answer(shared_play: Play) -> None:
    with connecting(shared_play.member) as socket, streaming(shared_play.member) as stream:
        socket.begin()
        assert stream.first() is None
        with connected(shared_play) as slow:
            slow.sendall(head("/healthz", method="GET") + head("/healthz", method="GET"))
            time.sleep(0.2)
            assert statuses(slow.recv(65_536)) == [200, 200]
        socket.subscribe("1")


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_who_does_not_take_the_answer_is_let_go_of(shared_play: Play, connection: str) -> None:
    with connected_narrowly(shared_play) as (slow, _):
        again, last = (
            head("/schema.graphql", f"Connection: {way}", method="GET") for way in ("keep-alive", connection)
        )
        slow.sendall(again + again + last)
        assert in_the_end(lambda: is_at_rest(shared_play), 2)


BROKEN = {
    "no request": b"nonsense\r\n\r\n",
    "a chunk that is none": head("/oauth/token", "Transfer-Encoding: chunked") + b"z\r\n",
    "a WebSocket": head("/graphql", *WEBSOCKET, method="GET"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_off_waits_until_what_was_asked_before_is_answered(shared_play: Play, what: str) -> None:
    answers = sent(shared_play, asked() + asked() + BROKEN[what])
    assert statuses(answers) == [200, 200]
    assert answers.count(b"__typename") == 2


def test_after_the_answer_to_what_is_broken_off_nothing_is_said(shared_play: Play) -> None:
    before = faults.copy()
    fields = ["Transfer-Encoding: chunked", "Expect: 100-continue"]
    assert statuses(sent(shared_play, head("/graphql", *fields) + b"z\r\n")) == [400]
    assert in_the_end(lambda: is_at_rest(shared_play))
    assert faults == before


def test_not_more_than_a_little_is_asked_before_it_is_answered(
    shared_play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_protocol, "_MOST_AHEAD", 2)
    answers = sent(shared_play, head("/healthz", method="GET") * 10)
    assert statuses(answers) == [200] * 3
    assert answers.count(b"connection: close") == 1


@pytest.mark.parametrize("at_once", [1_000, 70_000, 1_000_000])
def test_behind_a_stream_no_more_than_a_little_is_kept(shared_play: Play, at_once: int) -> None:
    """And it is seen that the client has gone."""
    with connected_narrowly(shared_play) as (connection, end):
        connection.sendall(streamed(shared_play) + head("/graphql", "Content-Length: 1000000"))
        assert in_the_end(lambda: bool(end.pipeline))
        for _ in range(1_000_000 // at_once):
            connection.sendall(b" " * at_once)
        assert in_the_end(lambda: not end.pipeline)
    assert in_the_end(lambda: is_at_rest(shared_play))


def test_refusals_that_nobody_takes_come_to_an_end(shared_play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(shared_play.server.app.state.gate), "is_full", True)
    with connected_narrowly(shared_play) as (connection, _):
        connection.sendall(head("/graphql", method="GET") * 5000)
        assert len(statuses(received(connection))) < 1000


def test_what_begins_behind_what_was_refused_at_once_has_its_time(
    shared_play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(shared_play.server.app.state.gate), "is_full", True)
    with connected_narrowly(shared_play) as (connection, end):
        end.timeout_keep_alive = 0.01
        connection.sendall(asked() + b"GET /healthz HT")
        time.sleep(0.05)
        connection.sendall(b"TP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert statuses(received(connection)) == [503, 200]


def test_behind_the_last_answer_nothing_is_done(shared_play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(shared_play.server.app.state.gate), "is_full", True)
    requests = shared_play.server.app.state.counts.requests
    assert in_the_end(lambda: is_at_rest(shared_play))
    before = requests.total()
    last = asked("Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")
    assert statuses(sent(shared_play, last + head("/healthz", method="GET"))) == [503]
    assert in_the_end(lambda: is_at_rest(shared_play))
    assert requests.total() == before


@pytest.mark.parametrize("lines", [[], ["Host: a", "Host: a"]], ids=["none", "two"])
@pytest.mark.parametrize("path", ["/verify", "/graphql", "/healthz"])
def test_a_request_is_for_one_host(shared_play: Play, path: str, lines: list[str]) -> None:
    request = "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode()
    assert statuses(sent(shared_play, request)) == [400]


OFFERS = {
    "HTTP/2": ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"],
    "a WebSocket, by POST": WEBSOCKET,
    "a WebSocket that is no longer wanted": [*WEBSOCKET, "Connection: keep-alive"],
}


@pytest.mark.parametrize("offer", OFFERS)
def test_a_request_that_offers_another_protocol_is_answered_in_this_one(shared_play: Play, offer: str) -> None:
    """With its body, which is not the next request, whether or not it comes with the headers."""
    last = head("/healthz", "Connection: close", method="GET")
    assert statuses(sent(shared_play, asked(*OFFERS[offer]) + last)) == [200, 200]
    smuggled = head("/nowhere", method="GET")
    with connected(shared_play) as connection:
        fields = [*OFFERS[offer], "Expect: 100-continue", f"Content-Length: {len(smuggled)}"]
        connection.sendall(head("/graphql", *fields))
        assert statuses(connection.recv(1000)) == [100]
        connection.sendall(smuggled + last)
        assert statuses(received(connection)) == [415, 200]


def test_many_offers_behind_each_other_are_answered(shared_play: Play) -> None:
    offers = head("/healthz", *OFFERS["HTTP/2"], method="GET") * 50
    assert statuses(sent(shared_play, offers + head("/healthz", "Connection: close", method="GET"))) == [200] * 51


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["a: b"] * 200, 431),
        (["a: " + "b" * 9000], 431),
        (["Content-Length: 5", "Connection: close, Upgrade"], 400),
        (["Transfer-Encoding: chunked", "Connection: close, Upgrade"], 400),
    ],
    ids=["many headers", "a long header", "a body", "chunks"],
)
def test_a_websocket_that_can_not_be_opened_is_refused(shared_play: Play, lines: list[str], status: int) -> None:
    with connected(shared_play) as connection:
        connection.sendall(head("/graphql", *WEBSOCKET, *lines, method="GET") + b"0\r\n\r\n")
        assert statuses(received(connection)) == [status]
    assert in_the_end(lambda: is_at_rest(shared_play))


def test_pings_of_who_takes_no_answer_are_not_answered(shared_play: Play) -> None:
    ping = b"\x89\xfd" + bytes(4 + 125)
    with connected_narrowly(shared_play) as (connection, end):
        connection.sendall(head("/graphql", *WEBSOCKET, method="GET") + b"\r\n")
        assert statuses(connection.recv(1000)) == [101]
        connection.sendall(ping * 5000)
        assert not in_the_end(lambda: end.transport.get_write_buffer_size() > 200_000, 0.3)


def test_a_trailer_is_no_header(shared_play: Play) -> None:
    query = b'{"query": "{ viewer { role } }"}'
    fields = ["Content-Type: application/json", "Transfer-Encoding: chunked", "Connection: close"]
    trailer = f"Authorization: Bearer {shared_play.member.token}\r\n\r\n".encode()
    request = head("/graphql", *fields) + b"%x\r\n%b\r\n0\r\n" % (len(query), query)
    assert b"UNAUTHENTICATED" in sent(shared_play, request + trailer)


def streamed(play: Play) -> bytes:
    body = b'{"query": "subscription { credentialChanged { eventType } }"}'
    fields = [f"Authorization: Bearer {play.member.token}", "Accept: text/event-stream"]
    return head("/graphql", *fields, "Content-Type: application/json", f"Content-Length: {len(body)}") + body


def test_a_stream_ends_when_its_client_goes_also_where_more_was_asked_after_it(shared_play: Play) -> None:
    watches = shared_play.server.app.state.deployment.watches
    with connected(shared_play) as connection:
        connection.sendall(streamed(shared_play) + head("/healthz", method="GET"))
        assert in_the_end(lambda: len(watches) == 1)
    assert in_the_end(lambda: len(watches) == 0)


def test_a_head_that_is_refused_has_no_body(shared_play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(shared_play.server.app.state.gate), "is_full", True)
    with connected(shared_play) as connection:
        connection.sendall(head("/graphql", method="HEAD") + head("/healthz", "Connection: close", method="GET"))
        answers = received(connection)
    assert statuses(answers) == [503, 200]
    assert b"UNAVAILABLE" not in answers
