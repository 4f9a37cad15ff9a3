"""`demo`: the server that `make run` starts, once it has set everything up."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT

SEALKEY = Path(sys.executable).with_name("sealkey")


@dataclass(frozen=True)
class Demo:
    """A running `sealkey demo --serve`: its port, and what it has printed."""

    port: int
    printed: str

    def password(self, role: str) -> str:
        (line,) = [line for line in self.printed.splitlines() if line.split()[:1] == [role]]
        return line.split()[2]


@pytest.fixture
def demo(empty_database_url: str, tmp_path: Path) -> Iterator[Demo]:
    port = _free_port()
    settings = {"SEALKEY_DATA_DIR": str(tmp_path / "data"), "SEALKEY_DRAIN_SECONDS": "0"}
    settings["SEALKEY_DATABASE_URL"] = empty_database_url
    log = tmp_path / "demo.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [SEALKEY, "demo", "--serve", "--port", str(port)],
            # The checkout that is tested, wherever the command was installed from.
            env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), **settings},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            yield Demo(port, _printed(process, log))
        finally:
            process.terminate()


def _printed(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout
    printed = ""
    for line in process.stdout:
        printed += line
        if line.split()[:1] == ["member"]:
            return printed
    pytest.fail(f"the server did not start: {printed}{log.read_text()}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
