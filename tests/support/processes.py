"""Programs started for a test and ended with it, and what they wrote."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SERVE = "from server.__main__ import main; main()"


@dataclass(frozen=True)
class Process:
    """A running program. Its lines, standard output and standard error together, grow as it writes them."""

    popen: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def stop(self) -> None:
        """Asks it to end, and waits until it has."""
        self.popen.terminate()
        self.popen.wait(30)


@contextmanager
def running_process(command: Sequence[str | Path], environment: Mapping[str, str], ready: str) -> Iterator[Process]:
    """A program that has written a line with `ready` in it. Its environment is what is given and the path."""
    with subprocess.Popen(
        command,
        env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **environment},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as popen:
        process, is_ready = Process(popen), threading.Event()
        reader = threading.Thread(target=_read, args=[process, ready, is_ready], daemon=True)
        reader.start()
        try:
            assert is_ready.wait(60), "it was not ready in time"
            assert any(ready in line for line in process.lines), "".join(process.lines)
            yield process
        finally:
            process.stop()
            reader.join(30)


def _read(process: Process, ready: str, is_ready: threading.Event) -> None:
    assert process.popen.stdout is not None
    for line in process.popen.stdout:
        process.lines.append(line)
        if ready in line:
            is_ready.set()
    is_ready.set()  # It has ended: nobody need wait for it.


@contextmanager
def running_sealkey(database_url: str, data_dir: Path, **settings: str) -> Iterator[str]:
    """`sealkey serve` as a process of its own, with the machine's clock; its address."""
    port = settings.pop("port", free_port())
    environment = {
        "PYTHONPATH": str(ROOT),
        "SEALKEY_DATA_DIR": str(data_dir),
        "SEALKEY_DATABASE_URL": database_url,
        **{f"SEALKEY_{name.upper()}": value for name, value in {"drain_seconds": "0", **settings}.items()},
    }
    command = [sys.executable, "-c", _SERVE, "serve", "--port", str(port)]
    with running_process(command, environment, "is serving GraphQL"):
        yield f"http://127.0.0.1:{port}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
