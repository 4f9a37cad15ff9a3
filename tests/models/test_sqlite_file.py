"""A SQLite file is used only where that is safe and while it is sound, and is copied while it is in use."""

import asyncio
import ctypes
import os
import pwd
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tortoise.connection import get_connections

from models import sqlite_file
from models.database import connected, transaction
from models.sqlite_file import back_up
from tests.models.stocked import stock
from tests.support.command import SEALKEY, environment, error_of, run
from tests.support.rows import Rows
from tests.support.small_disk import needs_small_disk, run_on_small_disk

pytestmark = pytest.mark.engine("sqlite")


@pytest.fixture
def file(database_url: str) -> Path:
    """A database with something in it."""
    stock(Rows(database_url))
    return Path(database_url.removeprefix("sqlite://"))


def execute(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None, timeout=10)) as connection:
        for statement in statements:
            connection.execute(statement)


# ---------------------------------------------------------------- in use


def test_the_file_is_used_so_that_nothing_acknowledged_is_lost(database_url: str) -> None:
    async def pragmas() -> dict[str, object]:
        names = ("journal_mode", "synchronous", "busy_timeout", "foreign_keys", "recursive_triggers")
        async with connected(database_url):
            client = get_connections().get("default")
            return {name: (await client.execute_query(f"PRAGMA {name}"))[1][0][0] for name in names}

    assert asyncio.run(pragmas()) == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "busy_timeout": 10_000,
        "foreign_keys": 1,
        "recursive_triggers": 1,
    }


def test_a_transaction_may_write_from_its_beginning(database_url: str, file: Path) -> None:
    """So what it has read can't have been changed by others when it writes, and it need not fail for that."""

    async def run() -> None:
        async with connected(database_url), transaction():
            with closing(sqlite3.connect(file, timeout=0)) as other, pytest.raises(sqlite3.OperationalError) as refused:
                other.execute("BEGIN IMMEDIATE")
            assert refused.value.sqlite_errorcode == sqlite3.SQLITE_BUSY

    asyncio.run(run())


def test_who_reads_for_long_keeps_the_wal_only_until_then(database_url: str, file: Path) -> None:
    wal = file.with_name(f"{file.name}-wal")

    async def write(changes: int) -> int:
        for number in range(changes):
            async with transaction() as connection:
                await connection.execute_query("DELETE FROM check_changes")
                await connection.execute_query(f"INSERT INTO check_changes VALUES ({number}, '{'x' * 64}')")
        return wal.stat().st_size

    async def run() -> None:
        async with connected(database_url):
            with closing(sqlite3.connect(file, isolation_level=None)) as reader:
                reader.execute("BEGIN")
                reader.execute("SELECT * FROM check_changes").fetchall()
                assert await write(700) > 1_000 * 4_096
                reader.execute("ROLLBACK")
            assert await write(2) < 100_000

    asyncio.run(run())


# ---------------------------------------------------------------- backing up


@contextmanager
def others_writing(file: Path) -> Iterator[None]:
    """Somebody who moves what is in one row to another, again and again: their sum stays the same."""
    stopping = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(file, isolation_level=None, timeout=10)) as connection:
            while not stopping.is_set():
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("UPDATE check_changes SET epoch = epoch + 10 WHERE subject_id = 'one'")
                connection.execute("UPDATE check_changes SET epoch = epoch - 10 WHERE subject_id = 'other'")
                connection.execute("COMMIT")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stopping.set()
        writer.join()


def test_a_copy_is_of_one_moment_although_others_write(file: Path, tmp_path: Path) -> None:
    # More pages than one step takes, so that there is a moment between two.
    execute(
        file,
        "INSERT INTO check_changes VALUES (1000000, 'one'), (-1000000, 'other')",
        "CREATE TABLE padding (content BLOB)",
        *["INSERT INTO padding VALUES (zeroblob(4000000))"] * 8,
    )
    told: list[tuple[int, int]] = []
    copy = tmp_path / "copy.sqlite3"
    with others_writing(file):
        back_up(file, copy, lambda done, total: told.append((done, total)))
    assert len(told) > 2
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT sum(epoch), count(*) FROM check_changes").fetchall() == [(0, 2)]


def test_a_backup_has_every_row_and_is_its_owner_s_alone(database_url: str, file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.sqlite3"
    done = run(tmp_path, "db", "backup", str(copy), database_url=database_url)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        f"{copy} is a sound copy of the database.",
        f"Keep the server's keys ({tmp_path}/server-keys.json) too, elsewhere: without them no credential in it can "
        "be checked.",
    ]
    assert [path.name for path in tmp_path.iterdir()] == [copy.name]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert copy.read_bytes()[18:20] == b"\1\1", "it needs no other file beside it"
    assert Rows(f"sqlite://{copy}").dump() == Rows(database_url).dump()


def test_a_backup_overwrites_nothing(database_url: str, tmp_path: Path, file: Path) -> None:
    copy, partial = tmp_path / "copy.sqlite3", tmp_path / "copy.sqlite3.partial"
    copy.write_text("precious")
    refused = run(tmp_path, "db", "backup", str(copy), database_url=database_url)
    assert error_of(refused) == f"{copy} is there already, and a backup overwrites nothing: name another file."
    assert copy.read_text() == "precious"
    copy.unlink()
    partial.write_text("precious")
    assert "another backup is being made" in error_of(
        run(tmp_path, "db", "backup", str(copy), database_url=database_url)
    )
    assert [path.name for path in tmp_path.iterdir()] == [partial.name]


def test_a_backup_of_what_is_damaged_is_none(database_url: str, file: Path, tmp_path: Path) -> None:
    damage(file)
    refused = run(tmp_path, "db", "backup", str(tmp_path / "copy.sqlite3"), database_url=database_url)
    assert error_of(refused).startswith("No backup was made, since the copy is not sound: ")
    assert list(tmp_path.iterdir()) == []


def test_a_backup_that_is_killed_leaves_no_file_of_its_name(database_url: str, file: Path, tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from models.sqlite_file import back_up
back_up(Path({str(file)!r}), Path({str(tmp_path / "copy.sqlite3")!r}), lambda *_: os.kill(os.getpid(), signal.SIGKILL))
"""
    killed = subprocess.run([sys.executable, "-c", script], cwd=Path(sqlite_file.__file__).parents[1], check=False)
    assert killed.returncode == -9
    assert not (tmp_path / "copy.sqlite3").exists()


# ---------------------------------------------------------------- damage


def damage(file: Path, what: str = "credentials_api_key") -> None:
    """Overwrites the middle of an index, which most of what is asked never meets, or of a table."""
    with closing(sqlite3.connect(file)) as connection:
        (page,) = connection.execute(f"SELECT rootpage FROM sqlite_master WHERE name = '{what}'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as content:
        content.seek((page - 1) * size)
        content.write(b"\xff" * size)


def test_a_database_is_looked_through_for_damage(database_url: str, file: Path, tmp_path: Path) -> None:
    assert run(tmp_path, "db", "check", database_url=database_url).output == "The database is sound.\n"
    damaged = tmp_path / "damaged.sqlite3"
    shutil.copy(file, damaged)
    damage(damaged)
    found = run(tmp_path, "db", "check", database_url=f"sqlite://{damaged}")
    assert (found.exit_code, f"Error: {damaged} is damaged." in found.stderr) == (1, True)
    assert len(found.stderr.splitlines()) > 1

    execute(file, "PRAGMA foreign_keys = OFF", "UPDATE sessions SET user_id = 'x'", "DELETE FROM accounts")
    found = run(tmp_path, "db", "check", database_url=database_url)
    assert "refers to a row of accounts that is not there." in found.stderr
    assert f"Error: {file} is damaged." in found.stderr
    assert found.exit_code == 1


def test_of_rows_that_refer_to_none_a_hundred_are_told_of(file: Path) -> None:
    many = "WITH RECURSIVE many(id) AS (VALUES (1) UNION ALL SELECT id + 1 FROM many LIMIT 150) "
    lost = f"{many} INSERT INTO credential_usage SELECT id, '2026-01-15', 1, 0 FROM many"
    execute(file, "PRAGMA foreign_keys = OFF", lost)
    assert len(list(sqlite_file.problems(file))) == 100


def test_damage_that_an_upgrade_meets_is_told_as_such(database_url: str, file: Path, tmp_path: Path) -> None:
    damage(file, "sqlite_autoindex_tortoise_migrations_1")
    refused = error_of(run(tmp_path, "db", "upgrade", database_url=database_url))
    assert refused.startswith(f"The database {file} can't be used: database disk image is malformed.")
    assert "Put a backup in its place" in refused


COMMANDS = [
    ["keys", "list"],
    ["keys", "rotate"],
    ["audit", "verify"],
    ["audit", "export"],
    ["audit", "checkpoint"],
    ["operator", "create", "--email", "b@provider.example"],
]


@pytest.mark.parametrize("what", ["everything", "server_keys", "audit_chains", "audit_events"])
def test_damage_that_a_command_meets_is_told_as_such(tmp_path: Path, what: str) -> None:
    operator, password = ["operator", "create", "--email", "a@provider.example"], "correct horse battery staple"
    run(tmp_path, *operator, stdin=password)
    file = tmp_path / "sealkey.sqlite3"
    if what == "everything":
        size = file.stat().st_size - 4096
        with file.open("r+b") as content:
            content.seek(4096)
            content.write(random.Random(1).randbytes(size))
    else:
        damage(file, what)
    told = [run(tmp_path, *command, stdin=password) for command in COMMANDS]
    spared = {"everything": 0, "server_keys": 0, "audit_chains": 2, "audit_events": 2}[what]  # commands for keys
    for result in told[spared:]:
        assert error_of(result).startswith(f"The database {file} can't be used: database disk image is malformed.")
        assert "`sealkey db check`" in result.stderr


def test_what_is_damaged_is_not_served_from(database_url: str, file: Path, tmp_path: Path) -> None:
    damage(file)
    refused = error_of(run(tmp_path, "serve", database_url=database_url))
    assert refused.startswith(f"The database {file} can't be used: ")
    assert "Put a backup in its place" in refused


@pytest.mark.parametrize("command", [["serve"], ["db", "backup", "copy"]])
def test_what_can_t_be_had_now_is_not_told_to_be_damaged(database_url: str, file: Path, command: list[str]) -> None:
    (in_the_way := file.with_name(f"{file.name}-wal")).mkdir()
    refused = error_of(run(file.parent, *command, database_url=database_url))
    in_the_way.rmdir()
    assert refused == f"The database {file} can't be used: unable to open database file (SQLITE_CANTOPEN)."


@pytest.mark.parametrize("command", [["serve"], ["demo"], ["db", "upgrade"], ["db", "backup", "copy"]])
def test_a_file_that_is_no_database_is_told_in_a_sentence(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "sealkey.sqlite3").write_text("no database at all, " * 1000)
    assert "file is not a database" in error_of(run(tmp_path, *command))


@pytest.mark.parametrize("command", ["check", "backup"])
def test_without_a_database_there_is_nothing_to_look_through(tmp_path: Path, command: str) -> None:
    arguments = [str(tmp_path / "copy")] if command == "backup" else []
    told = error_of(run(tmp_path / "data", "db", command, *arguments))
    assert told == f"There is no database {tmp_path}/data/sealkey.sqlite3."


@pytest.mark.parametrize("command", [["check"], ["backup", "copy"]])
def test_an_empty_file_is_neither_sound_nor_worth_a_copy(tmp_path: Path, command: list[str]) -> None:
    (file := tmp_path / "sealkey.sqlite3").touch(0o600)
    told = error_of(run(tmp_path, "db", *command))
    assert told.startswith(f"{file} is empty, without Sealkey's tables.")
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize("place", [".", "/", "", ".."])
def test_a_backup_is_a_file(database_url: str, tmp_path: Path, place: str) -> None:
    told = error_of(run(tmp_path, "db", "backup", place, database_url=database_url))
    assert told == f"{place or '.'} is there already, and a backup overwrites nothing: name another file."


@pytest.mark.parametrize(("command", "instead"), [("check", "pg_amcheck"), ("backup", "pg_dump --format=custom")])
def test_of_postgresql_its_own_programs_take_care(tmp_path: Path, command: str, instead: str) -> None:
    arguments = [str(tmp_path / "copy")] if command == "backup" else []
    told = error_of(run(tmp_path, "db", command, *arguments, database_url="postgres://a:hunter2@b/c"))
    assert told == f"This is for SQLite. The database is PostgreSQL: use its own {instead}."


# ---------------------------------------------------------------- a full disk

ON_A_FULL_DISK = """
import os, shutil
from pathlib import Path
from tests.support.command import error_of, run
from tests.support.small_disk import fill
disk, beside, sound = map(Path, {paths!r})
url = f"sqlite://{{disk}}/sealkey.sqlite3"
run(beside, "operator", "create", "--email", "o@a.example", stdin="long enough a word", database_url=url)
fill(disk)
for command in (["db", "check"], ["serve"], ["db", "backup", str(beside / "copy")], ["audit", "verify"]):
    print(error_of(run(beside, *command, database_url=url)))
print(error_of(run(beside, "db", "backup", str(disk / "copy"), database_url=f"sqlite://{{sound}}")))
os.truncate(disk / "filler", (disk / "filler").stat().st_size - 45_000)  # enough to read, and not to write
print(error_of(run(beside, "audit", "export", "--output", str(beside / "x.csv"), database_url=url)))
"""


@needs_small_disk
def test_a_full_disk_is_not_taken_for_damage(file: Path, tmp_path: Path) -> None:
    disk, beside = tmp_path / "disk", tmp_path / "data"
    disk.mkdir()
    script = ON_A_FULL_DISK.format(paths=[str(disk), str(beside), str(file)])
    *of_the_database, of_the_copy, at_the_commit = run_on_small_disk(disk, script).splitlines()
    told = (
        "The disk that {} is on is full: make room there. The database is not damaged, and needs no backup in its "
        "place."
    )
    assert [*of_the_database, at_the_commit] == [told.format(disk / "sealkey.sqlite3")] * 5
    assert of_the_copy == told.format(disk / "copy.partial")


# ---------------------------------------------------------------- where it is

MOUNTS = """22 1 254:0 / / rw - ext4 /dev/vda rw
23 22 0:50 / {place} rw - {kind} server:/export rw
"""


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_file_on_a_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    place = tmp_path / "far away"
    place.mkdir()
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(place=str(place).replace(" ", "\\040"), kind=kind))
    monkeypatch.setattr(sqlite_file, "_MOUNTS", mounts)
    told = error_of(run(place / "data", "db", "upgrade"))
    assert told.startswith(f"{place}/data/sealkey.sqlite3 is on a network filesystem ({kind})")
    assert run(tmp_path / "near", "db", "upgrade").exit_code == 0


@pytest.mark.parametrize(
    ("name", "mode", "command"),
    [
        ("sealkey.sqlite3", 0o500, ["db", "upgrade"]),
        ("", 0o500, ["db", "upgrade"]),
        ("sealkey.sqlite3", 0o000, ["serve", "--port", "1"]),
    ],
)
def test_a_file_that_can_not_be_written_is_told_in_a_sentence(
    tmp_path: Path, name: str, mode: int, command: list[str]
) -> None:
    data_dir = tmp_path / "data"
    run(data_dir, "db", "upgrade")
    (data_dir / name).chmod(mode)
    done = subprocess.run(
        [SEALKEY, *command],
        env={"PATH": os.defpath, **environment(data_dir)},
        preexec_fn=_not_above_modes,
        capture_output=True,
        text=True,
        check=False,
    )
    (data_dir / name).chmod(0o700)
    assert (done.returncode, done.stdout) == (1, "")
    owner = pwd.getpwuid(os.geteuid()).pw_name
    assert done.stderr.startswith(
        f"Error: {data_dir / name} can't be written: it belongs to {owner} (mode {mode:03o}), and sealkey runs as "
        f"{owner}."
    ), done.stderr


def _not_above_modes() -> None:
    """Root may write and read what nobody may, unless the capabilities are dropped: CAP_DAC_OVERRIDE and
    CAP_DAC_READ_SEARCH, by PR_CAPBSET_DROP."""
    if os.geteuid() == 0:
        for capability in (1, 2):
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
