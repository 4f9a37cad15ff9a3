"""A SQLite database as a file: whether it can be relied on where it is, whether it is sound, and a copy of it while
others use it."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from itertools import islice
from pathlib import Path

from models.sqlite_errors import damaged, is_damage, is_full, not_writable, unusable
from models.unusable import DatabaseUnusable

# As many as SQLite tells of damage by itself.
_MOST_TOLD = 100
_MOUNTS = Path("/proc/self/mountinfo")
# SQLite's processes share memory and locks, of which these keep one machine's from another's or promise too much.
_OVER_A_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "gfs2", "ocfs2", "fuse.sshfs", "fuse.glusterfs"}
)
_STEP_PAGES = 2_000
_BESIDE = ("", "-journal", "-wal", "-shm")


def confirm_usable(file: Path) -> None:
    """Raises DatabaseUnusable for a file that can't be written, or not be relied on."""
    kind = _filesystem(file)
    if kind in _OVER_A_NETWORK:
        raise DatabaseUnusable(
            f"{file} is on a network filesystem ({kind}), where SQLite may damage it: keep it on a disk of this "
            "machine, or use PostgreSQL (SEALKEY_DATABASE_URL)."
        )
    if forbidden := not_writable(file):
        raise forbidden


def _filesystem(file: Path) -> str:
    """What kind of filesystem a file is on, as Linux names it; elsewhere nothing."""
    try:
        lines = _MOUNTS.read_text().splitlines()
    except OSError:
        return ""
    path, deepest, kind = file.resolve(), -1, ""
    for line in lines:
        before, _, after = line.partition(" - ")
        mounted_at = Path(before.split()[4].replace("\\040", " "))
        # Of two at one place, the later hides the earlier.
        if path.is_relative_to(mounted_at) and len(mounted_at.parts) >= deepest:
            deepest, kind = len(mounted_at.parts), after.split()[0]
    return kind


def look_for_damage(file: Path, seconds: float) -> None:
    """Looks through a file for as long as is allowed, or to its end. Raises DatabaseUnusable for one that is damaged,
    as far as that was seen, and for one that can't be looked at."""
    confirm_usable(file)
    give_up_at = time.monotonic() + seconds
    with _reading(file) as connection:
        connection.set_progress_handler(lambda: time.monotonic() > give_up_at, 1000)
        try:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                return
            raise
    if found != "ok":
        raise damaged(file, found)


def problems(file: Path) -> Iterator[str]:
    """What is wrong with a database: damage, and rows that refer to none, up to a hundred of each. Raises
    DatabaseUnusable where it can't be looked at, or nothing was ever made in it."""
    try:
        with closing(_open(file)) as connection:
            for (found,) in connection.execute("PRAGMA integrity_check"):
                if found != "ok":
                    yield found.replace("\n", " ")
            for table, row, parent, _ in islice(connection.execute("PRAGMA foreign_key_check"), _MOST_TOLD):
                yield f"Row {row} of {table} refers to a row of {parent} that is not there."
            _confirm_in_use(file, connection)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise unusable(file, error) from error
        yield str(error)  # which is as far as it can be read


def _confirm_in_use(file: Path, connection: sqlite3.Connection) -> None:
    found = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'tortoise_migrations'").fetchone()
    if found == (0,):
        raise DatabaseUnusable(
            f"{file} is empty, without Sealkey's tables. Does SEALKEY_DATABASE_URL, or SEALKEY_DATA_DIR, name the one "
            "that is meant, and is the disk that it is on mounted?"
        )


@contextmanager
def _reading(file: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(_open(file)) as connection:
            connection.execute("PRAGMA query_only = ON")
            yield connection
    except sqlite3.DatabaseError as error:
        raise unusable(file, error) from error


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=10)


def back_up(file: Path, copy: Path, tell: Callable[[int, int], None]) -> None:
    """Copies a database as it is at one moment, while others read and write, to a file that must not be there yet: it
    is there when it is complete, on disk and found sound, for its owner alone. `tell` hears how many pages of how many
    are done. Raises DatabaseUnusable."""
    _refuse_if_there(copy)
    partial = copy.with_name(f"{copy.name}.partial")
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise DatabaseUnusable(
            f"{partial} is there: another backup is being made, or one was cut short. In the latter case remove it."
        ) from None
    try:
        _copy(file, partial, tell)
        for problem in problems(partial):
            raise DatabaseUnusable(
                f"No backup was made, since the copy is not sound: {problem}. `sealkey db check` shows more."
            )
        _sync(partial)
        _publish(partial, copy)
    finally:
        for suffix in _BESIDE:
            partial.with_name(partial.name + suffix).unlink(missing_ok=True)
    _sync(copy.parent)


def _refuse_if_there(copy: Path) -> None:
    if os.path.lexists(copy):
        raise DatabaseUnusable(f"{copy} is there already, and a backup overwrites nothing: name another file.")


def _copy(file: Path, partial: Path, tell: Callable[[int, int], None]) -> None:
    with _reading(file) as source, closing(sqlite3.connect(partial, isolation_level=None)) as target:
        # Inside a transaction all steps see the same moment; else each change by others would begin the copy anew.
        source.execute("BEGIN")
        _confirm_in_use(file, source)
        with _writing(partial):
            target.execute("PRAGMA synchronous = OFF")  # it is synced once, at the end
            source.backup(target, pages=_STEP_PAGES, progress=lambda _, left, total: tell(total - left, total))
            # One file that needs none beside it, and can be read where nothing can be written.
            target.execute("PRAGMA journal_mode = DELETE")
        source.execute("ROLLBACK")


@contextmanager
def _writing(partial: Path) -> Iterator[None]:
    """Of an error in copying one to another nobody knows whose it is, but where the disk is full of which."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if is_full(partial, error):
            raise unusable(partial, error) from error
        raise


def _publish(partial: Path, copy: Path) -> None:
    try:
        os.link(partial, copy)  # which, unlike renaming, overwrites nothing
    except FileExistsError:
        _refuse_if_there(copy)
    except OSError:  # a filesystem without links
        _refuse_if_there(copy)
        partial.rename(copy)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        # Not every filesystem can do it to a directory.
        with suppress(OSError) if path.is_dir() else nullcontext():
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
