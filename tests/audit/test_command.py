"""`sealkey audit`: verifying, checkpoints and exporting, as its users run it."""

import asyncio
import json
import os
import pty
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from auth.crypto.keyring import Purpose, read_keyring
from models.audit import DEPLOYMENT_CHAIN
from models.audit_log import EventRow
from models.ids import Kind, global_id
from models.schema_age import READABLE_SINCE
from resolvers.audit_hash import EventHasher
from tests.audit.exporting import parsed
from tests.models.versions import NAMES, columns, contents, migrate_to
from tests.plugins.database import Databases
from tests.plugins.play import Template
from tests.support import samples
from tests.support.command import SEALKEY, environment, error_of, run
from tests.support.rows import Rows, literal, row_id
from tests.support.server import START
from tests.support.world import World
from torture.chains import SqliteDatabase

DEPLOYMENT = "acct_" + "0" * 32


class Deployment:
    """A database with a world in it, and its keys; no server runs."""

    def __init__(self, database_url: str, data_dir: Path) -> None:
        self.rows, self.data_dir = Rows(database_url), data_dir
        world = World.load(data_dir / "world.json")
        self.alder, self.birch = world.alder.id, world.birch.id

    def audit(self, *arguments: str | Path, **settings: str) -> Any:
        """What `sealkey audit` does."""
        given = {"database_url": self.rows.url, "issuer": "https://keys.example", **settings}
        return run(self.data_dir, "audit", *map(str, arguments), **given)

    def happen(self) -> None:
        """An event in Alder's log."""
        assert self.audit("export", "--account", "Alder").exit_code == 0

    def count(self) -> int:
        return int(self.rows.execute("SELECT count(*) FROM audit_events")[0][0])

    def size(self, account: str) -> int:
        found = self.rows.execute(f"SELECT sequence FROM audit_chains WHERE id = '{row_id(account)}'")
        return int(found[0][0])

    def newest(self, account: str = DEPLOYMENT) -> tuple[Any, ...]:
        """Type, actor, subject and summary of a log's newest event."""
        columns, chain = "type, actor_id, subject_id, summary", row_id(account)
        where = f"chain_id = '{chain}' ORDER BY sequence DESC LIMIT 1"
        return self.rows.execute(f"SELECT {columns} FROM audit_events WHERE {where}")[0]

    def unguarded(self, *statements: str) -> None:
        """Runs statements that no trigger refuses."""
        if self.rows.engine == "sqlite":
            SqliteDatabase(self.rows.url)
        else:
            for table in ("audit_events", "audit_chains"):
                self.rows.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        for statement in statements:
            self.rows.execute(statement)


@pytest.fixture
def there(databases: Databases, names: Iterator[str], world_template: Template, tmp_path: Path) -> Iterator[Deployment]:
    name = next(names)
    data_dir = tmp_path / "data"
    shutil.copytree(world_template.data_dir, data_dir)
    yield Deployment(databases.create_database(name, world_template.database), data_dir)
    databases.drop_database(name)


def output(result: Any) -> str:
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    out: str = result.stdout
    return out


def faults(result: Any) -> list[str]:
    """What is told of each chain that is not as it was written."""
    assert (result.exit_code, result.stdout) == (1, "")
    *found, last = result.stderr.splitlines()
    of = "is not as it was" if len(found) == 1 else "are not as they were"
    assert last == f"Error: {len(found)} of 3 logs {of} written."
    return list(found)


def test_a_log_that_nobody_touched_is_as_it_was_written(there: Deployment) -> None:
    told = output(there.audit("verify"))
    assert told.startswith(f"3 logs with {there.count()} events are as they were written (")
    for account in (there.alder, "Alder"):
        told = output(there.audit("verify", "--account", account))
        assert told.startswith(f"1 log with {there.size(there.alder)} events is as it was written (")
    assert output(there.audit("verify", "--account", "deployment")).startswith("1 log with ")
    told = error_of(there.audit("verify", "--account", "Cedar"))
    assert told == "There is no account of this id or name; `deployment` is the log of what belongs to none."
    assert error_of(there.audit("verify", "--account", "acct_" + "0" * 31 + "5")) == told


def test_the_first_event_at_fault_of_each_log_is_named(there: Deployment) -> None:
    alder, birch = row_id(there.alder), row_id(there.birch)
    where = f"chain_id = '{alder}' AND sequence = 4"
    ((fourth,),) = there.rows.execute(f"SELECT id FROM audit_events WHERE {where}")
    there.unguarded(
        f"UPDATE audit_events SET summary = 'Nothing' WHERE chain_id = '{alder}' AND sequence IN (4, 6)",
        f"DELETE FROM audit_events WHERE chain_id = '{birch}' AND sequence = 2",
    )
    event = global_id(Kind.AUDIT_EVENT, UUID(str(fourth)))
    assert sorted(faults(there.audit("verify"))) == sorted(
        [
            f"{there.alder} (Alder): event 4 ({event}): altered: its hash is not that of what is in it",
            f"{there.birch} (Birch): event 2: removed: an event is gone",
        ]
    )
    assert there.audit("verify", "--account", "deployment").exit_code == 0
    refused = there.audit("checkpoint")
    assert (refused.exit_code, refused.stdout) == (1, "")


def test_a_log_that_is_gone_altogether_is_missed(there: Deployment) -> None:
    birch = row_id(there.birch)
    there.unguarded(
        f"DELETE FROM audit_events WHERE chain_id = '{birch}'", f"DELETE FROM audit_chains WHERE id = '{birch}'"
    )
    (fault,) = faults(there.audit("verify"))
    assert fault.startswith(f"{there.birch} (Birch): event 0: head altered: the head of the chain and all")


@pytest.mark.engine("sqlite")
def test_what_is_in_the_database_does_not_write_on_the_terminal(there: Deployment) -> None:
    there.unguarded(
        "UPDATE audit_events SET id = 'x' || char(27) || '[2J' WHERE sequence = 2 AND summary LIKE '%alder%'"
    )
    (fault,) = faults(there.audit("verify"))
    assert "event 2 (x\N{REPLACEMENT CHARACTER}[2J): altered: " in fault


def test_an_event_under_a_key_that_is_not_there_is_told_as_that(there: Deployment) -> None:
    there.unguarded("UPDATE audit_events SET hash_version = 9 WHERE sequence = 1")
    found = faults(there.audit("verify"))
    assert len(found) == 3
    assert all(": key unknown: it names the key audit-hashing-1, version 9, " in fault for fault in found)


def test_events_of_the_version_before_go_on_being_verified(there: Deployment) -> None:
    """As a server writes them that was not upgraded yet: it knows nothing of the column."""
    keyring = read_keyring((there.data_dir / "server-keys.json").read_bytes())
    key, chain = keyring.symmetric_key(Purpose.AUDIT_HASHING, START), row_id(there.alder)
    hasher = EventHasher({key.id: key})
    for _ in range(2):
        ((sequence, previous),) = there.rows.execute(f"SELECT sequence, hash FROM audit_chains WHERE id = '{chain}'")
        row = samples.audit_event(chain, sequence + 1, key.id)
        event = EventRow(
            *(sequence + 1, str(row["id"]), row["type"], START.isoformat(), None, None, None, row["summary"], key.id),
            hash_version=1,
            hash="",
        )
        row["hash"] = hasher.hash(chain, event, previous)
        there.rows.insert("audit_events", row)
        there.rows.set("audit_chains", there.alder, f"sequence = {sequence + 1}, hash = '{row['hash']}'")
        there.happen()
    assert [
        event["hashVersion"]
        for event in parsed(there.audit("export", "--account", "Alder", "--format", "jsonl").stdout_bytes)
    ][-6:] == [2, 1, 2, 1, 2, 2]
    output(there.audit("verify"))
    there.unguarded(f"UPDATE audit_events SET hash_version = 1 WHERE chain_id = '{chain}' AND sequence = 3")
    (fault,) = faults(there.audit("verify"))
    assert ": event 3 (" in fault
    assert ": altered: " in fault


def test_a_checkpoint_shows_what_was_cut_off_or_written_anew_since(there: Deployment, tmp_path: Path) -> None:
    there.happen()
    file = tmp_path / "checkpoints"
    file.write_text(output(there.audit("checkpoint")))
    there.happen()
    assert file.read_text().count("keys.example/audit/") == 6
    for account in ("Alder", "deployment"):
        output(there.audit("verify", "--account", account, "--checkpoint", file))
    output(there.audit("verify", "--checkpoint", file))
    chain = row_id(there.alder)
    ((size,),) = there.rows.execute(f"SELECT sequence - 1 FROM audit_chains WHERE id = '{chain}'")
    # The database as it was two events ago: everything adds up.
    there.unguarded(
        f"DELETE FROM audit_events WHERE chain_id = '{chain}' AND sequence > {size - 1}",
        f"UPDATE audit_chains SET sequence = {size - 1}, hash = (SELECT hash FROM audit_events "
        f"WHERE chain_id = '{chain}' AND sequence = {size - 1}) WHERE id = '{chain}'",
    )
    output(there.audit("verify"))
    (fault,) = faults(there.audit("verify", "--checkpoint", file))
    assert fault == f"{there.alder} (Alder): event {size}: truncated: the checkpoint saw {size} events"
    # And gone on from there.
    there.happen()
    there.happen()
    (fault,) = faults(there.audit("verify", "--checkpoint", file))
    assert fault.startswith(f"{there.alder} (Alder): event 1: rewritten: the checkpoint of {size} events saw others")


def test_checkpoints_are_kept_in_a_directory_and_verified_there(there: Deployment, tmp_path: Path) -> None:
    kept = tmp_path / "new" / "checkpoints"
    assert output(there.audit("checkpoint", "--directory", kept)) == f"3 checkpoints are in {kept}.\n"
    assert kept.stat().st_mode & 0o777 == 0o700
    names = {f"{name}.checkpoint" for name in ("deployment", there.alder, there.birch)}
    assert {path.name for path in kept.iterdir()} == names
    there.happen()
    before = (kept / f"{there.alder}.checkpoint").read_text()
    told = output(there.audit("checkpoint", "--directory", kept, "--account", "Alder"))
    assert told == f"1 checkpoint is in {kept}.\n"
    assert (kept / f"{there.alder}.checkpoint").read_text() != before
    # One of a longer log: nothing is signed that is less.
    chain = row_id(there.alder)
    there.unguarded(
        f"DELETE FROM audit_events WHERE chain_id = '{chain}' AND sequence > 2",
        f"UPDATE audit_chains SET sequence = 2, hash = (SELECT hash FROM audit_events WHERE chain_id = '{chain}' "
        f"AND sequence = 2) WHERE id = '{chain}'",
    )
    (fault,) = faults(there.audit("checkpoint", "--directory", kept))
    assert ": event 3: truncated: " in fault


def test_a_checkpoint_can_be_verified_elsewhere_with_the_key_that_is_shown(there: Deployment, tmp_path: Path) -> None:
    file, keys, altered = tmp_path / "checkpoint", tmp_path / "keys", tmp_path / "altered"
    file.write_text(output(there.audit("checkpoint", "--account", "Alder")))
    keys.write_text(output(there.audit("checkpoint-key")))
    assert len(keys.read_text().splitlines()) == 3
    output(there.audit("verify", "--checkpoint", file, "--checkpoint-key", keys))
    origin, size, rest = file.read_text().split("\n", 2)
    altered.write_text(f"{origin}\n{int(size) - 1}\n{rest}")
    wrong = {
        altered: "its signature is not right: it was altered",
        keys: "it is no signed note: a text, an empty line, and the lines of its signatures",
    }
    for path, told in wrong.items():
        assert error_of(there.audit("verify", "--checkpoint", path)) == f"{path}: {told}."
    keys.write_text(output(there.audit("checkpoint-key", "--account", "Birch")))
    told = error_of(there.audit("verify", "--checkpoint", file, "--checkpoint-key", keys))
    assert told == f"{file}: it is not signed by a key that is known here."
    told = error_of(there.audit("verify", "--checkpoint", file, "--account", "Birch"))
    assert told == "None of the checkpoints is of this log."


def test_the_key_that_signs_is_made_when_it_is_first_wanted(there: Deployment) -> None:
    path = there.data_dir / "server-keys.json"
    before = json.loads(path.read_bytes())["keys"]
    given = path.read_text()
    told = error_of(there.audit("checkpoint", keys=given))
    assert told.startswith("SEALKEY_KEYS has no key to sign checkpoints with")
    rotating = ("keys", "rotate", "--purpose", "checkpoint-signing")
    told = error_of(run(there.data_dir, *rotating, database_url=there.rows.url))
    assert told == "There is no such key yet: `sealkey audit checkpoint` makes it when it is first wanted."
    assert json.loads(path.read_bytes())["keys"] == before
    first = output(there.audit("checkpoint-key", "--account", "deployment"))
    *same, added = json.loads(path.read_bytes())["keys"]
    assert same == before
    assert (added["kty"], added["crv"], added["kid"]) == ("OKP", "Ed25519", "checkpoint-signing-1")
    assert path.stat().st_mode & 0o777 == 0o600
    told = "The server key checkpoint-signing-1 was added, to sign checkpoints of the audit log"
    assert there.newest() == ("server_key.added", None, None, told)
    assert output(there.audit("checkpoint-key", "--account", "deployment")) == first
    assert output(there.audit("checkpoint-key", "--account", "deployment", keys=path.read_text())) == first
    assert added["d"] not in first
    listed_ = run(there.data_dir, "keys", "list", database_url=there.rows.url).stdout
    assert "checkpoint-signing-1    signs checkpoints since " in listed_
    # Servers that run, and ones that start with what there was before, are none the worse.
    there.happen()
    output(there.audit("verify", keys=given))


def test_an_export_by_the_command_shows_what_operators_see_and_is_recorded(there: Deployment, tmp_path: Path) -> None:
    whole = parsed(there.audit("export", "--format", "jsonl").stdout_bytes)
    assert len(whole) == there.count()
    told = ("audit.exported", None, None, "The audit log was exported as JSONL from the command line")
    assert there.newest() == told
    file, another = tmp_path / "alder.csv", tmp_path / "another"
    another.touch()
    (tmp_path / ".alder.csv.new").symlink_to(another)  # which somebody has put there who hopes for it to be written
    output(there.audit("export", "--account", "Alder", "--output", file, "--after", "2026-01-01T00:00:00Z"))
    assert (file.stat().st_mode & 0o777, another.read_bytes()) == (0o600, b"")
    rows, recorded = parsed(file.read_bytes(), "csv"), there.count()
    refused = error_of(there.audit("export", "--output", file))
    assert refused == f"{file} is there already, and an export overwrites nothing: name another file."
    assert (parsed(file.read_bytes(), "csv"), there.count()) == (rows, recorded)
    hashes = f"SELECT hash FROM audit_events WHERE chain_id = '{row_id(there.alder)}' ORDER BY sequence"
    assert [(row["hash"],) for row in rows] == there.rows.execute(hashes)
    assert rows[0]["actorEmail"] == "operator@provider.example"
    alone = parsed(there.audit("export", "--account", "deployment", "--format", "jsonl").stdout_bytes)
    assert {row["accountId"] for row in alone} == {None}
    recorded_so_far = there.count()
    wrong = there.audit("export", "--after", "yesterday")
    assert wrong.exit_code == 2
    assert "An instant is written as in RFC 3339" in wrong.stderr
    for before in ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00+00:00"):
        empty = there.audit("export", "--after", "2026-01-02T00:00:00Z", "--before", before)
        assert (empty.exit_code, empty.stdout) == (2, "")
        assert "Error: --after must be earlier than --before" in empty.stderr
    assert there.count() == recorded_so_far
    nowhere = tmp_path / "nowhere" / "alder.csv"
    assert error_of(there.audit("export", "--output", nowhere)) == f"No such file or directory: {nowhere}"
    nobodys = there.audit("export", "--account", "acct_" + "0" * 31 + "5")
    assert error_of(nobodys).startswith("There is no account of this id or name")


def as_left_with(there: Deployment, url: str, schema: str) -> Deployment:
    """The same log and keys in an empty database, as a version left it whose last migration this was."""
    for name in NAMES[: NAMES.index(schema) + 1]:
        asyncio.run(migrate_to(url, name))
    older = Deployment(url, there.data_dir)
    there_were = columns(older.rows)
    tables = ("accounts", "users", "server_keys", "audit_chains", "audit_events")
    kept = contents(there.rows, {table: there_were[table] for table in tables})
    for table in tables:
        rows = sorted(kept[table], key=lambda row: int(row.get("sequence", 0)))
        if table == "audit_chains":
            # The deployment's is there from the first.
            own = next(row for row in rows if row["id"] in {str(DEPLOYMENT_CHAIN), DEPLOYMENT_CHAIN})
            head = f"sequence = {own['sequence']}, hash = '{own['hash']}'"
            older.rows.execute(f"UPDATE audit_chains SET {head} WHERE id = '{own['id']}'")
            rows.remove(own)
        older.rows.insert(table, *rows)
    return older


def test_what_an_earlier_version_left_is_looked_at_and_not_upgraded(there: Deployment, empty_database_url: str) -> None:
    output(there.audit("checkpoint-key"))
    older = as_left_with(there, empty_database_url, READABLE_SINCE)
    before = older.rows.dump()
    assert output(older.audit("verify")).startswith(f"3 logs with {there.count()} events are as they were written (")
    assert output(older.audit("checkpoint")) == output(there.audit("checkpoint"))
    listed_ = run(older.data_dir, "keys", "list", database_url=older.rows.url)
    assert "checkpoint-signing-1    signs checkpoints since " in output(listed_)
    told = "The database has the schema of an earlier version, which this command leaves as it is. Upgrade it first,"
    assert error_of(older.audit("export")).startswith(told)
    assert older.rows.dump() == before


def test_an_older_schema_than_can_be_read_is_told_and_left_as_it_is(there: Deployment, empty_database_url: str) -> None:
    older = Deployment(empty_database_url, there.data_dir)
    asked = [("audit", "verify"), ("audit", "checkpoint"), ("audit", "checkpoint-key"), ("audit", "export")]

    def told() -> set[str]:
        before = older.rows.dump()
        found = {
            error_of(run(there.data_dir, *command, database_url=older.rows.url))
            for command in [*asked, ("keys", "list")]
        }
        assert older.rows.dump() == before
        return found

    meant = "Does SEALKEY_DATABASE_URL, or SEALKEY_DATA_DIR, name the one that is meant?"
    assert told() == {f"The database is empty. {meant}"}
    asyncio.run(migrate_to(empty_database_url, NAMES[NAMES.index(READABLE_SINCE) - 1]))
    older = Deployment(empty_database_url, there.data_dir)
    left = "The database has the schema of an earlier version, which this command leaves as it is."
    assert told() == {f"{left} Upgrade it first, or a copy of it: `sealkey db upgrade`."}


@pytest.mark.engine("sqlite")
def test_what_only_looks_makes_no_database(there: Deployment, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.sqlite3"
    for command in (("audit", "verify"), ("audit", "export"), ("keys", "list"), ("db", "check")):
        told = error_of(run(there.data_dir, *command, database_url=f"sqlite://{missing}"))
        assert told == f"There is no database {missing}."
    assert not missing.exists()


def test_without_the_key_file_nothing_is_done(there: Deployment, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.json"
    for arguments in (["verify"], ["checkpoint"], ["checkpoint-key"], ["export"]):
        assert error_of(there.audit(*arguments, keys_file=str(missing))).startswith(f"{missing} is not there")
    assert not missing.exists()


def test_a_terminal_shows_how_far_it_is(there: Deployment) -> None:
    controller, terminal = pty.openpty()
    settings = environment(there.data_dir, database_url=there.rows.url)
    done = subprocess.run(
        [SEALKEY, "audit", "verify"],
        env={"PATH": os.defpath, "TERM": "xterm", **settings},
        stderr=terminal,
        stdout=subprocess.PIPE,
        check=True,
    )
    os.close(terminal)
    shown = os.read(controller, 65536).decode()
    os.close(controller)
    assert "Verifying" in shown
    assert "100%" in shown
    assert done.stdout.startswith(b"3 logs with ")


@pytest.mark.engine("sqlite")
def test_an_event_that_can_t_be_written_to_a_file_is_told_and_no_half_of_one_is_left(
    there: Deployment, tmp_path: Path
) -> None:
    """What nobody but a person with the file of the database can have put there."""
    database, chain, file = SqliteDatabase(there.rows.url), row_id(there.alder), tmp_path / "log"
    for column, value in {"summary": "CAST(x'ff' AS TEXT)", "actor_id": "'nobody'", "occurred_at": "'then'"}.items():
        where = f"WHERE chain_id = '{chain}' AND sequence = 2"
        ((before,),) = there.rows.execute(f"SELECT {column} FROM audit_events {where}")
        database.execute(f"UPDATE audit_events SET {column} = {value} {where}")
        told = error_of(there.audit("export", "--account", "Alder", "--output", file))
        assert told.startswith(f"Of the events 1 to {there.size(there.alder)} of {there.alder} one can't be read"), (
            column
        )
        assert "`sealkey audit verify`" in told
        assert not file.exists()
        database.execute(f"UPDATE audit_events SET {column} = {literal(before)} {where}")


@pytest.mark.engine("sqlite")
def test_an_account_that_is_gone_with_all_of_its_log_is_told_by_a_checkpoint_alone(
    there: Deployment, tmp_path: Path
) -> None:
    database, birch = SqliteDatabase(there.rows.url), row_id(there.birch)
    assert there.audit("checkpoint", "--directory", tmp_path).exit_code == 0
    for table, column in (("audit_events", "chain_id"), ("audit_chains", "id"), ("accounts", "id")):
        database.execute(f"DELETE FROM {table} WHERE {column} = '{birch}'")
    assert there.audit("verify").exit_code == 0
    told = there.audit("verify", "--checkpoint", tmp_path / f"{there.birch}.checkpoint")
    assert told.exit_code == 1
    assert told.stderr.startswith(
        f"{there.birch}: event 0: head altered: the head of the chain and all that it had are gone"
    )
