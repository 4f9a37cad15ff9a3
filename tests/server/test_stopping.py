"""A server that is told to stop: balancers notice first, what was begun is finished, and nobody keeps it for ever."""

import os
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.plugins.play import Theatre
from tests.support.bulk import credentials
from tests.support.command import Serving
from tests.support.deployed import Deployed
from tests.support.logs import recorded_logs
from tests.support.rows import Rows
from torture.network import Network, State

TOKEN = "scraper" * 4
SIGN_IN = {"query": 'mutation { signIn(input: {email: "a@b.example", password: "guessed"}) { expiresAt } }'}


def until(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60  # workers are programs that have to start first
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def readiness(server: Serving) -> tuple[int, str]:
    try:
        answer = httpx.get(f"{server.url}/readyz")
    except httpx.TransportError:  # a worker may still be starting
        return 0, ""
    return answer.status_code, answer.text


def test_readiness_fails_first_and_all_else_goes_on_for_a_while(tmp_path: Path) -> None:
    with Serving(tmp_path, drain_seconds="1.5") as server:
        server.wait()
        assert readiness(server) == (200, "ok")
        server.stop()
        until(lambda: readiness(server) == (503, "stopping"))
        assert httpx.get(f"{server.url}/healthz").text == "ok"
        assert server.client().data("{ __typename }") == "Query"
        assert server.ended_with(30) == 0
        assert "fault" not in server.errors


def test_what_was_begun_is_finished_and_what_was_counted_is_written_down(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path / 'sealkey.sqlite3'}"
    with Serving(tmp_path, metrics_token=TOKEN, database_url=url, usage_flush_seconds="300") as server:
        server.wait()
        deployed = Deployed(tmp_path, url, [server])
        headers = {"X-Sealkey-Gateway-Token": deployed.gateway}
        keys = (deployed.keys["apiKey"], deployed.keys["apiSecret"])
        assert httpx.get(f"{server.url}/verify", auth=keys, headers=headers).status_code == 200

        def are_hashed() -> bool:
            metrics = httpx.get(f"{server.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
            return "sealkey_passwords_hashing 4.0" in metrics

        with ThreadPoolExecutor() as pool:
            asked = [pool.submit(httpx.post, f"{server.url}/graphql", json=SIGN_IN, timeout=30) for _ in range(4)]
            until(are_hashed)
            server.stop()
            assert [each.result().status_code for each in asked] == [200] * 4
        assert server.ended_with(30) == 0
    assert Rows(url).execute("SELECT allowed, denied FROM credential_usage") == [(1, 0)]


def test_a_client_that_takes_nothing_is_not_waited_for(tmp_path: Path) -> None:
    with Serving(tmp_path, shutdown_seconds="1") as server, socket.socket() as client:
        server.wait()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
        client.sendall(b"GET /schema.graphql HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
        until(lambda: "/schema.graphql" in server.errors)
        server.stop()
        assert server.ended_with(20) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_told_twice_it_ends_at_once(tmp_path: Path, workers: str) -> None:
    with Serving(tmp_path, "--workers", workers, drain_seconds="300") as server:
        server.wait()
        until(lambda: readiness(server)[0] == 200)
        server.stop()
        until(lambda: readiness(server) == (503, "stopping"))
        server.stop()
        assert server.ended_with(20) == (-signal.SIGTERM if workers == "1" else 0)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/healthz")


@pytest.mark.parametrize("verb", [["serve"], ["serve", "--workers", "2"], ["demo", "--serve"]])
def test_who_presses_control_c_has_ended_it_well(tmp_path: Path, verb: list[str]) -> None:
    with Serving(tmp_path, verb=verb) as server:
        server.wait()
        until(lambda: readiness(server)[0] == 200)
        server.stop(signal.SIGINT)
        assert server.ended_with(20) == 0
    assert [line for line in server.errors.splitlines() if not line.startswith("{")] == []


def test_workers_that_are_told_by_everybody_still_finish(tmp_path: Path) -> None:
    """As by a supervisor that tells each process of a group."""
    with Serving(tmp_path, "--workers", "2", drain_seconds="1") as server:
        server.wait()
        until(lambda: readiness(server)[0] == 200)
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        server.stop()
        for child in children:
            os.kill(int(child), signal.SIGTERM)
        assert server.ended_with(30) == 0
        assert "fault" not in server.errors


def test_what_was_counted_is_written_down_though_many_are_still_to_be_told_of(theatre: Theatre) -> None:
    with recorded_logs() as log, theatre.new(shutdown_seconds=1, usage_flush_seconds=300) as play:
        keys = play.keys()
        token = play.operator.do("createGatewayToken", "token", name="edge", expiresAt=play.clock.in_(days=1))["token"]
        headers = {"X-Sealkey-Gateway-Token": token}
        asked = httpx.get(f"{play.server.url}/verify", auth=(keys["apiKey"], keys["apiSecret"]), headers=headers)
        assert asked.status_code == 200
        credentials(play, play.alder, [{"name": f"c{number}"} for number in range(4000)])
        wanted = {"url": "https://receiver.example/", "eventTypes": ["CREDENTIAL_BLOCKED"]}
        play.administrator.do("createWebhookEndpoint", "endpoint { id }", **wanted)
        play.operator.do("suspendAccount", "account { id }", accountId=play.alder.id)
        until(lambda: play.rows.execute("SELECT told_upto FROM webhook_announcements") != [(None,)])
    assert "stopped_unfinished" not in log.getvalue()


@pytest.mark.engine("postgres")
def test_a_database_that_has_gone_silent_keeps_nobody(database_url: str, tmp_path: Path) -> None:
    """As where the network loses what is sent: nobody is told that it does not arrive."""
    before, _, after = database_url.rpartition("@")
    port, _, name = after.partition(":")[2].partition("/")
    with Network(int(port)).running() as network:
        url = f"{before}@127.0.0.1:{network.port}/{name}"
        with Serving(tmp_path, shutdown_seconds="1", database_url=url) as server:
            server.wait()
            network.become(State.BLACK_HOLE)
            until(lambda: readiness(server) == (503, "database_unreachable"))
            server.stop()
            assert server.ended_with(10) == 0


def test_workers_whose_supervisor_was_killed_end_and_leave_nothing(tmp_path: Path) -> None:
    variables = {"TMPDIR": str(tmp_path / "temporary")}
    (tmp_path / "temporary").mkdir()
    with Serving(tmp_path, "--workers", "2", variables=variables, drain_seconds="300") as server:
        server.wait()
        until(lambda: readiness(server)[0] == 200)
        os.kill(server.pid, signal.SIGKILL)
        until(lambda: readiness(server)[0] == 0)
        server.ended_with(5)
        assert "fault" not in server.errors
    # Only now that everybody has closed what the test reads.
    assert not list((tmp_path / "temporary").iterdir())
    with socket.create_server(("127.0.0.1", int(server.url.rpartition(":")[2]))):
        pass
