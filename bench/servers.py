"""Servers as processes of their own, frozen while others are measured; and a PostgreSQL with the rows in it."""

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.data import ISSUER, SEALKEY, Data, fill_postgres
from bench.progress import say
from tests.postgres import Postgres, running_postgres
from tests.support.processes import ROOT, free_port

USAGE_FLUSH_SECONDS = 5
"""What was counted of checks is written down so often, as it is where nothing else is set."""

_DATABASE = "bench"
_STARTED_WITHIN = 120  # seconds
_CATCHES_UP = 0.6  # seconds
_IDLE = 0.05  # of a core
_IDLE_WITHIN = 120  # seconds


class ServerFailed(Exception):
    """A server did not start or has ended; the message has what it wrote."""


@dataclass(frozen=True)
class Memory:
    """Bytes, of a server's processes together."""

    peak: int
    now: int


@dataclass(frozen=True)
class Server:
    """A running server with its worker processes."""

    address: str
    process: psutil.Process
    log: Path
    flushes_every: float = 0

    def memory(self) -> Memory:
        """Resident now, and at most so far."""
        peaks, nows = zip(*(_resident(process.pid) for process in self._processes()), strict=True)
        return Memory(sum(peaks), sum(nows))

    def cpu_seconds(self) -> float:
        times = [process.cpu_times() for process in self._processes()]
        return float(sum(each.user + each.system for each in times))

    def freeze(self) -> None:
        """Stops all of its processes, the one that watches over the others first."""
        for process in self._processes():
            process.suspend()

    def thaw(self) -> None:
        """Lets them go on, the one that watches over the others last, and catch up with what they missed."""
        for process in reversed(self._processes()):
            process.resume()
        time.sleep(_CATCHES_UP)

    def settle(self) -> None:
        """Waits until it has written down what it counted and has nothing left to do."""
        time.sleep(self.flushes_every * 1.1)
        deadline = time.monotonic() + _IDLE_WITHIN
        while time.monotonic() < deadline:
            before, began = self.cpu_seconds(), time.monotonic()
            time.sleep(0.25)
            if self.cpu_seconds() - before <= _IDLE * (time.monotonic() - began) + 0.01:
                return
        raise ServerFailed(f"It was still busy {_IDLE_WITHIN} s after it was asked last.\n{self.last_lines()}")

    def check(self) -> None:
        """Raises ServerFailed where it has ended."""
        if not self.process.is_running() or self.process.status() == psutil.STATUS_ZOMBIE:
            raise ServerFailed(f"The server ended.\n{self.last_lines()}")

    def last_lines(self) -> str:
        """The end of what it wrote."""
        return "\n".join(self.log.read_text().splitlines()[-10:])

    def _processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


def _resident(pid: int) -> tuple[int, int]:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return tuple(int(status.get(name, "0 kB").split()[0]) * 1024 for name in ("VmHWM", "VmRSS"))  # type: ignore[return-value]


@contextmanager
def running(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    log: Path,
    port: int,
    *,
    ready: str = "/",
    flushes_every: float = 0,
    directory: Path = ROOT,
) -> Iterator[Server]:
    """A program that has answered on its port with anything below 500."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w", encoding="utf-8") as output,
        subprocess.Popen(
            command,
            env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **environment},
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # an interrupt from the terminal comes from here
        ) as popen,
    ):
        server = Server(f"http://127.0.0.1:{port}", psutil.Process(popen.pid), log, flushes_every)
        try:
            _await_answer(server, ready)
            yield server
        finally:
            _end(server, popen)


def _end(server: Server, popen: subprocess.Popen[bytes]) -> None:
    with suppress(psutil.NoSuchProcess):
        for process in server._processes():
            process.resume()
        server.process.terminate()
    try:
        popen.wait(30)
    except subprocess.TimeoutExpired:
        for process in server._processes():
            process.kill()


def _await_answer(server: Server, ready: str) -> None:
    deadline = time.monotonic() + _STARTED_WITHIN
    while time.monotonic() < deadline:
        server.check()
        try:
            with urllib.request.urlopen(server.address + ready, timeout=5):
                return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise ServerFailed(f"The server did not answer in {_STARTED_WITHIN} s.\n{server.last_lines()}")


@contextmanager
def running_sealkey(
    data: Data,
    database_url: str,
    log: Path,
    *,
    workers: int = 1,
    settings: Mapping[str, str] | None = None,
    flushes_every: int = USAGE_FLUSH_SECONDS,
) -> Iterator[Server]:
    """`sealkey serve` on a database with the rows of `data`; `settings` are further variables of its environment."""
    port = free_port()
    environment = {
        "SEALKEY_DATABASE_URL": database_url,
        "SEALKEY_DATA_DIR": str(data.directory),
        "SEALKEY_KEYS_FILE": str(data.keys_file),
        "SEALKEY_ISSUER": ISSUER,
        "SEALKEY_USAGE_FLUSH_SECONDS": str(flushes_every),
        "SEALKEY_DRAIN_SECONDS": "0",
        **(settings or {}),
    }
    command = [*SEALKEY, "serve", "--port", str(port), "--workers", str(workers)]
    with running(command, environment, log, port, ready="/readyz", flushes_every=flushes_every) as server:
        yield server


@contextmanager
def running_empty(log: Path, *, workers: int = 1) -> Iterator[Server]:
    """The least that any answer costs."""
    port = free_port()
    with running([sys.executable, "-m", "bench.empty", str(port), str(workers)], {}, log, port) as server:
        yield server


@contextmanager
def running_stock(log: Path) -> Iterator[Server]:
    """Strawberry's own view, as it comes."""
    port = free_port()
    with running([sys.executable, "-m", "bench.stock", str(port)], {}, log, port, ready="/graphql") as server:
        yield server


@contextmanager
def filled_postgres(data: Data) -> Iterator[tuple[Postgres, str]]:
    """A PostgreSQL that keeps what it confirms, and the URL of a database in it with the rows of `data`. They are
    copied in once; afterwards the server's files as they were then are used."""
    kept, password = data.directory / "postgres", data.directory / "postgres-password"
    with running_postgres(durable=True) as server:
        if password.exists():
            say("Restoring PostgreSQL's files.")
            server.stop()
            _replace(server.data, kept)
            _, _, place = server.address.rpartition("@")
            server.address = f"postgres:{password.read_text()}@{place}"
            server.start()
        else:
            fill_postgres(data, server.create_database(_DATABASE))
            server.stop()
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(server.data, kept)
            password.touch(mode=0o600)
            password.write_text(server.address.partition(":")[2].partition("@")[0])
            server.start()
        yield server, server.url(_DATABASE)


def _replace(directory: Path, kept: Path) -> None:
    """Puts the kept files into a directory, as its owner's."""
    owner = directory.stat()
    for entry in directory.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    shutil.copytree(kept, directory, dirs_exist_ok=True)
    if os.geteuid() == 0:
        for path in [directory, *directory.rglob("*")]:
            os.chown(path, owner.st_uid, owner.st_gid)
    directory.chmod(0o700)


@contextmanager
def copied_sqlite(kept: Path, directory: Path) -> Iterator[str]:
    """The URL of a copy, removed at the end."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / kept.name
    shutil.copyfile(kept, path)
    try:
        yield f"sqlite://{path}"
    finally:
        for each in directory.glob(f"{kept.name}*"):
            with suppress(OSError):
                each.unlink()
