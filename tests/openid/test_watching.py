"""A subscription by a token of the provider's ends when the token does, or what it is worth."""

from tests.openid.conftest import Believing
from tests.subscriptions.watching import over_sse
from tests.support.provider import MEMBER_OF_ALDER, Provider


def test_it_ends_with_the_token(provider: Provider, believing: Believing) -> None:
    play = believing(provider)
    carol = play.server.client(provider.token("carol", **MEMBER_OF_ALDER))
    with over_sse(carol) as stream:
        play.generate("ci", carol)
        assert stream.told() == ("credential.generated", "ci")
        play.clock.advance(days=1)
        assert stream.ended_with() == "UNAUTHENTICATED"


def test_it_ends_with_the_api_access_that_another_token_takes_away(provider: Provider, believing: Believing) -> None:
    play = believing(provider)
    with over_sse(play.server.client(provider.token("carol", **MEMBER_OF_ALDER))) as stream:
        without = {**MEMBER_OF_ALDER, "sealkey_api_access": False}
        play.server.client(provider.token("carol", **without)).data("{ viewer { role } }")
        assert stream.ended_with() == "FORBIDDEN"
