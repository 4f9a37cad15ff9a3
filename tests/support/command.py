"""The `sealkey` command, as its users run it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from click.testing import CliRunner, Result

from server.cli import main
from tests.support.logs import unchanged_logs
from tests.support.server import Client

SEALKEY = Path(sys.executable).with_name("sealkey")


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    """Settings as SEALKEY_*: `workers="2"` is SEALKEY_WORKERS=2."""
    # Nobody here is a balancer, which would have to notice.
    given = {f"SEALKEY_{name.upper()}": value for name, value in {"drain_seconds": "0", **settings}.items()}
    return {"SEALKEY_DATA_DIR": str(data_dir), **given}


def run(data_dir: Path, *arguments: str, stdin: str | None = None, **settings: str) -> Result:
    """A command, run in this process. What it fails with must be a sentence, and no traceback."""
    with unchanged_logs():  # it logs to what is its standard error
        result = CliRunner().invoke(main, arguments, input=stdin, env=environment(data_dir, **settings))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def error_of(result: Result) -> str:
    """The sentence that a command failed with; nothing else was written."""
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    return line.removeprefix("Error: ")


class Serving:
    """`sealkey serve` in a process of its own, stopped at the end of the block; `variables` are further ones of its
    environment, that are no settings."""

    command: Sequence[str | Path] = (SEALKEY,)

    def __init__(
        self,
        data_dir: Path,
        *arguments: str,
        verb: Sequence[str] = ("serve",),
        variables: Any = None,
        **settings: str,
    ) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.output = ""
        self._was_asked = False
        with tempfile.TemporaryFile("w+") as errors:
            self._errors = os.fdopen(os.dup(errors.fileno()), "r")
            self._process = subprocess.Popen(
                [*self.command, *verb, "--port", str(port), *arguments],
                env={"PATH": os.defpath, **environment(data_dir, **settings), **(variables or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self, by: int = signal.SIGTERM) -> None:
        """Asks it and its workers to end, as a terminal does (SIGINT), or it alone; the second time, at once."""
        self._was_asked = True
        if by == signal.SIGINT:
            os.killpg(self.pid, by)
        else:
            self._process.send_signal(by)

    def __exit__(self, *_: object) -> None:
        if not self._was_asked:
            self.stop()
        self.output += self._process.communicate(timeout=30)[0]
        self._all_errors = self.errors
        self._errors.close()

    def wait(self) -> Self:
        """Until it listens."""
        assert self._process.stdout
        for line in iter(self._process.stdout.readline, ""):
            self.output += line
            if "/graphql" in line:
                return self
        raise AssertionError(self.errors)

    def ended_with(self, within: float) -> int:
        """The exit status of one that was asked to end."""
        return self._process.wait(within)

    def failure(self) -> tuple[int, str]:
        """The exit status and what was written to standard error by one that can't start."""
        self._process.wait(30)
        return self._process.returncode, self.errors

    @property
    def errors(self) -> str:
        """All that was written to standard error, which is where the log goes."""
        if self._errors.closed:
            return self._all_errors
        self._errors.seek(0)
        return self._errors.read()

    def client(self, token: str | None = None) -> Client:
        return Client(self.url, token)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
