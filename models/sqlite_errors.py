"""What an error of SQLite's means to whoever runs the server: what is wrong with which file, and what to do about it.

Only damage asks for a backup in the database's place, which lets in what was revoked since it was made. A full disk and
a file of somebody else's ask for less, though SQLite tells of both as it does of a broken disk.
"""

import os
import pwd
import sqlite3
from pathlib import Path

from models.unusable import DatabaseUnusable

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_NOT_ALLOWED = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
# What SQLite says where a file can't grow, or another one not be made beside it, too.
_MAYBE_FULL = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
# Less than what SQLite needs beside a database to read it at all, and than a few changes take.
_NO_ROOM = 1024 * 1024
_BESIDE = ("-wal", "-shm", "-journal")


def unusable(file: Path, error: sqlite3.Error) -> DatabaseUnusable:
    """An error that came of using a database, as a sentence about that file."""
    code = primary_code(error)
    if code in _DAMAGED:
        return damaged(file, str(error))
    if is_full(file, error):
        return DatabaseUnusable(
            f"The disk that {file} is on is full: make room there. The database is not damaged, and needs no backup in "
            "its place."
        )
    if code in _NOT_ALLOWED and (forbidden := not_writable(file)):
        return forbidden
    told = f"The database {file} can't be used: {_sentence(error)} ({error_name(error)})."
    if code == sqlite3.SQLITE_IOERR:
        told += (
            " Look at the disk, and at what the system's log says of it; this does not mean that the file is damaged."
        )
    return DatabaseUnusable(told)


def damaged(file: Path, what: str) -> DatabaseUnusable:
    what = what.replace("\n", " ").rstrip(".")
    return DatabaseUnusable(
        f"The database {file} can't be used: {what}. `sealkey db check` shows all that is wrong with it. Put a backup "
        "in its place, as docs/operating.md says; keep the file."
    )


def not_writable(file: Path) -> DatabaseUnusable | None:
    """What of a database and the files beside it this process may not read and write, if anything."""
    if not os.access(file.parent, os.W_OK | os.X_OK):
        return _not_writable(file.parent)
    for path in (file, *(file.with_name(file.name + suffix) for suffix in _BESIDE)):
        if path.exists() and not os.access(path, os.R_OK | os.W_OK):
            return _not_writable(path)
    return None


def _not_writable(path: Path) -> DatabaseUnusable:
    found = path.stat()
    return DatabaseUnusable(
        f"{path} can't be written: it belongs to {_name(found.st_uid)} (mode {found.st_mode & 0o777:03o}), and sealkey "
        f"runs as {_name(os.geteuid())}. SQLite must read and write the database and files beside it: give it to that "
        "user (chown), on a filesystem that is not read-only."
    )


def is_full(file: Path, error: sqlite3.Error) -> bool:
    """Whether an error means that the disk of a file is full."""
    code = primary_code(error)
    return code == sqlite3.SQLITE_FULL or (code in _MAYBE_FULL and has_no_room(file.parent))


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error means that the content of the file is wrong."""
    return primary_code(error) in _DAMAGED


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without what it is extended by; 0 where there is none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def error_name(error: sqlite3.Error) -> str:
    """Such as SQLITE_FULL: SQLite's own name for what happened, which has nothing of what was asked in it."""
    return str(getattr(error, "sqlite_errorname", type(error).__name__))


def has_no_room(directory: Path) -> bool:
    """Whether a filesystem has less left than a few changes take. Some don't say how much they have, or count no
    files."""
    try:
        disk = os.statvfs(directory)
    except OSError:
        return False
    free = disk.f_bfree if os.geteuid() == 0 else disk.f_bavail  # of which some may be kept for root
    return bool(disk.f_blocks) and (free * disk.f_frsize < _NO_ROOM or (disk.f_files > 0 and disk.f_favail == 0))


def _sentence(error: sqlite3.Error) -> str:
    return str(error).replace("\n", " ").rstrip(".")


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
