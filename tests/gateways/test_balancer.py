"""deploy/Caddyfile, as it stands: what it logs, and what it answers by itself."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from tests.docs.markdown import ROOT
from tests.gateways.proxies import KINDS, running
from tests.support.processes import free_port

SECRETS = {
    "X-Sealkey-Gateway-Token": "sealkey_gateway_hunter1",
    "X-API-Secret": "sealkey_secret_hunter2",
    "X-Sealkey-CSRF": "hunter3",
    "Authorization": "Bearer sealkey_session_hunter4",
    "Cookie": "sealkey_session=hunter5",
}


class _Ready(BaseHTTPRequestHandler):
    """Closes each connection, so that it is away as soon as it is stopped."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  (its name in the base class)
        pass


@contextmanager
def _ready_server() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), _Ready) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def balancer(tmp_path: Path) -> Iterator[tuple[str, ExitStack]]:
    """Its address; the server behind it is there until the stack is closed."""
    if KINDS["caddy"].path is None:
        pytest.skip("caddy is not on this machine")
    # At this level it writes the headers of each request, not only of those that come to nothing.
    own = "{\n\tadmin off\n\tauto_https off\n\tdebug\n"
    text = (ROOT / "deploy/Caddyfile").read_text()
    assert text.startswith("{\n")
    (tmp_path / "Caddyfile").write_text(text.replace("{\n", own, 1))
    url = f"http://127.0.0.1:{free_port()}"
    with ExitStack() as server:
        port = server.enter_context(_ready_server())
        environment = {"HOME": str(tmp_path), "SEALKEY_SITE": url, "SEALKEY_SERVERS": f"127.0.0.1:{port}"}
        command = [KINDS["caddy"].path, "run", "--config", str(tmp_path / "Caddyfile")]
        with running(command, tmp_path, environment, url):
            yield url, server


def test_no_secret_is_logged_and_servers_that_are_away_are_told_in_their_own_words(
    balancer: tuple[str, ExitStack], tmp_path: Path
) -> None:
    url, server = balancer
    with httpx.Client(base_url=url, headers=SECRETS, trust_env=False) as client:
        assert client.get("/verify").status_code == 200
        server.close()
        verified, asked = client.get("/verify/orders?page=1"), client.post("/graphql", json={"query": "{ __typename }"})
    for answer in (verified, asked):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert answer.text == "No server can answer this now. Try again in a moment.\n"
    assert verified.headers["X-Sealkey-Decision"] == "DENY"
    assert verified.headers["X-Sealkey-Code"] == "UNAVAILABLE"
    assert "X-Sealkey-Decision" not in asked.headers
    log = (tmp_path / "log").read_text()
    assert "upstream roundtrip" in log
    assert "hunter" not in log
