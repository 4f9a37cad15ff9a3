"""The log of a server: what clients do is no fault of its own, and each line is JSON."""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.support.command import Serving
from tests.support.subscribers import connecting

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


def test_what_is_not_http_is_no_plain_line(server: Serving) -> None:
    before = lines(server)
    with connected(server) as client:
        client.sendall(b"nonsense\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400")
    (line,) = logged(server, before, lambda line: "HTTP" in line["event"])
    assert (line["event"], line["level"]) == ("Invalid HTTP request received.", "warning")
    assert set(line) == {"event", "level", "timestamp"}


def test_a_websocket_that_is_refused_is_no_error(server: Serving) -> None:
    before = lines(server)
    with pytest.raises(InvalidStatus), connecting(server.client(), "graphql-ws"):
        pass
    (line,) = logged(server, before, lambda line: line["event"] == "websocket")
    assert (line["level"], line["path"], line["status"]) == ("info", "/graphql", 400)


@pytest.mark.parametrize(
    ("message", "code"), [("subscribe", 4401), ("connection_init", 4403), ("nonsense", 4400), (None, 1000)]
)
def test_a_websocket_is_logged_once_when_it_ends(server: Serving, message: str | None, code: int) -> None:
    before = lines(server)
    payload = {"Authorization": "Bearer of_somebody"}
    with connecting(server.client(), headers={"Cookie": "of=somebody"}) as client:
        if message is not None:
            client.send(message, payload=payload)
            assert client.closed_with() == code
    (line,) = logged(server, before, lambda line: line["event"] == "websocket")
    assert set(line) == {"event", "level", "timestamp", "request_id", "path", "code", "milliseconds"}
    assert (line["path"], line["code"]) == ("/graphql", code)


def test_all_that_a_server_writes_until_it_has_stopped_is_json(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Serving(tmp_path_factory.mktemp("stopped")) as server:
        server.wait()
        with connecting(server.client()) as client:
            server.stop()
            assert client.closed_with() == 1012
    assert [line["code"] for line in lines(server) if line["event"] == "websocket"] == [1012]


@pytest.mark.parametrize(
    ("proxies", "given", "is_taken"),
    [
        ('["127.0.0.0/8"]', "of-the-proxy/1.a:b_c+d=", True),
        ('["127.0.0.0/8"]', "x" * 129, False),
        ('["127.0.0.0/8"]', 'not "ordinary"', False),
        ('["10.0.0.0/8"]', "of-anybody", False),
    ],
)
def test_a_request_id_is_taken_over_from_trusted_proxies(
    start_play: Any, proxies: str, given: str, is_taken: bool
) -> None:
    play = start_play(trusted_proxies=json.loads(proxies))
    answered = httpx.get(f"{play.server.url}/healthz", headers={"X-Request-Id": given}).headers["X-Request-Id"]
    assert (answered == given) is is_taken
    assert is_taken or re.fullmatch("[0-9a-f]{32}", answered)


def test_logs_are_for_people_where_that_is_set_and_from_the_level_that_is_set(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with Serving(tmp_path_factory.mktemp("text"), log_format="text") as server:
        server.wait()
        httpx.get(f"{server.url}/healthz")
    assert re.search(r"\[info +\] request .*path=/healthz", server.errors)
    with Serving(tmp_path_factory.mktemp("quiet"), log_level="warning") as server:
        server.wait()
        httpx.get(f"{server.url}/healthz")
    assert server.errors == ""


@pytest.mark.parametrize("path", ["/nowhere/of_somebody", "/graphql/of_somebody", "/v2/login/of_somebody"])
def test_a_path_that_is_none_of_ours_is_not_told(server: Serving, path: str) -> None:
    before = lines(server)
    assert httpx.get(f"{server.url}{path}").status_code == 404
    (line,) = logged(server, before, lambda line: line["event"] == "request")
    assert (line["path"], line["status"]) == (None, 404)


def test_of_a_statement_that_is_logged_its_text_is_alone() -> None:
    logging_everything = """
import logging
from server.logs import configure_logs
logging.basicConfig(level=1)
configure_logs()
logging.getLogger("tortoise.db_client").debug("%s: %s", "SELECT ?", ["of somebody"])
"""
    ran = subprocess.run([sys.executable, "-c", logging_everything], capture_output=True, text=True, check=True)
    assert ran.stderr.splitlines()[-1].endswith("SELECT ?: …")
