"""The OpenID provider is away, comes back, and has other keys then."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest

from tests.openid.conftest import Believing
from tests.openid.people import VIEWER, by_password, is_refused, viewer
from tests.support.processes import free_port
from tests.support.provider import MEMBER_OF_ALDER, Provider, running_provider
from tests.support.subscribers import connecting, streaming
from tests.support.world import Play

UNAVAILABLE: Any = {"errors": [{"message": "Who you are can't be checked now.", "extensions": {"code": "UNAVAILABLE"}}]}
CAROL = "carol@alder.example"


class Ours:
    """A provider on one port, that these tests start and stop."""

    def __init__(self) -> None:
        self.port = free_port()
        self.provider = Provider(f"http://127.0.0.1:{self.port}")
        self._running: AbstractContextManager[Provider] | None = None

    def start(self) -> None:
        """With a new key: it keeps none."""
        self._running = running_provider(self.port)
        self._running.__enter__()

    def stop(self) -> None:
        if self._running is not None:
            self._running.__exit__(None, None, None)
        self._running = None

    def token(self) -> str:
        return self.provider.token("carol", **MEMBER_OF_ALDER)


@pytest.fixture
def ours() -> Iterator[Ours]:
    ours = Ours()
    yield ours
    ours.stop()


def is_unavailable(play: Play, token: str) -> bool:
    response = play.server.client(token).post(VIEWER)
    return (response.status_code, response.json()) == (503, UNAVAILABLE)


def test_while_the_provider_is_away_nobody_s_token_is_believed_and_nobody_s_is_refused(
    ours: Ours, believing: Believing, capfd: pytest.CaptureFixture[str]
) -> None:
    ours.start()
    token = ours.token()
    ours.stop()
    play = believing(ours.provider)
    capfd.readouterr()
    assert is_unavailable(play, token)
    written = "".join(capfd.readouterr())
    assert "openid_unavailable" in written
    assert not any(part in written for part in token.split("."))
    client = play.server.client(token)
    with streaming(client) as stream:
        stream.response.read()
        assert (stream.response.status_code, stream.response.json()) == (503, UNAVAILABLE)
    with connecting(client) as socket:
        socket.send("connection_init")
        assert socket.closed_with(UNAVAILABLE["errors"][0]["message"]) == 1013
    # Nor is what needs no sign-in answered to who sends such a token.
    response = play.server.client(token).post("{ __typename }")
    assert (response.status_code, response.json()) == (503, UNAVAILABLE)


def test_the_others_sign_in_meanwhile(ours: Ours, believing: Believing) -> None:
    play = believing(ours.provider)
    assert by_password(play).data("{ viewer { role } }") == {"role": "OPERATOR"}
    assert is_refused(play, "garbage")


def test_once_the_provider_is_back_its_tokens_sign_in_within_five_seconds(ours: Ours, believing: Believing) -> None:
    play = believing(ours.provider)
    assert is_unavailable(play, "a.b.c")
    ours.start()
    token = ours.token()
    assert is_unavailable(play, token)
    play.clock.advance(seconds=5)
    assert viewer(play, token)["user"]["email"] == CAROL


def test_the_keys_that_are_known_serve_for_ten_minutes(ours: Ours, believing: Believing) -> None:
    play = believing(ours.provider)
    ours.start()
    token = ours.token()
    viewer(play, token)
    ours.stop()
    play.clock.advance(minutes=10, milliseconds=-1)
    assert viewer(play, token)["user"]["email"] == CAROL
    play.clock.advance(milliseconds=1)
    assert is_unavailable(play, token)


def test_a_new_key_is_believed_and_the_old_one_is_not_from_then_on(ours: Ours, believing: Believing) -> None:
    play = believing(ours.provider)
    ours.start()
    old = ours.token()
    viewer(play, old)
    ours.stop()
    ours.start()
    new = ours.token()
    # Asked a moment ago: for half a minute what fits no key is nonsense.
    assert is_refused(play, new)
    play.clock.advance(seconds=30)
    assert viewer(play, new)["user"]["email"] == CAROL
    assert is_refused(play, old)


def test_an_old_key_is_not_believed_longer_than_ten_minutes_even_if_nobody_comes_with_a_new_one(
    ours: Ours, believing: Believing
) -> None:
    play = believing(ours.provider)
    ours.start()
    old = ours.token()
    viewer(play, old)
    ours.stop()
    ours.start()
    play.clock.advance(minutes=10)
    assert is_refused(play, old)


def test_a_discovery_document_that_names_another_issuer_is_not_believed(ours: Ours, believing: Believing) -> None:
    ours.start()
    token = ours.token()
    # It is found there, and says it is somebody else: the same address without the slash.
    play = believing(ours.provider, oidc_issuer=f"{ours.provider.url}/")
    assert is_unavailable(play, token)


def test_logging_in_and_introspection_say_the_same_while_the_provider_is_away(ours: Ours, believing: Believing) -> None:
    ours.start()
    token = ours.token()
    ours.stop()
    play = believing(ours.provider)

    def post(path: str, **body: Any) -> tuple[int, str | None, Any]:
        response = httpx.post(
            f"{play.server.url}{path}", headers={"Authorization": f"Bearer {token}"}, verify=False, **body
        )
        answer = response.json()
        return response.status_code, response.headers.get("retry-after"), answer.get("error") or answer["code"]

    keys = {"client_id": "a", "client_secret": "b"}
    assert post("/v2/login", json={"api_key": "a", "api_secret": "b"}) == (503, "5", "UNAVAILABLE")
    unavailable = (503, "5", "temporarily_unavailable")
    assert post("/oauth/token", data={"grant_type": "client_credentials", **keys}) == unavailable
    assert post("/oauth/introspect", data={"token": "a"}) == unavailable
    assert post("/oauth/revoke", data={"token": "a", **keys}) == unavailable
