"""Both ways of watching, and what is done to credentials meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.server import Client
from tests.support.subscribers import EventStream, Socket, connecting, streaming
from tests.support.world import Play


@contextmanager
def over_sse(client: Client) -> Iterator[EventStream]:
    with streaming(client) as stream:
        assert stream.first() is None
        yield stream


@contextmanager
def over_websocket(client: Client) -> Iterator[Socket]:
    with connecting(client) as socket:
        yield socket.begin().subscribe()


BOTH_WAYS = pytest.mark.parametrize("watching", [over_sse, over_websocket])


def revoke(client: Client, credential: Any) -> None:
    client.do("revokeCredential", "credential { id }", credentialId=credential["id"])


def tell_something(play: Play, name: str) -> None:
    """Something that the member's account is told of, and that leaves no credential in use."""
    revoke(play.member, play.generate(name)["credential"])
