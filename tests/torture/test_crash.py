"""The campaign of kills, a few of each kind: at full length `make torture CAMPAIGN=crash` runs it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from torture.commands_killed import kill_commands
from torture.crash import crash_postgres, crash_sqlite
from torture.forked import Forks


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks() as forks:
        yield forks


def test_what_was_acknowledged_outlasts_servers_that_are_killed_on_sqlite(forks: Forks, tmp_path: Path) -> None:
    crash_sqlite(forks, tmp_path, seed=1, kills=3, small=True)


def test_what_was_acknowledged_outlasts_servers_and_a_postgresql_that_are_killed(forks: Forks, tmp_path: Path) -> None:
    crash_postgres(forks, tmp_path, seed=1, kills=3, small=True)


def test_commands_that_are_killed_can_be_given_again(forks: Forks, tmp_path: Path) -> None:
    kill_commands(forks, tmp_path, seed=1, points=1)
