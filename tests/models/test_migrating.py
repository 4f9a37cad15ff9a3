"""The way from any older database to the newest schema, an empty one being the oldest."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import pytest
from tortoise.exceptions import OperationalError

from models import database, migrating
from models.database import DatabaseUnusable
from models.migrating import migrate
from models.migrations._sql import Statements
from models.migrations.m0001_first import Migration
from tests.models.describe import describe
from tests.models.stocked import stock
from tests.models.versions import migrate_to
from tests.plugins.database import Databases
from tests.support.rows import Rows
from torture.network import Network, State

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


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is logged of an upgrade that waits."""
    lines: list[str] = []
    monkeypatch.setattr(migrating._LOGGER, "warning", lambda text, *values: lines.append(text % values))
    monkeypatch.setattr(migrating, "_TELL_AFTER", 0)
    return lines


@pytest.mark.engine("postgres")
def test_an_upgrade_waits_for_another_and_takes_as_long_as_it_does(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    monkeypatch.setitem(database._POSTGRES_SECONDS, "command_timeout", 1)
    (operation,) = Migration.operations
    assert isinstance(operation, Statements)
    monkeypatch.setattr(operation, "sql", [*operation.sql, "SELECT pg_sleep(1.1)"])

    async def run() -> None:
        other = await asyncpg.connect(empty_database_url)
        await other.execute(f"SELECT pg_advisory_lock({migrating._LOCK})")
        async with upgrading(empty_database_url):
            await until_said(told)
            await asyncio.sleep(1.1)
            await other.close()

    asyncio.run(run())
    assert told == ["The database is not upgraded yet: another process is upgrading it."]
    assert Rows(empty_database_url).execute(NOTES) == DONE


@pytest.mark.engine("postgres")
def test_an_upgrade_that_waits_for_a_table_keeps_nobody_else_waiting(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    asyncio.run(migrate_to(empty_database_url, "m0007_reading"))
    monkeypatch.setattr(migrating, "_TRY_AGAIN_AFTER", 0.1)

    async def run() -> None:
        backup = await asyncpg.connect(empty_database_url, server_settings={"application_name": "pg_dump"})
        reader = await asyncpg.connect(empty_database_url)
        reading = backup.transaction()
        await reading.start()
        await backup.fetch("SELECT * FROM audit_events")
        async with upgrading(empty_database_url):
            for _ in range(3):
                async with asyncio.timeout(20):
                    while not await reader.fetch("SELECT * FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110  (nobody tells)
                        await asyncio.sleep(0.01)
                async with asyncio.timeout(5):
                    await reader.fetch("SELECT * FROM audit_events")
            await until_said(told)
            await reading.rollback()
        await backup.close()
        await reader.close()

    asyncio.run(run())
    assert re.fullmatch(
        r"The database is not upgraded yet: a table is in use; the oldest transaction is that of process \d+ "
        r"\(pg_dump\), since \d+ s\.",
        told[0],
    )
    assert Rows(empty_database_url).execute(NOTES) == DONE


@asynccontextmanager
async def upgrading(url: str) -> AsyncIterator[None]:
    """Goes on while inside; at the end it is waited for."""
    task = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(migrate(url))))
    yield
    async with asyncio.timeout(30):
        await task


async def until_said(told: list[str]) -> None:
    async with asyncio.timeout(20):
        while not told:  # noqa: ASYNC110  (from another thread)
            await asyncio.sleep(0.02)


@pytest.mark.engine("postgres")
def test_a_database_that_does_not_answer_is_told_of_in_words(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(database._POSTGRES_SECONDS, "timeout", 0.2)
    before, _, after = empty_database_url.rpartition("@")
    port, _, name = after.partition(":")[2].partition("/")
    with Network(int(port)).running() as network:
        network.become(State.BLACK_HOLE)
        with pytest.raises(DatabaseUnusable, match="it did not answer in time"):
            asyncio.run(migrate(f"{before}@127.0.0.1:{network.port}/{name}"))
