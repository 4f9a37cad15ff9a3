"""What `sealkey serve` has counted when it ends, well or badly."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.life.scene import keys
from tests.plugins.database import Databases
from tests.plugins.play import Template
from tests.support.processes import ROOT, Process, free_port, running_process
from tests.support.rows import Rows, row_id
from tests.support.server import Client
from tests.support.world import GENERATED, OPERATOR, PASSWORD, AccountWorld, World

SERVE = "from server.cli import main; main()"
LONG = 30


@dataclass(frozen=True)
class Serving:
    """A running `sealkey serve`, and two people who have signed in there."""

    process: Process
    member: Client
    operator: Client

    def check(self, generated: Any, times: int, **question: Any) -> list[str]:
        payloads = [self.operator.do("verifyCredential", "code", **keys(generated), **question) for _ in range(times)]
        return [payload["code"] for payload in payloads]


@dataclass(frozen=True)
class Place:
    """A database with a world in it, and where to serve it from."""

    rows: Rows
    alder: AccountWorld
    serve: Callable[..., AbstractContextManager[Serving]]

    def generate(self, serving: Serving, **fields: Any) -> Any:
        parties = {"serviceId": self.alder.services["certificates"], "identityId": self.alder.identities["active"]}
        wanted = {"name": "ci", "delivery": {"method": "VIEW_AND_COPY"}, **parties, **fields}
        return serving.member.do("generateCredential", GENERATED, **wanted)

    def counted(self, generated: Any) -> tuple[int, int]:
        """How often it was let in and turned away, as is written down."""
        of = f"credential_id = '{row_id(generated['credential']['id'])}'"
        found = self.rows.execute(f"SELECT allowed, denied FROM credential_usage WHERE {of}")
        return sum(allowed for allowed, _ in found), sum(denied for _, denied in found)


@pytest.fixture
def place(databases: Databases, names: Iterator[str], world_template: Template, tmp_path: Path) -> Iterator[Place]:
    name, data_dir = next(names), tmp_path / "data"
    shutil.copytree(world_template.data_dir, data_dir)
    url = databases.create_database(name, world_template.database)

    @contextmanager
    def serve(*options: str, **settings: int) -> Iterator[Serving]:
        port = free_port()
        environment = {
            "PYTHONPATH": str(ROOT),
            "SEALKEY_DATA_DIR": str(data_dir),
            "SEALKEY_DATABASE_URL": url,
            "SEALKEY_DRAIN_SECONDS": "0",
            **{f"SEALKEY_{setting.upper()}": str(value) for setting, value in settings.items()},
        }
        command = [sys.executable, "-c", SERVE, "serve", "--port", str(port), *options]
        with running_process(command, environment, "is serving GraphQL") as process:
            address = f"http://127.0.0.1:{port}"
            wait_until(lambda: is_ready(address))
            yield Serving(process, sign_in(address, "member@alder.example"), sign_in(address, OPERATOR))

    yield Place(Rows(url), World.load(data_dir / "world.json").alder, serve)
    databases.drop_database(name)


def sign_in(address: str, email: str) -> Client:
    signed_in = Client(address).do("signIn", "sessionToken", email=email, password=PASSWORD)
    return Client(address, signed_in["sessionToken"])


def is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def wait_until(holds: Callable[[], bool]) -> None:
    """Asks again and again, which takes longer than a moment each time."""
    deadline = time.monotonic() + LONG
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that in time"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_that_is_stopped_has_lost_nothing(place: Place, workers: int) -> None:
    """Though it would not have written anything down for minutes."""
    with place.serve("--workers", str(workers), usage_flush_seconds=300) as serving:
        generated = place.generate(serving, allowedNetworks=["192.0.2.0/24"])
        assert serving.check(generated, 23, clientAddress="192.0.2.1") == ["OK"] * 23
        assert serving.check(generated, 5, clientAddress="192.0.3.1") == ["ADDRESS_NOT_ALLOWED"] * 5
        assert place.counted(generated) == (0, 0)
    assert place.counted(generated) == (23, 5)


def test_a_server_that_is_killed_has_lost_what_it_had_not_written_down(place: Place) -> None:
    with place.serve(usage_flush_seconds=1) as serving:
        generated = place.generate(serving)
        serving.check(generated, 5)
        wait_until(lambda: place.counted(generated) == (5, 0))
        serving.check(generated, 3)
        serving.process.popen.kill()
        serving.process.popen.wait(LONG)
    allowed, denied = place.counted(generated)
    assert 5 <= allowed <= 8
    assert denied == 0

    with place.serve(usage_flush_seconds=300) as serving:
        serving.check(generated, 2)
    assert place.counted(generated) == (allowed + 2, 0)
