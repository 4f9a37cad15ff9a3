"""The process that keeps workers alive, with workers that start at once, or don't."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog
import uvicorn
from uvicorn.supervisors.multiprocess import SIGNALS

from server.supervisor import Supervisor
from tests.support import frail


@pytest.fixture(autouse=True)
def broken_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(frail.BROKEN_BY, str(tmp_path / "broken"))
    return tmp_path / "broken"


@contextmanager
def supervised(**config: float) -> Iterator[Supervisor]:
    """With one worker, kept alive when it is asked to."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = uvicorn.Config("tests.support.frail:app", workers=1, log_config=None, lifespan="on", **config)  # type: ignore[arg-type]
        supervisor = Supervisor(settings, [listener], lambda: None)
        try:
            supervisor.init_processes()
            yield supervisor
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            for process in supervisor.processes:
                process.kill()
                process.join()


def test_a_worker_that_is_slow_to_start_is_waited_for() -> None:
    with supervised(timeout_worker_healthcheck=0.1) as supervisor:
        (process,) = supervisor.processes
        supervisor.keep_subprocess_alive()
        assert supervisor.processes == [process]


def test_a_server_of_which_no_worker_can_start_ends(broken_by: Path) -> None:
    broken_by.touch()
    with supervised() as supervisor:
        supervisor.processes[0].join()
        supervisor.keep_subprocess_alive()
        assert (supervisor.should_exit.is_set(), supervisor.has_failed) == (True, True)


def test_a_worker_that_can_not_start_any_more_ends_none_of_the_others_and_is_tried_again(broken_by: Path) -> None:
    """One that ended in the midst of an outage, for example."""
    broken_by.touch()
    with supervised() as supervisor, structlog.testing.capture_logs() as logs:
        supervisor._has_said = True
        process = supervisor.processes[0]
        process.process.join()
        supervisor.keep_subprocess_alive()
        assert not supervisor.should_exit.is_set()
        assert not supervisor.has_failed
        assert supervisor.processes[0] is not process
        assert supervisor.processes[0].wait_until_ready(20)
        assert [(line["event"], line["exit_status"]) for line in logs] == [("worker_ended", 3)]


def test_a_worker_that_ends_again_and_again_is_not_replaced_all_the_time() -> None:
    with supervised() as supervisor:
        for _ in range(2):
            ended = supervisor.processes[0]
            ended.process.kill()
            ended.join()
            supervisor.keep_subprocess_alive()
        assert supervisor.processes[0] is ended
