"""A provider for these tests, and servers that believe it."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest

from models.instants import to_millisecond
from tests.openid.people import by_password
from tests.plugins.database import Databases
from tests.plugins.play import StartPlay, Template, playing
from tests.support.provider import CLIENT_ID, Provider, running_provider
from tests.support.server import FakeClock
from tests.support.world import Play


class Believing(Protocol):
    def __call__(self, provider: Provider, **settings: Any) -> Play: ...


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture
def believing(start_play: StartPlay, quick_passwords: None) -> Believing:
    """Starts a server that believes a provider. Its clock stands at the present, since the provider's does not."""
    return lambda provider, **settings: start_play(_present(), **{**_belief(provider), **settings})


@pytest.fixture(scope="module")
def unchanged(
    provider: Provider,
    databases: Databases,
    names: Iterator[str],
    world_template: Template,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Play]:
    """One server that believes the provider, and an operator signed in, for tests that change nothing there."""
    data_dir = tmp_path_factory.mktemp("unchanged") / "data"
    with playing(databases, next(names), world_template, data_dir, _present(), **_belief(provider)) as play:
        play.operator = by_password(play)
        yield play


def _present() -> FakeClock:
    return FakeClock(to_millisecond(datetime.now(UTC)))


def _belief(provider: Provider) -> Mapping[str, Any]:
    return {"oidc_issuer": provider.url, "oidc_audience": CLIENT_ID, "oidc_create_users": True}
