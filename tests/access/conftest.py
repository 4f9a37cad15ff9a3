"""The stage, made once for a file of tests: they leave it as they found it, or add to it."""

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from auth import passwords
from tests.access.stage import Stage
from tests.access.tables import Tables, opened
from tests.plugins.database import Databases
from tests.plugins.play import Template, playing
from tests.support.server import LARGE_DOCUMENTS


@pytest.fixture(scope="module")
def stage(
    databases: Databases, names: Iterator[str], world_template: Template, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A running server with two accounts full of everything. New people's passwords are hashed at next to no cost:
    there are many, and nobody guesses at them here."""
    data_dir = tmp_path_factory.mktemp("stage") / "data"
    # What was counted is not written down while a test looks on.
    settings = {"usage_flush_seconds": 300, **LARGE_DOCUMENTS}
    playing_here = playing(databases, next(names), world_template, data_dir, **settings)
    with pytest.MonkeyPatch.context() as patch, playing_here as play:
        patch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield Stage(play)


@pytest.fixture(scope="module")
def tables(stage: Stage) -> Iterator[Tables]:
    """All there is in the stage's database."""
    with opened(stage.play.server.database_url) as tables:
        yield tables
