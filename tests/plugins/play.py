"""`play`: a running server with a world in it. Each test has its own database and clock."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from pydantic import SecretStr

from auth.crypto.secret import Secret
from resolvers.caller import Caller
from resolvers.users import create_operator
from server.app import deployed
from server.settings import Settings
from tests.plugins.database import Databases
from tests.support.server import FakeClock, running_server
from tests.support.world import OPERATOR, PASSWORD, Play, World, make_world


@dataclass(frozen=True)
class Template:
    """A database with a world in it, and the data directory with the keys that belong to it."""

    database: str
    data_dir: Path


@pytest.fixture(scope="session")
def world_template(
    databases: Databases, names: Iterator[str], migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Template:
    return make_template(databases, next(names), migrated_template, tmp_path_factory.mktemp("world"))


def make_template(databases: Databases, name: str, migrated_template: str, data_dir: Path) -> Template:
    """A world, made through the API."""
    url = databases.create_database(name, migrated_template)
    asyncio.run(_make_operator(url, data_dir))
    with running_server(url, data_dir, FakeClock()) as server:
        make_world(server, PASSWORD).save(data_dir / "world.json")
    return Template(name, data_dir)


@pytest.fixture
def play(databases: Databases, names: Iterator[str], world_template: Template, tmp_path: Path) -> Iterator[Play]:
    """A running server, and clients for everybody in its world."""
    with playing(databases, next(names), world_template, tmp_path / "data") as play:
        yield play


class StartPlay(Protocol):
    def __call__(self, clock: FakeClock | None = None, **settings: Any) -> Play: ...


@pytest.fixture
def start_play(
    databases: Databases, names: Iterator[str], world_template: Template, tmp_path: Path
) -> Iterator[StartPlay]:
    """Starts servers with settings of their own, each with a copy of the world."""
    with ExitStack() as running:

        def start(clock: FakeClock | None = None, **settings: Any) -> Play:
            name = next(names)
            play = playing(databases, name, world_template, tmp_path / name, clock, **settings)
            return running.enter_context(play)

        yield start


@contextmanager
def playing(
    databases: Databases,
    name: str,
    template: Template,
    data_dir: Path,
    clock: FakeClock | None = None,
    **settings: Any,
) -> Iterator[Play]:
    """A running server with a copy of the world, for tests that share one."""
    shutil.copytree(template.data_dir, data_dir)
    url = databases.create_database(name, template.database)
    with running_server(url, data_dir, clock or FakeClock(), **settings) as server:
        yield Play(server, World.load(data_dir / "world.json"))
    databases.drop_database(name)


async def _make_operator(url: str, data_dir: Path) -> None:
    clock = FakeClock()
    async with deployed(Settings(data_dir=data_dir, database_url=SecretStr(url)), clock) as deployment:
        caller = Caller(None, None, clock(), deployment)
        await create_operator(caller, email=OPERATOR, display_name="Operator", password=Secret(PASSWORD))


@dataclass(frozen=True)
class LiveServer:
    """A running server, and whom a browser can sign in as there."""

    url: str
    member_email: str
    member_password: str


@pytest.fixture
def live_server(play: Play) -> LiveServer:
    return LiveServer(play.server.url, "member@alder.example", PASSWORD)
