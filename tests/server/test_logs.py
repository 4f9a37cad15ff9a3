"""The log of a server: what clients do is no fault of its own, and each line is JSON."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.command import Serving

Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with Serving(tmp_path_factory.mktemp("logs")) as server:
        yield server.wait()


def lines(server: Serving) -> Lines:
    return [json.loads(line) for line in server.errors.splitlines()]


def logged(server: Serving, before: Lines, what: Callable[[dict[str, Any]], bool]) -> Lines:
    """What was logged since, up to the line that is waited for."""
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        since = lines(server)[len(before) :]
        if any(map(what, since)):
            return since
        time.sleep(0.01)
    raise AssertionError(since)


def connected(server: Serving) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=10)


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/graphql", "application/json"),
        ("/v2/login", "application/json"),
        ("/oauth/token", "application/x-www-form-urlencoded"),
        ("/oauth/introspect", "application/x-www-form-urlencoded"),
        ("/oauth/revoke", "application/x-www-form-urlencoded"),
    ],
)
def test_an_upload_that_is_broken_off_is_no_fault(server: Serving, path: str, media_type: str) -> None:
    before = lines(server)
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {media_type}\r\nContent-Length: 100\r\n\r\n"
    with connected(server) as client:
        client.sendall(f'{head}{{"query":"'.encode())
    (line,) = logged(server, before, lambda line: line.get("path") == path)
    assert (line["event"], line["level"], line["status"]) == ("request", "info", 499)
