"""While the database can't be asked the log says why, by a name and not by the driver's text, and not once for each who
finds it out; a full disk is seen in the log and by the metrics, while checks go on."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import asyncpg
import httpx
import pytest
from tortoise.exceptions import OperationalError

from models.database import transaction
from models.reasons import reason_of
from resolvers.caller import Deployment
from server.outages import Outages
from tests.plugins.play import Theatre
from tests.server.test_metrics import TOKEN, scraped, value
from tests.support.logs import recorded_logs
from tests.support.world import Play


def full() -> sqlite3.Error:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA max_page_count = 1")
        with pytest.raises(sqlite3.OperationalError) as refused:
            connection.execute("CREATE TABLE a (b)")
    return refused.value


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (full(), "SQLITE_FULL"),
        (OperationalError(full()), "SQLITE_FULL"),
        (asyncpg.DiskFullError("of somebody"), "53100"),
        (OperationalError(asyncpg.AdminShutdownError("of somebody")), "57P01"),
        (asyncpg.InterfaceError("of somebody"), "InterfaceError"),
        (ConnectionRefusedError(111, "of somebody"), "ECONNREFUSED"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_reason_is_a_name_and_nothing_that_was_asked(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


def test_what_is_found_out_again_and_again_is_told_once_a_second_with_how_often() -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    now = 0.0
    outages = Outages(lambda event, **fields: told.append((event, fields)), lambda: now)
    for _ in range(5):
        outages.note(TimeoutError())
    assert told == [("database_unavailable", {"reason": "TimeoutError", "times": 1})]
    now = 1.0
    outages.tell()
    assert told[1:] == [("database_unavailable", {"reason": "TimeoutError", "times": 4})]
    now = 2.0
    outages.tell()
    assert len(told) == 2, "there was nothing more to tell"


@pytest.fixture
def play(theatre: Theatre) -> Iterator[Play]:
    with theatre.new(metrics_token=TOKEN) as play:
        yield play


@pytest.mark.engine("sqlite")
def test_a_full_disk_is_seen_though_the_server_is_ready_and_checks(play: Play) -> None:
    keys = play.keys("before")
    token = play.operator.do("createGatewayToken", "token", name="edge", expiresAt=play.clock.in_(days=1))["token"]

    async def limit(pages: int) -> None:
        async with transaction() as connection:
            await connection.execute_query(f"PRAGMA max_page_count = {pages}")

    async def fill(_: Deployment) -> None:
        await limit(1)  # SQLite takes what there is

    async def make_room(_: Deployment) -> None:
        await limit(1_000_000)

    before = scraped(play.server.url)
    with recorded_logs() as log:
        play.server.run(fill)
        refused = 0
        for number in range(200):
            answer = play.operator.post(
                f'mutation {{ createAccount(input: {{name: "{number} {"x" * 90}"}}) {{ account {{ id }} }} }}'
            )
            refused += answer.status_code == 503
            if refused == 3:
                break
        ready = httpx.get(f"{play.server.url}/readyz").text
        headers = {"X-Sealkey-Gateway-Token": token}
        checked = httpx.get(f"{play.server.url}/verify", auth=(keys["apiKey"], keys["apiSecret"]), headers=headers)
        play.server.run(make_room)
    assert (refused, ready, checked.status_code) == (3, "ok", 200)
    labels = {"kind": "unavailable", "reason": "SQLITE_FULL"}
    after = scraped(play.server.url)
    assert value(after, "sealkey_faults_total", **labels) - value(before, "sealkey_faults_total", **labels) >= 3
    lines = log.getvalue().splitlines()
    outage = [line for line in lines if "database_unavailable" in line]
    assert outage
    assert all("SQLITE_FULL" in line and "request_id" not in line for line in outage), outage
    assert not [line for line in lines if "fault" in line]
