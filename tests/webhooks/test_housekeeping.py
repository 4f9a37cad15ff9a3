"""What goes on beside the requests: one thing that fails keeps no other from being done."""

import time

import pytest

from tests.plugins.play import StartPlay
from tests.support.server import START
from tests.support.world import Play

KEPT = "SELECT count(*) FROM idempotent_answers"
PATIENCE = 20


def kept(play: Play) -> int:
    ((number,),) = play.rows.execute(KEPT)
    return int(number)


def test_answers_are_forgotten_though_ends_can_not_be_told_of(
    start_play: StartPlay, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("server.housekeeping.announce_ends", fail)
    for name in ("_TELL_OF_ENDS_EVERY", "_CLEAN_UP_EVERY"):
        monkeypatch.setattr(f"server.housekeeping.{name}", 0.05, raising=False)
    play = start_play()
    assert play.clock() == START
    play.generate("ci", idempotencyKey="a key of at least 22 characters")
    assert kept(play) == 1
    play.clock.advance(minutes=10)
    end = time.monotonic() + PATIENCE
    while kept(play) and time.monotonic() < end:
        time.sleep(0.05)
    assert kept(play) == 0
