"""A database that is damaged, gone or closed to everybody while a server runs: who asks is told to come again, nobody
is let in, and the log says why."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests import postgres
from tests.plugins.database import Databases
from tests.support.logs import recorded_logs
from tests.support.world import Play


def told(play: Play, keys: dict[str, str]) -> list[int]:
    """What is answered once nothing that is remembered is believed any more."""
    time.sleep(1)
    login = {"api_key": keys["apiKey"], "api_secret": keys["apiSecret"]}
    return [
        play.member.post("{ credentials(first: 5) { nodes { id } } }").status_code,
        httpx.post(f"{play.server.url}/v2/login", json=login).status_code,
    ]


@pytest.mark.engine("sqlite")
def test_a_file_that_is_damaged(play: Play) -> None:
    keys, file = play.keys(), Path(play.server.database_url.removeprefix("sqlite://"))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with file.open("r+b") as damaged:
        damaged.seek(4096)
        damaged.write(bytes([0xEE]) * (file.stat().st_size - 4096))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 7")  # by which others learn that what they have read is old
    with recorded_logs() as log:
        answers = told(play, keys)
    assert answers == [503, 503]
    assert "SQLITE_CORRUPT" in log.getvalue()


@pytest.mark.engine("postgres")
def test_a_database_that_takes_no_connections_and_one_that_is_gone(play: Play, databases: Databases) -> None:
    assert isinstance(databases, postgres.Databases)
    keys, name = play.keys(), play.server.database_url.rpartition("/")[2]

    def closed(is_closed: bool) -> None:
        databases.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS {not is_closed}')

    closed(True)
    try:
        for _ in range(100):
            databases.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            try:
                databases.execute(f'ALTER DATABASE "{name}" RENAME TO "{name}_gone"')
                break
            except RuntimeError:  # a connection has not quite ended
                time.sleep(0.05)
        assert told(play, keys) == [503, 503]
        databases.execute(f'ALTER DATABASE "{name}_gone" RENAME TO "{name}"')
        assert told(play, keys) == [503, 503]
    finally:
        closed(False)
    assert play.member.post("{ credentials(first: 5) { nodes { id } } }").status_code == 200
