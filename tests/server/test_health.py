"""/readyz says why a server can't do its work, or not all of it, in a few fixed words."""

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from models import database
from models.database import Condition
from resolvers.caller import Deployment
from resolvers.check_memory import CheckMemory
from server.health import EPOCH_LIMIT, IMPAIRMENTS, REASONS
from tests.docs.markdown import page, rows, section
from tests.support.world import Play

MIGRATIONS = "tortoise_migrations"


def readiness(play: Play) -> tuple[int, str]:
    answer = httpx.get(f"{play.server.url}/readyz")
    return answer.status_code, answer.text


@contextmanager
def looking_at_keys(play: Play) -> Iterator[Path]:
    """The key file, and a look at it by the server afterwards."""
    yield play.server.data_dir / "server-keys.json"
    house = play.server.app.state.housekeeping

    async def look(_deployment: Deployment) -> None:
        await house.follow_keys()

    play.server.run(look)


def test_every_reason_is_documented() -> None:
    health = section(page("docs/monitoring.md"), "## Health")
    for heading, words in (("reason", REASONS), ("impairment", IMPAIRMENTS)):
        assert [row[0] for row in rows(health, heading, "when")] == [f"`{word}`" for word in words]


def test_a_schema_that_lacks_something_is_a_reason_and_one_that_has_more_is_none(play: Play) -> None:
    assert readiness(play) == (200, "ok")
    newest = play.rows.execute(f"SELECT app, name, applied_at FROM {MIGRATIONS} ORDER BY name DESC")[0]
    play.rows.execute(
        f"INSERT INTO {MIGRATIONS} (app, name, applied_at) VALUES ('models', 'm9999_later', '{newest[2]}')"
    )
    assert readiness(play) == (200, "ok")
    play.rows.execute(f"DELETE FROM {MIGRATIONS} WHERE name = '{newest[1]}'")
    assert readiness(play) == (503, "schema_behind")


def test_many_who_ask_at_once_ask_the_database_once(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    condition, asked = database.condition, list[int]()

    async def slowly() -> Condition:
        asked.append(1)
        await asyncio.sleep(0.3)
        return await condition()

    monkeypatch.setattr(database, "condition", slowly)
    with httpx.Client(base_url=play.server.url) as client, ThreadPoolExecutor(8) as pool:
        assert [answer.text for answer in pool.map(client.get, ["/readyz"] * 8)] == ["ok"] * 8
    assert len(asked) < 4
    monkeypatch.undo()
    assert readiness(play) == (200, "ok")


def test_keys_that_can_t_be_read_any_more_are_told_until_they_can_and_take_no_server_out(play: Play) -> None:
    with looking_at_keys(play) as file:
        kept = file.read_bytes()
        file.write_text("nonsense")
    assert readiness(play) == (200, "ok\nkeys_unreadable")
    with looking_at_keys(play) as file:
        file.unlink()
    assert readiness(play) == (200, "ok\nkeys_unreadable")
    with looking_at_keys(play) as file:
        file.touch(0o600)
        file.write_bytes(kept)
    assert readiness(play) == (200, "ok")


def test_what_has_changed_elsewhere_must_be_known(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CheckMemory, "unconfirmed_seconds", property(lambda _memory: EPOCH_LIMIT + 1))
    assert readiness(play) == (503, "epoch_unconfirmed")
    monkeypatch.undo()
    assert readiness(play) == (200, "ok")


@pytest.mark.engine("sqlite")
def test_a_file_that_may_not_be_written_is_a_reason(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may always
    assert readiness(play) == (503, "database_read_only")


@pytest.mark.engine("postgres")
def test_a_database_that_takes_no_writes_is_a_reason(play: Play) -> None:
    name = play.server.database_url.rpartition("/")[2].partition("?")[0]
    play.rows.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
    play.rows.execute(f"SELECT pg_terminate_backend(pid) {others}")
    answers = {readiness(play) for _ in range(20)}
    assert (503, "database_read_only") in answers


@pytest.mark.engine("sqlite")
def test_a_disk_without_room_is_told_unless_it_does_not_say(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs(play.server.data_dir)
    for blocks, reason in ((real.f_blocks, (200, "ok\ndisk_full")), (0, (200, "ok"))):
        fields = [*real[:2], blocks, 0, 0, *real[5:]]
        monkeypatch.setattr(os, "statvfs", lambda _path, fields=fields: os.statvfs_result(fields))
        assert readiness(play) == reason


def test_a_key_that_the_database_knows_and_the_server_was_not_given_is_told_and_takes_no_server_out(play: Play) -> None:
    """As of a copy of the file that was forgotten in a rotation: nobody replaced it, so nothing is read again."""
    play.rows.insert("server_keys", {"id": "sealing-2", "check_value": "of no key here", "created_at": play.clock.now})
    play.clock.advance(minutes=1)
    with looking_at_keys(play):
        pass
    assert readiness(play) == (200, "ok\nkeys_unreadable")
    play.rows.execute("DELETE FROM server_keys WHERE id = 'sealing-2'")
    play.clock.advance(minutes=1)
    with looking_at_keys(play):
        pass
    assert readiness(play) == (200, "ok")
