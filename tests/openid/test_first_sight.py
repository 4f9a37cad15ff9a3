"""Somebody whom only the OpenID provider knows comes for the first time."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.openid.conftest import Believing
from tests.openid.people import VIEWER, by_password, emails, events, is_refused, viewer
from tests.support.provider import MEMBER_OF_ALDER, NOT_GIVEN, Provider, changed
from tests.support.world import PASSWORD

CAROL = "carol@alder.example"


def test_a_user_is_made_of_what_the_claims_say(provider: Provider, believing: Believing) -> None:
    play = believing(provider)
    seen = viewer(play, provider.token("carol", **MEMBER_OF_ALDER))
    assert seen["user"].pop("id").startswith("user_")
    assert seen["user"] == {"email": CAROL, "displayName": "Carol Alder", "role": "MEMBER", "apiAccess": True}
    assert seen["account"] == {"name": "Alder"}
    assert "GENERATE_CREDENTIALS" in seen["permissions"]


def test_making_a_user_is_in_the_audit_log_of_the_account(provider: Provider, believing: Believing) -> None:
    play = believing(provider)
    made = viewer(play, provider.token("carol", **MEMBER_OF_ALDER))["user"]["id"]
    event = events(play, "user.created")[-1]
    assert event["summary"] == f"User {CAROL} was created as MEMBER, by the OpenID provider"
    assert (event["actor"], event["subjectId"]) == ({"email": CAROL}, made)


def test_the_next_token_of_the_same_subject_is_the_same_user(provider: Provider, believing: Believing) -> None:
    play = believing(provider)
    first, second = (viewer(play, provider.token("carol", **MEMBER_OF_ALDER)) for _ in range(2))
    assert first == second
    assert len(events(play, "user.created")) == len(emails(by_password(play)))


def test_a_new_user_generates_credentials_at_once(provider: Provider, believing: Believing) -> None:
    play = believing(provider)
    carol = play.server.client(provider.token("carol", **MEMBER_OF_ALDER))
    assert play.generate("ci", carol)["credential"]["usable"] is True


def test_ten_first_requests_at_once_make_one_user(provider: Provider, believing: Believing) -> None:
    play = believing(provider)
    carol = play.server.client(provider.token("carol", **MEMBER_OF_ALDER))
    with ThreadPoolExecutor(10) as threads:
        seen = [each.result() for each in [threads.submit(carol.data, VIEWER) for _ in range(10)]]
    assert all(each == seen[0] for each in seen)


def test_two_addresses_of_one_subject_at_once_make_one_user(provider: Provider, believing: Believing) -> None:
    play = believing(provider)
    tokens = [provider.token("carol", **changed({"email": email})) for email in (CAROL, "c@alder.example")]
    with ThreadPoolExecutor(10) as threads:
        seen = [each.result() for each in [threads.submit(viewer, play, token) for token in tokens * 5]]
    assert len({each["user"]["id"] for each in seen}) == 1


def test_nobody_is_made_where_that_is_not_configured(provider: Provider, believing: Believing) -> None:
    play = believing(provider, oidc_create_users=False)
    assert is_refused(play, provider.token("carol", **MEMBER_OF_ALDER))
    assert CAROL not in emails(by_password(play))


def test_unverified_addresses_are_taken_where_the_deployment_says_so(provider: Provider, believing: Believing) -> None:
    play = believing(provider, oidc_verified_email_only=False)
    assert viewer(play, provider.token("carol", **changed({"email_verified": NOT_GIVEN})))["user"]["email"] == CAROL


def test_api_access_is_granted_only_where_the_claim_is_true_itself(provider: Provider, believing: Believing) -> None:
    play = believing(provider)
    for number, value in enumerate([NOT_GIVEN, False, "true", 1]):
        claims = changed({"sealkey_api_access": value, "email": f"carol{number}@alder.example"})
        assert viewer(play, provider.token(f"carol{number}", **claims))["user"]["apiAccess"] is False


def test_where_the_name_can_t_be_shown_the_address_is(provider: Provider, believing: Believing) -> None:
    play = believing(provider)
    for number, name in enumerate([NOT_GIVEN, "", "Carol\0", "Carol\n\u0085", ["Carol"], 7]):
        email = f"carol{number}@alder.example"
        seen = viewer(play, provider.token(f"carol{number}", **changed({"name": name, "email": email})))
        assert seen["user"]["displayName"] == email


def test_a_name_that_is_too_long_is_cut(provider: Provider, believing: Believing) -> None:
    play = believing(provider)
    shown = viewer(play, provider.token("carol", **changed({"name": "C" * 300})))["user"]["displayName"]
    assert shown == "C" * 200


def test_the_provider_s_own_staff_are_operators_of_no_account(provider: Provider, believing: Believing) -> None:
    play = believing(provider, oidc_create_operators=True)
    claims = changed({"email": "olga@provider.example", "sealkey_role": "OPERATOR", "sealkey_account": NOT_GIVEN})
    seen = viewer(play, provider.token("olga", **claims))
    assert (seen["role"], seen["account"]) == ("OPERATOR", None)


def test_nobody_is_made_an_operator_where_that_is_not_configured(provider: Provider, believing: Believing) -> None:
    play = believing(provider)
    claims = changed({"email": "olga@provider.example", "sealkey_role": "OPERATOR", "sealkey_account": NOT_GIVEN})
    assert is_refused(play, provider.token("olga", **claims))
    assert "olga@provider.example" not in emails(by_password(play))


def test_the_names_of_the_claims_are_the_deployment_s(provider: Provider, believing: Believing) -> None:
    names = {"oidc_account_claim": "org", "oidc_role_claim": "https://x.example/role", "oidc_api_access_claim": "api"}
    play = believing(provider, **names)
    said: dict[str, Any] = {"org": "Birch", "https://x.example/role": "AUDITOR", "api": True}
    token = provider.token("carol", email=CAROL, email_verified=True, **said)
    seen = viewer(play, token)
    assert (seen["account"]["name"], seen["role"], seen["user"]["apiAccess"]) == ("Birch", "AUDITOR", True)


class TestTheAddressOfSomebodyWithAPassword:
    MEMBER = "member@alder.example"

    def test_is_not_taken_over(self, provider: Provider, believing: Believing) -> None:
        play = believing(provider)
        assert is_refused(play, provider.token("mallory", **changed({"email": self.MEMBER})))
        assert is_refused(play, provider.token("mallory", **changed({"email": self.MEMBER.upper()})))
        assert by_password(play, self.MEMBER).data("{ viewer { user { displayName } } }")["user"] == {
            "displayName": "member"
        }

    def test_is_not_taken_over_while_the_invitation_is_open(self, provider: Provider, believing: Believing) -> None:
        play = believing(provider)
        invited = {"email": CAROL, "displayName": "The true Carol", "role": "AUDITOR"}
        administrator = by_password(play, "administrator@alder.example")
        made = administrator.do("createUser", "invitationToken", **invited)
        assert is_refused(play, provider.token("mallory", **MEMBER_OF_ALDER))
        accepted = {"invitationToken": made["invitationToken"], "password": PASSWORD}
        payload = play.nobody.do("acceptInvitation", "viewer { role }", **accepted)
        assert payload["viewer"] == {"role": "AUDITOR"}


def test_an_administrator_can_t_invite_the_address_of_somebody_the_provider_brought(
    provider: Provider, believing: Believing
) -> None:
    play = believing(provider)
    viewer(play, provider.token("carol", **MEMBER_OF_ALDER))
    administrator = by_password(play, "administrator@alder.example")
    again = {"email": CAROL, "displayName": "Carol", "role": "MEMBER"}
    assert administrator.refusals("createUser", "user { id }", **again) == [("TAKEN", ["email"])]


def test_somebody_the_provider_brought_is_given_no_password_by_an_invitation(
    provider: Provider, believing: Believing
) -> None:
    play = believing(provider)
    carol = play.server.client(provider.token("carol", **MEMBER_OF_ALDER)).data("{ viewer { user { id } } }")["user"]
    administrator = by_password(play, "administrator@alder.example")
    refusals = administrator.refusals("renewInvitation", "invitationToken", userId=carol["id"])
    assert refusals == [("CONFLICT", ["userId"])]
