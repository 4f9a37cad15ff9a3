"""Several processes, processes that die, and endpoints that hang."""

import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.database import Databases
from tests.plugins.play import StartPlay, Template
from tests.support.receiver import Message, Receiver
from tests.support.rows import Rows
from tests.support.server import FakeClock, running_server
from tests.support.world import Play, World
from tests.webhooks.conftest import ALLOWED, Hooks

ROOT = Path(__file__).parents[2]


@contextmanager
def other_process(hooks: Hooks) -> Iterator["subprocess.Popen[str]"]:
    """One that waits for a line before it begins."""
    server = hooks.play.server
    arguments = [server.database_url, str(server.data_dir), server.clock.now.isoformat()]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.webhooks.other_process", *arguments],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until_ready(process: "subprocess.Popen[str]") -> None:
    assert process.stdout
    assert process.stdout.readline() == "ready\n"


def begin(process: "subprocess.Popen[str]") -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.fixture
def held_back(receiver: Receiver) -> Iterator[threading.Event]:
    """The receiver answers messages to /0 only once this is set; it is, at the end."""
    go_on = threading.Event()

    def answer(message: Message) -> int:
        if message.path == "/0":
            go_on.wait(60)
        return 204

    receiver.answer = answer
    yield go_on
    go_on.set()


def test_two_processes_send_each_message_and_each_notice_once(hooks: Hooks) -> None:
    for _ in range(5):
        hooks.subscribe("CREDENTIAL_GENERATED", "CREDENTIAL_REASSOCIATED", "CREDENTIAL_EXPIRING")
    services = hooks.play.alder.services
    credential_id = hooks.play.generate("ci", expiry={"at": "2026-01-20T12:00:00Z"})["credential"]["id"]
    for to in ("timestamps", "certificates", "timestamps"):
        hooks.play.member.do(
            "reassociateCredential", "credential { id }", credentialId=credential_id, serviceId=services[to]
        )
    with ExitStack() as running:
        processes = [running.enter_context(other_process(hooks)) for _ in range(2)]
        for process in processes:
            wait_until_ready(process)
        for process in processes:
            begin(process)
        assert [process.wait(60) for process in processes] == [0, 0]

    messages = hooks.receiver.take()
    assert len(messages) == len({message.id for message in messages}) == 5 * (1 + 3 + 1)
    assert hooks.waiting() == 0


def test_what_a_killed_process_was_sending_another_one_sends_again_under_the_same_id(
    hooks: Hooks, held_back: threading.Event
) -> None:
    hooks.subscribe()
    hooks.play.generate("ci")
    with other_process(hooks) as process:
        wait_until_ready(process)
        begin(process)
        (first,) = hooks.receiver.wait_for(1)
        process.kill()
        process.wait(60)
    held_back.set()

    hooks.play.clock.advance(seconds=59)
    assert hooks.messages() == [], "the other process might still be at it"
    hooks.play.clock.advance(seconds=1)
    (second,) = hooks.messages()
    assert (second.id, second.body) == (first.id, first.body)
    assert hooks.waiting() == 0


def test_an_endpoint_that_hangs_keeps_neither_other_endpoints_nor_the_counting_waiting(
    start_play: StartPlay, receiver: Receiver, held_back: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By the server's own rounds this time, and for longer than this test waits for anything.
    monkeypatch.setattr("resolvers.webhook_delivery._TRY_SECONDS", 90)
    hooks = Hooks(start_play(**ALLOWED, usage_flush_seconds=1), receiver)
    hanging, other = hooks.subscribe("CREDENTIAL_GENERATED"), hooks.subscribe("CREDENTIAL_GENERATED")
    delivery = hooks.play.generate("ci")["delivery"]
    assert {message.path for message in receiver.wait_for(2)} == {hanging.path, other.path}

    keys = {key: delivery[key] for key in ("apiKey", "apiSecret")}
    hooks.play.operator.do("verifyCredential", "code", **keys)
    hooks.play.generate("more")
    assert [message.path for message in receiver.wait_for(1)] == [other.path]
    query = '{ credentials(filter: {nameContains: "ci"}) { nodes { usage(days: 1) { allowed } } } }'
    give_up_at = time.monotonic() + 30
    while hooks.play.member.data(query)["nodes"][0]["usage"] != [{"allowed": 1}]:
        assert time.monotonic() < give_up_at
    assert not held_back.is_set()


@pytest.fixture
def dripping() -> Iterator[int]:
    """The port of a server that answers with one byte after the other, and never with a whole line."""
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while not over.wait(0.02):
                connection.send(b"x")

    def listen() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=drip, args=[listener.accept()[0]], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=listen, daemon=True).start()
        yield listener.getsockname()[1]
        over.set()


def test_a_try_takes_only_so_long_however_little_comes_in_time(
    by_hand: None, start_play: StartPlay, receiver: Receiver, dripping: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the name server hangs, where nothing is answered, and where the answer does not end."""
    over = threading.Event()
    real: Any = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **named: Any) -> Any:
        if host == "slow.example":
            over.wait(60)
        return real("127.0.0.1" if host == "slow.example" else host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr("resolvers.webhook_delivery._TRY_SECONDS", 0.3)
    hooks = Hooks(start_play(**ALLOWED), receiver)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        urls = [
            "https://slow.example/",
            f"http://127.0.0.1:{silent.getsockname()[1]}/",
            f"http://127.0.0.1:{dripping}/",
        ]
        endpoints = [hooks.subscribe(url=url) for url in urls]
        hooks.play.generate("ci")
        hooks.play.server.keep_house()
    over.set()

    for endpoint, host in zip(endpoints, ("slow.example", "127.0.0.1", "127.0.0.1"), strict=True):
        told = f"credential.generated to {host}, attempt 1: TimeoutError"
        assert hooks.audit(endpoint, "webhook.failed") == [told]


def test_an_endpoint_that_hangs_does_not_keep_the_server_from_stopping(
    by_hand: None,
    databases: Databases,
    names: Iterator[str],
    world_template: Template,
    tmp_path: Path,
    receiver: Receiver,
    held_back: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("server.housekeeping._SEND_EVERY", 1)
    monkeypatch.setattr("server.housekeeping._LAST_SECONDS", 0.1)
    name, data_dir = next(names), tmp_path / "data"
    shutil.copytree(world_template.data_dir, data_dir)
    url = databases.create_database(name, world_template.database)
    with running_server(url, data_dir, FakeClock(), **ALLOWED) as server:
        play = Play(server, World.load(data_dir / "world.json"))
        Hooks(play, receiver).subscribe()
        play.generate("ci")
        receiver.wait_for(1)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert not held_back.is_set()

    # It is written down as a try that failed, and is to be done again.
    told = Rows(url).execute("SELECT summary FROM audit_events WHERE type = 'webhook.failed'")
    assert told == [("credential.generated to 127.0.0.1, attempt 1: TimeoutError",)]
    assert Rows(url).execute("SELECT attempts FROM webhook_deliveries") == [(1,)]
    databases.drop_database(name)
