"""While the database can't be asked, nobody is answered as if it had been: 503, and try again."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from models.migrating import migrate
from tests.postgres import Postgres, running_postgres
from tests.support.command import Serving
from tests.support.deployed import Deployed
from tests.support.server import FakeClock, RunningServer, running_server
from tests.support.subscribers import connecting, streaming

pytestmark = pytest.mark.engine("postgres")

SIGN_IN = 'mutation { signIn(input: {email: "a@b.example", password: "guessed"}) { sessionToken } }'
VERIFY = 'mutation { verifyCredential(input: {apiKey: "a", apiSecret: "b"}) { decision } }'
UNAVAILABLE = [("The database can't be asked now. Try again in a moment.", "UNAVAILABLE")]


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    with running_postgres() as postgres:
        yield postgres


@pytest.fixture
def server(postgres: Postgres, tmp_path: Path) -> Iterator[RunningServer]:
    url = postgres.create_database("away")
    asyncio.run(migrate(url))
    with running_server(url, tmp_path / "data", FakeClock()) as server:
        yield server
        # Who stops the server waits for its connections to be given back: they need somebody at the other end.
        postgres.start()


@pytest.mark.parametrize("token", [None, "sealkey_session_of_nobody", "sealkey_gateway_of_nobody"])
def test_whoever_asks_is_told_to_try_again(server: RunningServer, postgres: Postgres, token: str | None) -> None:
    client = server.client(token)
    client.execute(SIGN_IN)
    postgres.stop()

    for document in (SIGN_IN, VERIFY) if token else (SIGN_IN,):
        for accepted in ("application/json", "application/graphql-response+json"):
            response = client.sending(Accept=accepted).post(document)
            errors = [(error["message"], error["extensions"]["code"]) for error in response.json()["errors"]]
            assert (response.status_code, errors) == (503, UNAVAILABLE)
            assert response.headers["Retry-After"] == "1"
            assert not response.json().get("data")


def test_nobody_s_subscription_begins(server: RunningServer, postgres: Postgres) -> None:
    client = server.client("sealkey_session_" + "x" * 49)
    postgres.stop()
    with streaming(client) as stream:
        stream.response.read()
        errors = [(error["message"], error["extensions"]["code"]) for error in stream.response.json()["errors"]]
        assert (stream.response.status_code, errors) == (503, UNAVAILABLE)
    with connecting(client) as socket:
        socket.send("connection_init")
        assert socket.closed_with(UNAVAILABLE[0][0]) == 1013


def test_a_database_that_does_not_answer_is_not_waited_for(postgres: Postgres, tmp_path: Path) -> None:
    """What is remembered is believed for less than a second longer; then nobody is let in, until it answers again."""
    url = postgres.create_database("frozen")
    with Serving(tmp_path, database_url=url, issuer="https://sealkey.example") as server:
        server.wait()
        deployed = Deployed(tmp_path, url, [server])
        keys = (deployed.keys["apiKey"], deployed.keys["apiSecret"])
        headers = {"X-Sealkey-Gateway-Token": deployed.gateway}

        def ask() -> httpx.Response:
            return httpx.get(f"{server.url}/verify", auth=keys, headers=headers, timeout=5)

        def until(status: int) -> float:
            """The seconds until this is what a gateway is told."""
            began = time.monotonic()
            while (asked_at := time.monotonic()) - began < 30:
                if ask().status_code == status:
                    return asked_at - began
            raise AssertionError(f"{status} was never answered")

        until(200)
        with postgres.frozen():
            assert until(503) < 1
            for _ in range(3):
                answer = ask()
                assert (answer.status_code, answer.headers["X-Sealkey-Decision"]) == (503, "DENY")
        until(200)
    lines = [json.loads(line) for line in server.errors.splitlines()]
    outage = [line for line in lines if line["event"] == "database_unavailable"]
    assert "TimeoutError" in {line["reason"] for line in outage}
    assert all(set(line) == {"event", "level", "timestamp", "reason", "times"} for line in outage)
    assert {line["level"] for line in outage} == {"warning"}
    assert not [line for line in lines if line["event"] == "fault"], "nothing that is to be reported"
