"""Disks that fill up and become read-only for real, as far as this machine lets us have such."""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from torture.campaign import CampaignFailed


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path | None]:
    """A filesystem of so many MB, in memory; None where we may not mount one."""
    # Not the caller's own temporary directory, which PostgreSQL, as somebody else, may not be let into.
    with TemporaryDirectory(prefix="sealkey-disk-", dir="/tmp") as name:
        if not _succeeds("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=1777", "sealkey", name):
            yield None
            return
        try:
            yield Path(name)
        finally:
            _succeeds("umount", "--lazy", name)


@contextmanager
def filled(disk: Path, *, but_for: int = 0) -> Iterator[None]:
    """Inside, a file takes all the room on a disk but for so many bytes."""
    found = os.statvfs(disk)
    ballast = disk / "ballast"
    try:
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - but_for)
        yield
    finally:
        ballast.unlink()


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """In this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """Inside, nothing on a disk can be written, of which no file is open."""
    if not _succeeds("mount", "-o", "remount,ro", str(disk)):
        raise CampaignFailed(f"{disk} can't be made read-only")
    try:
        yield
    finally:
        _succeeds("mount", "-o", "remount,rw", str(disk))


@contextmanager
def immutable(directory: Path) -> Iterator[bool]:
    """Inside, nothing in a directory can be written, by those either who have it open; or that it can't be made so.

    No filesystem lets itself be remounted while a file is open for writing, unless it fails; but files of most can be
    made immutable, which those who have them open are told too."""
    with (probe := directory / "probe").open("wb", buffering=0) as opened:
        files = [str(directory), *map(str, directory.iterdir())]
        _succeeds("chattr", "+i", *files)
        try:
            yield _is_refused(opened.fileno())
        finally:
            _succeeds("chattr", "-i", *files)
            probe.unlink()


def _is_refused(descriptor: int) -> bool:
    try:
        os.write(descriptor, b"x")
    except OSError:
        return True
    return False


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
