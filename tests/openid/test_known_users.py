"""Somebody whom the OpenID provider brought comes again."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.openid.conftest import Believing
from tests.openid.people import ADMINISTRATOR, by_password, events, is_refused, viewer
from tests.plugins.passwords import CountingHasher
from tests.support.provider import CLIENT_ID, MEMBER_OF_ALDER, Provider
from tests.support.rows import Rows
from tests.support.world import PASSWORD, Play

CAROL = "carol@alder.example"
# All that a provider may say of somebody known: who it is.
ONLY_WHO = {"email": CAROL}


@pytest.fixture
def play(provider: Provider, believing: Believing) -> Play:
    """A server that has seen Carol, of Alder."""
    play = believing(provider)
    viewer(play, provider.token("carol", **MEMBER_OF_ALDER))
    return play


def seen(play: Play, provider: Provider, **claims: Any) -> tuple[str, bool]:
    found = viewer(play, provider.token("carol", **claims))
    return found["role"], found["user"]["apiAccess"]


def test_the_role_and_api_access_are_what_the_claims_say_now(play: Play, provider: Provider) -> None:
    assert seen(play, provider, sealkey_role="AUDITOR") == ("AUDITOR", True)
    play.clock.advance(seconds=1)
    assert seen(play, provider, sealkey_role="MEMBER", sealkey_api_access=False) == ("MEMBER", False)
    summaries = [event["summary"] for event in events(play, "user.role_set")]
    assert summaries == [
        f"User {CAROL} is AUDITOR with API access, says the OpenID provider",
        f"User {CAROL} is MEMBER without API access, says the OpenID provider",
    ]


def test_claims_that_are_not_there_change_nothing(play: Play, provider: Provider) -> None:
    assert seen(play, provider, **ONLY_WHO) == ("MEMBER", True)
    assert events(play, "user.role_set") == []


def test_a_credential_is_blocked_once_the_claims_take_api_access_away(play: Play, provider: Provider) -> None:
    carol = play.server.client(provider.token("carol", **MEMBER_OF_ALDER))
    delivery = play.generate("ci", carol)["delivery"]
    seen(play, provider, sealkey_api_access=False)
    keys = {name: delivery[name] for name in ("apiKey", "apiSecret")}
    assert by_password(play).do("verifyCredential", "code", **keys)["code"] == "OWNER_ACCESS_REMOVED"


def test_the_accounts_own_server_is_told_of_credentials_that_the_claims_block_and_unblock(
    play: Play, provider: Provider
) -> None:
    types = ["CREDENTIAL_BLOCKED", "CREDENTIAL_UNBLOCKED"]
    endpoint = {"url": "https://hooks.example/", "eventTypes": types}
    by_password(play, ADMINISTRATOR).do("createWebhookEndpoint", "endpoint { id }", **endpoint)
    play.generate("ci", play.server.client(provider.token("carol", **MEMBER_OF_ALDER)))
    for claims in ({"sealkey_api_access": False}, {"sealkey_role": "AUDITOR"}, MEMBER_OF_ALDER):
        seen(play, provider, **claims)
    writing = play.server.app.state.housekeeping.write_announced()
    asyncio.run_coroutine_threadsafe(writing, play.server.loop).result(10)
    told = Rows(play.server.database_url).execute("SELECT event_type FROM webhook_deliveries ORDER BY event_type")
    assert told == [("credential.blocked",), ("credential.unblocked",)]


def test_what_an_administrator_removed_stays_removed_where_the_claims_are_silent(
    play: Play, provider: Provider
) -> None:
    carol = viewer(play, provider.token("carol"))["user"]["id"]
    by_password(play, ADMINISTRATOR).do("removeApiAccess", "user { id }", userId=carol)
    assert seen(play, provider, **ONLY_WHO) == ("MEMBER", False)


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"sealkey_account": "Birch"}, id="another account"),
        pytest.param({"sealkey_account": "Yew"}, id="an account that there is not"),
        pytest.param({"sealkey_account": ["Alder"]}, id="a list of accounts"),
        pytest.param({"sealkey_role": "OPERATOR"}, id="an operator"),
        pytest.param({"sealkey_role": "GATEWAY"}, id="a machine"),
        pytest.param({"sealkey_role": "OWNER"}, id="a role that there is not"),
    ],
)
def test_claims_of_what_can_t_be_are_refused_and_change_nothing(
    play: Play, provider: Provider, claims: dict[str, Any]
) -> None:
    assert is_refused(play, provider.token("carol", **claims, sealkey_api_access=False))
    assert seen(play, provider) == ("MEMBER", True)


def test_an_operator_does_not_become_somebody_of_an_account(provider: Provider, believing: Believing) -> None:
    play = believing(provider, oidc_create_operators=True)
    operator: dict[str, Any] = {"email": "olga@provider.example", "email_verified": True, "sealkey_role": "OPERATOR"}
    viewer(play, provider.token("olga", **operator))
    assert is_refused(play, provider.token("olga", **{**operator, "sealkey_role": "MEMBER"}))
    assert is_refused(play, provider.token("olga", **operator, sealkey_account="Alder"))


def test_a_token_is_good_until_it_expires_and_half_a_minute_longer_for_clocks_that_differ(
    play: Play, provider: Provider
) -> None:
    end = int(play.clock.now.timestamp()) + 600
    token = provider.token("carol", **MEMBER_OF_ALDER, exp=end)
    play.clock.now = datetime.fromtimestamp(end + 29, UTC)
    assert not is_refused(play, token)
    play.clock.advance(seconds=1)
    assert is_refused(play, token)


def test_the_provider_s_own_end_of_a_token_holds(play: Play, provider: Provider) -> None:
    token = provider.token("carol", **MEMBER_OF_ALDER)
    play.clock.advance(minutes=59)
    assert not is_refused(play, token)
    play.clock.advance(minutes=2)
    assert is_refused(play, token)


def test_a_token_is_not_good_before_it_was_issued(play: Play, provider: Provider) -> None:
    token = provider.token("carol", **MEMBER_OF_ALDER)
    play.clock.advance(minutes=-1)
    assert is_refused(play, token)


def test_one_audience_among_several_may_be_this_server(play: Play, provider: Provider) -> None:
    assert not is_refused(play, provider.token("carol", aud=["another", CLIENT_ID]))


def test_who_was_deactivated_is_refused_until_reactivated(play: Play, provider: Provider) -> None:
    token = provider.token("carol", **MEMBER_OF_ALDER)
    administrator, carol = by_password(play, ADMINISTRATOR), viewer(play, token)["user"]["id"]
    administrator.do("deactivateUser", "user { id }", userId=carol)
    assert is_refused(play, token)
    administrator.do("reactivateUser", "user { id }", userId=carol)
    assert not is_refused(play, token)


def test_nobody_of_a_suspended_account_is_signed_in(play: Play, provider: Provider) -> None:
    token = provider.token("carol", **MEMBER_OF_ALDER)
    by_password(play).do("suspendAccount", "account { id }", accountId=play.alder.id)
    assert is_refused(play, token)
    assert is_refused(play, provider.token("dora", **{**MEMBER_OF_ALDER, "email": "dora@alder.example"}))


def test_the_provider_s_token_counts_as_a_person_and_makes_tokens_for_scripts(play: Play, provider: Provider) -> None:
    carol = play.server.client(provider.token("carol", **MEMBER_OF_ALDER))
    expires_at = play.clock.now.replace(year=play.clock.now.year + 1).isoformat()
    made = carol.do(
        "createPersonalAccessToken", "token", name="ci", permissions=["READ_CREDENTIALS"], expiresAt=expires_at
    )
    assert play.server.client(made["token"]).data("{ viewer { user { email } } }") == {"user": {"email": CAROL}}


class TestWithoutAPassword:
    """Whom the provider brought has no password here."""

    def test_signing_in_with_one_is_refused_as_for_an_address_that_nobody_has(
        self, play: Play, hasher: CountingHasher
    ) -> None:
        document = "mutation ($input: SignInInput!) { signIn(input: $input) { userErrors { field code message } } }"
        answers = {
            play.nobody.post(document, {"input": {"email": email, "password": password}}).text
            for email, password in [(CAROL, PASSWORD), (CAROL, ""), ("nobody@alder.example", PASSWORD)]
        }
        (answer,) = answers
        assert '"INVALID_CREDENTIALS"' in answer
        assert [checked == hasher.checked[0] for checked in hasher.checked] == [True] * 3

    def test_none_can_be_set_by_who_can_t_name_the_old_one(self, play: Play, provider: Provider) -> None:
        carol = play.server.client(provider.token("carol", **MEMBER_OF_ALDER))
        fields = {"currentPassword": "", "newPassword": "a long enough one"}
        refusals = carol.refusals("changePassword", "", **fields)
        assert refusals == [("INVALID_CREDENTIALS", ["currentPassword"])]
