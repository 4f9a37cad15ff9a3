"""Changes that one process makes, told by another: `sealkey serve` with the machine's clock, and clients of others'."""

import json
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.plugins.database import Databases
from tests.plugins.play import Template
from tests.subscriptions.watching import over_sse, over_websocket
from tests.support.command import Serving
from tests.support.processes import free_port, running_sealkey
from tests.support.server import Client
from tests.support.subscribers import connecting, streaming
from tests.support.world import OPERATOR, PASSWORD, AccountWorld, World

NODE = Path(__file__).parents[1] / "node"
PROMISED_SECONDS = 1.0

needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules/graphql-ws").is_dir(),
    reason="Node.js is not on this machine, or its packages are not installed: npm ci in tests/node",
)


@dataclass(frozen=True)
class Replicas:
    """Two processes on one database."""

    one: str
    other: str
    alder: AccountWorld
    member_token: str
    operator_token: str

    def generate(self, name: str, address: str | None = None) -> str:
        wanted = {
            "name": name,
            "serviceId": self.alder.services["certificates"],
            "identityId": self.alder.identities["active"],
            "delivery": {"method": "VIEW_AND_COPY"},
        }
        client = Client(address or self.one, self.member_token)
        id_: str = client.do("generateCredential", "credential { id }", **wanted)["credential"]["id"]
        return id_


def sign_in(address: str, email: str) -> str:
    token: str = Client(address).do("signIn", "sessionToken", email=email, password=PASSWORD)["sessionToken"]
    return token


@pytest.fixture(scope="module")
def place(
    databases: Databases, names: Iterator[str], world_template: Template, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    name, data_dir = next(names), tmp_path_factory.mktemp("replicas") / "data"
    shutil.copytree(world_template.data_dir, data_dir)
    yield databases.create_database(name, world_template.database), data_dir
    databases.drop_database(name)


@pytest.fixture(scope="module")
def replicas(place: tuple[str, Path]) -> Iterator[Replicas]:
    url, data_dir = place
    with running_sealkey(url, data_dir) as one, running_sealkey(url, data_dir) as other:
        alder = World.load(data_dir / "world.json").alder
        tokens = [sign_in(one, email) for email in ("member@alder.example", OPERATOR)]
        replicas = Replicas(one, other, alder, *tokens)
        policy = {"accountId": alder.id, "maxActiveCredentialsPerUser": 20}
        Client(one, replicas.operator_token).do("updateCredentialPolicy", "account { id }", **policy)
        yield replicas


@contextmanager
def node_client(way: str, address: str, token: str, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Other people's client, that watches already."""
    with subprocess.Popen(
        ["node", NODE / "watch.mjs", way, address, token, *more], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "watching\n"
        try:
            yield process
        finally:
            process.kill()


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


@needs_node
def test_clients_of_others_are_told_within_a_second_what_another_process_does(replicas: Replicas) -> None:
    with (
        node_client("ws", replicas.other, replicas.member_token) as by_websocket,
        node_client("sse", replicas.other, replicas.member_token) as by_events,
    ):
        for step in ("generated", "revoked"):
            if step == "generated":
                credential = replicas.generate("from_elsewhere")
            else:
                member = Client(replicas.one, replicas.member_token)
                member.do("revokeCredential", "credential { id }", credentialId=credential)
            began = time.monotonic()
            for client in (by_websocket, by_events):
                assert json.loads(next_line(client)) == [f"credential.{step}", "from_elsewhere"]
            assert time.monotonic() - began < PROMISED_SECONDS


def test_a_session_that_ends_in_one_process_ends_what_another_tells(replicas: Replicas) -> None:
    token = sign_in(replicas.one, "auditor@alder.example")
    with over_sse(Client(replicas.other, token)) as stream, over_websocket(Client(replicas.other, token)) as socket:
        Client(replicas.one, token).data("mutation { signOut { userErrors { code } } }")
        began = time.monotonic()
        assert stream.ended_with() == socket.ended_with() == "UNAUTHENTICATED"
        assert time.monotonic() - began < PROMISED_SECONDS


STEPS = 30


def test_what_becomes_of_a_credential_is_told_in_order_and_whole_whoever_does_it(replicas: Replicas) -> None:
    """Two processes change the same credentials at once, at random. Those who watch are told what the audit log has."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    administrator = sign_in(replicas.one, "administrator@alder.example")
    services = list(replicas.alder.services.values())
    credentials = [replicas.generate(f"moved_{number}") for number in range(4)]
    document = """subscription { credentialChanged { eventType occurredAt credential { id } } }"""

    def change(address: str, steps: list[tuple[str, str]]) -> None:
        client = Client(address, replicas.member_token)
        for credential, step in steps:
            if step == "suspend":
                operator = Client(address, replicas.operator_token)
                operator.mutate("suspendService", "service { id }", serviceId=services[1])
                operator.mutate("resumeService", "service { id }", serviceId=services[1])
            elif step == "revoke":
                client.mutate("revokeCredential", "credential { id }", credentialId=credential)
            else:
                wanted = {"credentialId": credential, "serviceId": step}
                client.mutate("reassociateCredential", "credential { id }", **wanted)

    def some_steps() -> list[tuple[str, str]]:
        kinds = [*services, *services, "suspend"]
        return [(chance.choice(credentials), chance.choice(kinds)) for _ in range(STEPS)]

    with ExitStack() as watching:
        streams = [
            watching.enter_context(streaming(Client(address, administrator), document))
            for address in (replicas.one, replicas.other)
        ]
        for stream in streams:
            assert stream.first() is None
        plans = [[*some_steps(), (credentials[0], "revoke")], [*some_steps(), (credentials[1], "revoke")]]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(change, (replicas.one, replicas.other), plans))
        last = replicas.generate("last")
        told = [_until(stream, last) for stream in streams]
    for of_one in told:
        for credential in credentials:
            seen = [each[:2] for each in of_one if each[2] == credential and not each[0].endswith("blocked")]
            assert seen == _logged(replicas, credential), f"seed {seed}"


def _until(stream: Any, last: str) -> list[tuple[str, str, str]]:
    told = []
    while True:
        change = stream.change()
        told.append((change["eventType"], change["occurredAt"], change["credential"]["id"]))
        if change["credential"]["id"] == last:
            return told


def _logged(replicas: Replicas, credential: str) -> list[tuple[str, str]]:
    """What the audit log has of a credential after it was generated."""
    document = """query ($filter: AuditEventFilter) {
        auditEvents(first: 100, filter: $filter) { nodes { type occurredAt } }
    }"""
    operator = Client(replicas.one, sign_in(replicas.one, "auditor@alder.example"))
    nodes = operator.data(document, filter={"subjectId": credential})["nodes"]
    return [(node["type"], node["occurredAt"]) for node in nodes if node["type"] != "credential.generated"]


def test_every_worker_tells_and_completes_nothing_when_it_stops(place: tuple[str, Path], replicas: Replicas) -> None:
    url, data_dir = place
    with ExitStack() as open_ones:
        with Serving(data_dir, "--workers", "2", database_url=url) as server:
            server.wait()
            with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as patient:
                assert patient.get(f"{server.url}/readyz").text == "ok"
            member = Client(server.url, replicas.member_token)
            # So many that each worker has some.
            sockets = [open_ones.enter_context(connecting(member)).begin().subscribe() for _ in range(8)]
            streams = [open_ones.enter_context(streaming(member)) for _ in range(8)]
            assert [stream.first() for stream in streams] == [None] * 8
            replicas.generate("told_by_all")
            told = ("credential.generated", "told_by_all")
            watching: list[Any] = [*sockets, *streams]
            assert [each.told() for each in watching] == [told] * 16
        # Else clients would hold them for done, and not come again.
        assert all(stream.has_broken_off() for stream in streams)
        assert [socket.closed_with() for socket in sockets] == [1012] * 8
    assert "Traceback" not in server.errors


@needs_node
def test_clients_of_others_come_again_after_a_restart(place: tuple[str, Path], replicas: Replicas) -> None:
    url, data_dir = place
    port = str(free_port())
    address = f"http://127.0.0.1:{port}"
    with ExitStack() as watching:
        with running_sealkey(url, data_dir, port=port):
            clients = [
                watching.enter_context(node_client(way, address, replicas.member_token, "again"))
                for way in ("ws", "sse")
            ]
        with running_sealkey(url, data_dir, port=port):
            assert [next_line(client) for client in clients] == ["watching again"] * 2
            replicas.generate("after_the_restart")
            told = ["credential.generated", "after_the_restart"]
            assert [json.loads(next_line(client)) for client in clients] == [told] * 2
