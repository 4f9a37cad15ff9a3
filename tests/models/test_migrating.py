"""The way from any older database to the newest schema, an empty one being the oldest."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tortoise.exceptions import OperationalError

from models.database import migrate
from models.migrations._sql import Statements
from models.migrations.m0001_first import Migration
from tests.models.describe import describe
from tests.models.stocked import stock
from tests.plugins.database import Databases
from tests.support.rows import Rows

NOTES = "SELECT app, name FROM tortoise_migrations ORDER BY name"
NAMES = (
    *("m0001_first", "m0002_access", "m0003_life", "m0004_wire", "m0005_endpoints", "m0006_accounts"),
    *("m0007_reading", "m0008_audit", "m0009_server_keys", "m0010_usage_batches", "m0011_announcements"),
)
DONE = [("models", name) for name in NAMES]


def upgrade_by_command(url: str) -> str:
    """What `sealkey db upgrade` says."""
    sealkey = Path(sys.executable).with_name("sealkey")
    environment = {**os.environ, "SEALKEY_DATABASE_URL": url}
    done = subprocess.run([sealkey, "db", "upgrade"], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def test_an_empty_database_gets_the_newest_schema(empty_database_url: str, database_url: str) -> None:
    assert upgrade_by_command(empty_database_url) == "The database has the newest schema.\n"
    rows = Rows(empty_database_url)
    assert describe(rows) == describe(Rows(database_url))
    assert rows.execute(NOTES) == DONE


def test_upgrading_again_changes_nothing(database_url: str) -> None:
    rows = Rows(database_url)
    stock(rows)
    before = describe(rows)
    with rows.unchanged():
        asyncio.run(migrate(database_url))
        asyncio.run(migrate(database_url))
    assert describe(rows) == before


# As `sealkey db upgrade`, once per line read, but holding its breath before: what it imports would else be what takes
# the time, and the processes would hardly meet.
_UPGRADER = """
import os, sys
from server.cli import main
print("ready", flush=True)
for url in sys.stdin:
    os.environ["SEALKEY_DATABASE_URL"] = url.strip()
    try:
        main(["db", "upgrade"])
    except SystemExit as ended:
        print("status", ended.code, flush=True)
"""


@contextmanager
def upgraders(number: int) -> Iterator[list[subprocess.Popen[str]]]:
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-W", "error", "-c", _UPGRADER],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            for _ in range(number)
        ]
        assert [line_from(process) for process in started] == ["ready"] * number
        yield started


def line_from(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_any_number_of_processes_may_upgrade_at_once(databases: Databases, names: Iterator[str]) -> None:
    with upgraders(4) as processes:
        for _ in range(3):
            name = next(names)
            rows = Rows(databases.create_database(name))
            for process in processes:
                assert process.stdin
                process.stdin.write(f"{rows.url}\n")
                process.stdin.flush()
            answers = [(line_from(process), line_from(process)) for process in processes]
            assert answers == [("The database has the newest schema.", "status 0")] * 4
            assert rows.execute(NOTES) == DONE
            databases.drop_database(name)


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (operation,) = Migration.operations
    assert isinstance(operation, Statements)
    monkeypatch.setattr(operation, "sql", [*operation.sql, "CREATE TABLE accounts (id INT)"])
    rows = Rows(empty_database_url)
    with pytest.raises(OperationalError, match="already exists"):
        asyncio.run(migrate(empty_database_url))
    assert rows.dump() == {}

    monkeypatch.undo()
    asyncio.run(migrate(empty_database_url))
    assert rows.execute(NOTES) == DONE
