"""`play`: a running server with a world in it. Each test has its own database and clock."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
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


class Theatre:
    """Where one play at a time is on: the models of a process have one database."""

    def __init__(self, databases: Databases, names: Iterator[str], template: Template, directory: Path) -> None:
        self._databases, self._names = databases, names
        self._template, self._directory = template, directory
        self._until_cleared = ExitStack()
        self._shared: Play | None = None

    def new(self, **settings: Any) -> AbstractContextManager[Play]:
        """A play of one's own, on a server with these settings."""
        self.clear()
        return self._playing(settings)

    def shared(self) -> Play:
        """The same play as the last time, unless there was another one meanwhile."""
        if self._shared is None:
            self._shared = self._until_cleared.enter_context(self._playing({}))
        return self._shared

    def clear(self) -> None:
        self._until_cleared.close()
        self._shared = None

    def _playing(self, settings: dict[str, Any]) -> AbstractContextManager[Play]:
        name = next(self._names)
        # Clocks are moved far: only tests of idle sessions want them to end by that.
        lasting = {"session_idle_minutes": 43_200, **settings}
        return playing(self._databases, name, self._template, self._directory / name, **lasting)


@pytest.fixture(scope="module")
def theatre(
    databases: Databases, names: Iterator[str], world_template: Template, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Theatre]:
    theatre = Theatre(databases, names, world_template, tmp_path_factory.mktemp("stage"))
    yield theatre
    theatre.clear()


@pytest.fixture
def play(theatre: Theatre) -> Iterator[Play]:
    """A running server, and clients for everybody in its world."""
    with theatre.new() as play:
        yield play


@pytest.fixture
def shared_play(theatre: Theatre) -> Play:
    """As `play`, but shared: for tests that leave everything as it was."""
    return theatre.shared()


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
