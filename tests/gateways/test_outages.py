"""While Sealkey is away, the proxies let nobody in."""

import socket
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.gateways.edge import Edge, by_basic, by_bearer, keys
from tests.gateways.proxies import Kind, running_proxy
from tests.gateways.upstream import toy_api


def test_while_sealkey_is_stopped_nobody_is_let_in(own_edge: tuple[Edge, ExitStack]) -> None:
    edge, sealkey = own_edge
    generated = edge.generate()
    ways = (by_basic(*keys(generated).values()), by_bearer(edge.access_token(generated)))
    for headers in ways:
        edge.let_in(headers=headers)
    sealkey.close()
    for headers in (*ways, {}):
        assert 500 <= edge.kept_out(headers=headers).status_code < 600


@pytest.mark.parametrize("kind", ["nginx", "caddy", "envoy"], indirect=True)  # Traefik waits for half a minute
def test_while_sealkey_does_not_answer_nobody_is_let_in(kind: Kind, tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        toy_api() as api,
        running_proxy(kind, tmp_path, sealkey=silent.getsockname()[1], api=api.port, token="whatever") as url,
    ):
        answer = httpx.get(url, headers=by_basic("sealkey_key_1", "sealkey_secret_2"), timeout=20, trust_env=False)
        assert 500 <= answer.status_code < 600
        assert api.asked == []
