"""Servers in this process with two accounts full of everything, for campaigns."""

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from io import StringIO
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from argon2 import PasswordHasher

from auth import passwords
from models.migrating import migrate
from server import housekeeping
from tests.access.stage import Stage
from tests.plugins.database import Databases, SqliteDatabases
from tests.plugins.play import make_template, playing
from tests.postgres import running_postgres
from tests.support.logs import recorded_logs
from tests.support.server import LARGE_DOCUMENTS

ENGINES = ("sqlite", "postgres")
_NEVER = 86_400
_numbers = count(1)


def alone(campaign: Callable[..., str], *arguments: Any) -> str:
    """What a part of a campaign tells, in a process of its own: the models of one speak to one engine for good."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(campaign, *arguments).result()


@contextmanager
def databases_of(engine: str, directory: Path) -> Iterator[Databases]:
    """Where an engine's databases are made."""
    if engine == "sqlite":
        yield SqliteDatabases(directory)
    else:
        with running_postgres() as server:
            yield server


@contextmanager
def staged(databases: Databases, **settings: Any) -> Iterator[Stage]:
    """As `staged_and_logged`, where nobody looks at the log."""
    with staged_and_logged(databases, **settings) as (stage, _log):
        yield stage


@contextmanager
def staged_and_logged(databases: Databases, **settings: Any) -> Iterator[tuple[Stage, StringIO]]:
    """A running server with a stage (see tests.access.stage), on a database of its own. Passwords are hashed at next to
    no cost, and nothing is done beside the requests that changes a row."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    quick = patch.object(passwords, "_HASHER", hasher)
    still = patch.multiple(housekeeping, _SEND_EVERY=_NEVER, _TELL_OF_ENDS_EVERY=_NEVER)
    with TemporaryDirectory(prefix="sealkey-stage-") as directory, quick, still, recorded_logs() as log:
        number = f"{os.getpid()}_{next(_numbers)}"  # others may make theirs at the same server
        migrated, world, name = (f"torture_{part}_{number}" for part in ("migrated", "world", "stage"))
        asyncio.run(migrate(databases.create_database(migrated)))
        (home := Path(directory) / "world").mkdir()
        template = make_template(databases, world, migrated, home)
        quiet = {"usage_flush_seconds": 300, "session_idle_minutes": 43_200, **LARGE_DOCUMENTS, **settings}
        with playing(databases, name, template, Path(directory) / "data", **quiet) as play:
            yield Stage(play), log
