"""A database that is damaged, gone or closed to everybody while a server runs: who asks is told to come again, nobody
is let in, and the log says why."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from models import check_epoch, check_facts, database
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


def test_a_database_without_the_epoch_is_not_whole(play: Play) -> None:
    ((value,),) = play.rows.execute("SELECT value FROM check_epoch")
    play.rows.execute("DELETE FROM check_epoch")
    credential = play.generate()["credential"]["id"]
    document = """mutation ($id: ID!) { revokeCredential(input: {credentialId: $id, reason: SUPERSEDED}) {
        credential { id } } }"""
    assert play.member.error_code(document, id=credential) == "UNAVAILABLE"
    play.rows.insert("check_epoch", {"id": 1, "value": value})
    assert play.member.data(document, id=credential)["credential"] == {"id": credential}


def test_a_server_that_goes_silent_after_a_change_holds_nobody_up_who_made_it(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_asked: object) -> None:
        await asyncio.sleep(60)

    credential = play.generate()["credential"]["id"]
    monkeypatch.setattr(check_epoch, "_changes_since", silent)
    monkeypatch.setattr(database, "_ANSWER_SECONDS", 0.1)
    began = time.monotonic()
    play.member.do("revokeCredential", "credential { id }", credentialId=credential, reason="SUPERSEDED")
    assert time.monotonic() - began < 10


def test_a_credential_that_is_lost_while_it_is_looked_up_is_unknown(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a standby takes over between two statements, to which it had not come."""
    keys, gateway = play.keys(), {"name": "edge", "expiresAt": play.clock.in_(days=1)}
    token = play.operator.do("createGatewayToken", "token", **gateway)["token"]
    play.server.forget()
    here, elsewhere = database.read_row_here, database.fetch_row

    async def fetch_row(query: str, *values: object) -> object:
        return None if query == check_facts._WITH_PARTIES else await elsewhere(query, *values)

    monkeypatch.setattr(
        check_facts, "read_row_here", lambda query, *_: None if query == check_facts._WITH_PARTIES else here(query, *_)
    )
    monkeypatch.setattr(check_facts, "fetch_row", fetch_row)
    auth, headers = (keys["apiKey"], keys["apiSecret"]), {"X-Sealkey-Gateway-Token": token}
    answer = httpx.get(f"{play.server.url}/verify", auth=auth, headers=headers)
    assert (answer.status_code, answer.headers["x-sealkey-code"]) == (401, "INVALID_CREDENTIALS")


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
