"""A disk of a megabyte, for whom a full one is to be shown."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_MOUNTED = 'mount -t tmpfs -o size=1m tmpfs "$1" && shift && exec "$@"'
# Mounted where nobody else sees it, which takes no more rights than the system gives anybody; where it gives none, such
# a disk can't be had.
_APART = ["unshare", "--map-root-user", "--mount"]
needs_small_disk = pytest.mark.skipif(
    not shutil.which("unshare")
    or subprocess.run([*_APART, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True).returncode
    != 0,
    reason="the system lets nobody mount a small disk",
)


def run_on_small_disk(directory: Path, script: str) -> str:
    """What a Python script writes that has a disk of its own mounted at a directory."""
    done = subprocess.run(
        [*_APART, "sh", "-c", _MOUNTED, "sh", directory, sys.executable, "-c", script],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def fill(directory: Path) -> None:
    """Until there is no room left."""
    with (directory / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            return
