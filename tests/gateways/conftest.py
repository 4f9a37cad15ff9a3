"""`edge`: a proxy, the API behind it, and the Sealkey that it asks."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.gateways.edge import Edge
from tests.gateways.proxies import KINDS, Kind, running_proxy
from tests.gateways.upstream import tapped_wire, toy_api
from tests.plugins.play import Theatre
from tests.support.world import Play


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    kind = KINDS[request.param]
    if kind.path is None:
        pytest.skip(f"{kind.program} is not on this machine")
    return kind


@pytest.fixture(scope="module")
def edge(theatre: Theatre, kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """One for all tests of a module: what they make, others may see."""
    theatre.clear()
    with _running_edge(theatre.shared(), kind, tmp_path_factory.mktemp(kind.program)) as edge:
        yield edge


@pytest.fixture
def own_edge(theatre: Theatre, kind: Kind, tmp_path: Path) -> Iterator[tuple[Edge, ExitStack]]:
    """One whose Sealkey is stopped by closing the stack that comes with it."""
    with ExitStack() as sealkey:
        play = sealkey.enter_context(theatre.new())
        with _running_edge(play, kind, tmp_path) as edge:
            yield edge, sealkey


@contextmanager
def _running_edge(play: Play, kind: Kind, directory: Path) -> Iterator[Edge]:
    policy = {"accountId": play.alder.id, "maxActiveCredentialsPerUser": 1000}
    play.operator.do("updateCredentialPolicy", "account { id }", **policy)
    token = play.operator.do("createGatewayToken", "token", name="edge", expiresAt=play.clock.in_(days=30))["token"]
    with (
        toy_api() as api,
        tapped_wire(urlsplit(play.server.url).port or 0) as wire,
        running_proxy(kind, directory, sealkey=wire.port, api=api.port, token=token) as url,
    ):
        yield Edge(kind, url, play, api, wire, token)
