"""The file that the server's own keys are in: made once, replaced whole, and read again when it was replaced."""

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auth.crypto.keyring import Keyring, KeyringUnreadable, generate_keyring, read_keyring

Stamp = tuple[int, int, int]


def load_keyring(path: Path) -> Keyring:
    """The keys in a file, made first (mode 0600) if there is none. Any number of processes may start at once: one
    makes the file, all read it. Raises KeyringUnreadable."""
    if not path.exists():
        _write_once(path, generate_keyring())
    return read_keyring_file(path)


def read_keyring_file(path: Path) -> Keyring:
    """The keys in a file that must be there. Raises KeyringUnreadable."""
    if not path.exists():
        raise KeyringUnreadable(f"{path} is not there; the server makes it when it first starts")
    if path.stat().st_mode & 0o077:
        raise KeyringUnreadable(f"{path} can be read by others; make it yours alone: chmod 600 {path}")
    try:
        return read_keyring(path.read_bytes())
    except KeyringUnreadable as error:
        raise KeyringUnreadable(f"{path}: {error}") from None


def stamp(path: Path) -> Stamp | None:
    """What is another one after the file was replaced; None while there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


@contextmanager
def locked_keyring(path: Path) -> Iterator[bytes]:
    """What a key file holds, to be changed: two who do that wait for each other. The lock is on its directory, since
    the file is replaced."""
    descriptor = os.open(path.resolve().parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield path.read_bytes()
    finally:
        os.close(descriptor)


def replace_keyring(path: Path, data: bytes) -> None:
    """Changes what a key file holds. Whoever reads it meanwhile, and whoever starts after a crash at any point, finds
    the whole of the old file or the whole of the new one."""
    real = path.resolve()
    beside = real.with_name(f"{real.name}.{secrets.token_hex(8)}")
    try:
        # The server's user may be another than who changes it: the new file is whose the old one was.
        _write(beside, data, real.stat())
        beside.replace(real)
    finally:
        beside.unlink(missing_ok=True)
    _sync(real.parent)


def _write_once(path: Path, data: bytes) -> None:
    """Written beside it whole and then linked, so that nobody reads half a file and the first to link it wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        _write(beside, data)
        os.link(beside, path)
    except FileExistsError:
        pass  # Another process was first: its keys are the server's.
    finally:
        beside.unlink(missing_ok=True)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, data: bytes, like: os.stat_result | None = None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if like is not None:
            os.fchmod(descriptor, stat.S_IMODE(like.st_mode))
            if like.st_uid != os.geteuid():
                os.fchown(descriptor, like.st_uid, like.st_gid)
        file.write(data)
        file.flush()
        os.fsync(descriptor)
