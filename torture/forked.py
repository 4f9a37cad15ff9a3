"""The command `sealkey` in processes that are forked from one that has imported everything, so that one is there in
milliseconds and a thousand can be killed in minutes. In each runs what the command runs: the real server and all.

A process can be told to kill itself at a certain step of its work: at the n-th call or return of a function of certain
files, so that each point at which power may be lost is met, and met again when tried again.
"""

import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Self

from tests.support.processes import ROOT

KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Steps:
    """At which step to kill oneself: at the `at`-th call or return in the files whose path has one of these parts.
    Where `at` is 0, steps are counted, and the count written into `counted`."""

    files: Sequence[str]
    at: int
    counted: str = ""


class Forks:
    """The process that is forked from. Used by one thread."""

    def __enter__(self) -> Self:
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "torture.forked"],
            env={"PATH": os.environ["PATH"]},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._living: set[int] = set()
        return self

    def __exit__(self, *_: object) -> None:
        for pid in list(self._living):
            self.kill(pid)
        self._parent.communicate()

    def start(
        self,
        arguments: Sequence[str],
        settings: Mapping[str, str],
        *,
        log: Path,
        stdin: str = "",
        steps: Steps | None = None,
    ) -> int:
        """The id of a process, and of its group, that runs a command. What it writes is added to the log."""
        order = {"arguments": list(arguments), "settings": dict(settings), "log": str(log), "stdin": stdin}
        pid = int(self._ask({**order, "steps": asdict(steps) if steps else None}))
        self._living.add(pid)
        return pid

    def run(self, *arguments: str, settings: Mapping[str, str], log: Path, **more: Any) -> int:
        """The exit status of a command, negative where a signal ended it."""
        return self.wait(self.start(arguments, settings, log=log, **more))

    def kill(self, pid: int) -> int:
        """Kills a process with all that it started; its exit status, which is another one if it ended before."""
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        return self.wait(pid)

    def terminate(self, pid: int) -> None:
        """Asks a process to end."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)

    def wait(self, pid: int) -> int:
        """The exit status once it has ended."""
        status = int(self._ask({"wait": pid}))
        self._living.discard(pid)
        return status

    def ended(self, pid: int) -> bool:
        """Whether a process has ended by itself."""
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"

    def _ask(self, order: dict[str, Any]) -> str:
        assert self._parent.stdin
        assert self._parent.stdout
        self._parent.stdin.write(json.dumps(order) + "\n")
        self._parent.stdin.flush()
        return self._parent.stdout.readline()


def serve_forks() -> None:
    """What the parent does: no thread and no event loop is there while it forks."""
    import server.cli  # noqa: PLC0415  (nobody else need wait for that)

    send_soon()

    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
        else:
            answer = os.fork() or _run(order, server.cli.main)
        print(answer, flush=True)


def send_soon() -> None:
    """Servers here live for less than a second: what is to be sent is looked for more often, and tried again sooner, so
    that sending is killed too, and nobody waits for it for minutes."""
    from resolvers import webhook_delivery  # noqa: PLC0415
    from server import housekeeping  # noqa: PLC0415

    housekeeping._SEND_EVERY = 0.1  # type: ignore[assignment]
    webhook_delivery._LEASE = timedelta(seconds=1.5)
    webhook_delivery._PAUSES = (timedelta(seconds=0.5),) * len(webhook_delivery._PAUSES)


def _run(order: dict[str, Any], main: Any) -> int:
    """In the child, which never comes back from here."""
    os.setsid()
    _connect_streams(order)
    os.environ.update(order["settings"])
    status = 1
    try:
        if order["steps"]:
            _mind(Steps(**order["steps"]))
        main(order["arguments"], prog_name="sealkey")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        sys.setprofile(None)
        _write_count(order)
        sys.stdout.flush()
        os._exit(status)


def _connect_streams(order: dict[str, Any]) -> None:
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    reading, writing = os.pipe()
    os.write(writing, order["stdin"].encode())
    os.close(writing)
    os.dup2(reading, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdin = os.fdopen(0, "r", closefd=False)


_steps_taken = 0


def _mind(steps: Steps) -> None:
    """Counts the steps of this thread, in which all but the drivers' own work is done."""

    def count(frame: FrameType, event: str, _argument: Any) -> None:
        global _steps_taken  # noqa: PLW0603  (a process has one)
        if any(part in frame.f_code.co_filename for part in steps.files):
            _steps_taken += 1
            if _steps_taken == steps.at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)


def _write_count(order: dict[str, Any]) -> None:
    if order["steps"] and order["steps"]["counted"]:
        Path(order["steps"]["counted"]).write_text(str(_steps_taken))


if __name__ == "__main__":
    serve_forks()
