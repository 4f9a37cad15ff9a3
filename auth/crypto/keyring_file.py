"""The file that the server's own keys are in: made once, replaced whole, and read again when it was replaced. Where it
is sealed, what is written, beside it too, is sealed before."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auth.crypto.key_sealing import Sealing, Unsealed
from auth.crypto.keyring import Keyring, KeyringUnreadable, generate_keyring, read_keyring

Stamp = tuple[int, int, int]
_UNSEALED = Unsealed()


def load_keyring(path: Path, sealing: Sealing = _UNSEALED) -> Keyring:
    """The keys of a new deployment, in a file that is made first (mode 0600) if there is none. Any number of processes
    may start at once: one makes the file, all read it. Raises KeyringUnreadable."""
    if not path.exists():
        _write_once(path, sealing.seal(generate_keyring()))
    return read_keyring_file(path, sealing)


def read_keyring_file(path: Path, sealing: Sealing = _UNSEALED) -> Keyring:
    """The keys in a file that must be there. Raises KeyringUnreadable."""
    if not path.exists():
        raise KeyringUnreadable(
            f"{path} is not there: put back the backup of the server's keys; a server makes them only where its "
            "database knows none yet"
        )
    try:
        return read_keyring(sealing.open(_read(path)))
    except KeyringUnreadable as error:
        raise KeyringUnreadable(f"{path}: {error}") from None


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()  # first, as what is no file has another mode
        if path.stat().st_mode & 0o077:
            raise KeyringUnreadable(f"others can read it; make it yours alone: chmod 600 {path}")
        return content
    except OSError as error:
        raise KeyringUnreadable(f"it can't be read: {error.strerror}") from None


def stamp(path: Path) -> Stamp | None:
    """What is another one after the file was replaced; None while there is none to be seen."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


@contextmanager
def locked_keyring(path: Path, sealing: Sealing = _UNSEALED) -> Iterator[bytes]:
    """What a key file holds, opened, to be changed: two who do that wait for each other. The lock is on its directory,
    since the file is replaced. Raises KeyringUnreadable."""
    with _locked(path):
        yield sealing.open(path.read_bytes())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path.resolve().parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def replace_keyring(path: Path, content: bytes) -> None:
    """Changes what a key file holds: `content` is written as it is, so it is sealed before where the file is to be.
    Whoever reads the file meanwhile, and whoever starts after a crash at any point, finds the whole of the old one or
    the whole of the new one."""
    real = path.resolve()
    # The server's user may be another than who changes it: the new file is whose the old one was.
    _put(real, content, real.stat())


def _write_once(path: Path, data: bytes) -> None:
    """Where another process is first, its keys are the server's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path):
        if not path.exists():
            _put(path, data)


def _put(path: Path, data: bytes, like: os.stat_result | None = None) -> None:
    """Written beside it whole, so that nobody reads half a file; under the lock, so that what is there already was left
    by one who was killed."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    try:
        _write(beside, data, like)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    _sync(path.parent)


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
