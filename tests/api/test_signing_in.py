"""Signing in, staying signed in, and signing out."""

from collections.abc import Callable
from typing import Any

import pytest

from auth import passwords
from tests.support.audit import deployment_events, events, recorded, user_id
from tests.support.rows import LOG
from tests.support.server import Client
from tests.support.world import OPERATOR, PASSWORD, Play

MEMBER = "member@alder.example"
ANSWER = "sessionToken expiresAt viewer { user { email } }"
WHO = "{ viewer { user { email } } }"


def sign_in(play: Play, email: str = MEMBER, password: str = PASSWORD) -> Any:
    return play.nobody.do("signIn", ANSWER, email=email, password=password)


def may_ask(client: Client) -> bool:
    answer = client.execute(WHO)
    if "errors" not in answer:
        return True
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["UNAUTHENTICATED"]
    return False


def test_who_signs_in_gets_a_token_to_ask_with(play: Play) -> None:
    member = user_id(play, "member")
    with recorded(play, play.alder.id, ("session.started", member, member, "Signed in")):
        signed_in = sign_in(play)
    assert signed_in["viewer"]["user"]["email"] == MEMBER
    assert signed_in["expiresAt"] == "2026-01-16T00:00:00Z"
    assert play.server.client(signed_in["sessionToken"]).data(WHO) == {"user": {"email": MEMBER}}


def test_an_operators_sign_in_is_recorded_in_the_deployments_own_chain(play: Play) -> None:
    before = len(deployment_events(play))
    sign_in(play, OPERATOR)
    assert [event[0] for event in deployment_events(play)[before:]] == ["session.started"]


def test_an_address_is_known_in_any_case(play: Play) -> None:
    assert sign_in(play, f" {MEMBER.title()} ")["viewer"]["user"]["email"] == MEMBER


REFUSALS: dict[str, Callable[[Play], tuple[str, str]]] = {
    "an unknown address": lambda play: ("nobody@alder.example", PASSWORD),
    "no address": lambda play: ("", PASSWORD),
    "a wrong password": lambda play: (MEMBER, PASSWORD.upper()),
    "no password": lambda play: (MEMBER, ""),
    "an endless password": lambda play: (MEMBER, PASSWORD * 100),
    "a user who was invited and has set no password": lambda play: (invite(play), PASSWORD),
    "a deactivated user": lambda play: (deactivated(play), PASSWORD),
    "a user of a suspended account": lambda play: (of_a_suspended_account(play), PASSWORD),
}


def invite(play: Play) -> str:
    email = "new@alder.example"
    play.administrator.do("createUser", "user { id }", email=email, displayName="New", role="MEMBER")
    return email


def deactivated(play: Play) -> str:
    play.rows.set("users", play.alder.users["auditor"], "status = 'DEACTIVATED'")
    return "auditor@alder.example"


def of_a_suspended_account(play: Play) -> str:
    play.rows.set("accounts", play.birch.id, "status = 'SUSPENDED'")
    return "member@birch.example"


def test_every_refused_sign_in_is_answered_alike(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody learns from the answer, or from how long it takes, whether an address is known."""
    hashed: list[str] = []
    verify = passwords._verify

    def watched(kept: str, given: str) -> bool:
        hashed.append(kept)
        return verify(kept, given)

    monkeypatch.setattr(passwords, "_verify", watched)
    answers = {}
    for name, prepare in REFUSALS.items():
        email, password = prepare(play)
        with play.rows.unchanged(without=LOG):
            answers[name] = play.nobody.mutate("signIn", ANSWER, email=email, password=password)
    refused = {
        "code": "INVALID_CREDENTIALS",
        "field": None,
        "message": "The e-mail address or the password is not right.",
    }
    payload = {"sessionToken": None, "expiresAt": None, "viewer": None, "userErrors": [refused]}
    assert answers == dict.fromkeys(REFUSALS, payload)
    assert len(hashed) == len(REFUSALS)
    assert len({kept.rpartition("$")[0].rpartition("$")[0] for kept in hashed}) == 1  # all cost the same


def test_a_refused_sign_in_is_told_to_the_account_whose_user_it_was_about(play: Play) -> None:
    member = user_id(play, "member")
    with recorded(play, play.alder.id, ("sign_in.denied", None, member, "A sign-in was refused")):
        play.nobody.mutate("signIn", ANSWER, email=MEMBER, password="wrong")
    assert deployment_events(play)[-1][0] != "sign_in.denied"


def test_a_refused_sign_in_for_an_unknown_address_is_told_to_the_provider_without_the_address(play: Play) -> None:
    before = events(play, play.alder.id)
    play.nobody.mutate("signIn", ANSWER, email="unknown@alder.example", password="wrong")
    assert deployment_events(play)[-1] == (
        "sign_in.denied",
        None,
        None,
        "A sign-in for an unknown address was refused",
    )
    assert events(play, play.alder.id) == before


def test_a_session_ends_at_its_expiry_to_the_millisecond(play: Play) -> None:
    client = play.server.client(sign_in(play)["sessionToken"])
    play.clock.advance(hours=12, milliseconds=-1)
    assert may_ask(client)
    play.clock.advance(milliseconds=1)
    assert not may_ask(client)


def test_who_signs_out_is_signed_out_in_that_session_only(play: Play) -> None:
    other = play.server.client(sign_in(play)["sessionToken"])
    member = user_id(play, "member")
    with recorded(play, play.alder.id, ("session.ended", member, member, "Signed out")):
        assert play.member.data("mutation { signOut { userErrors { code } } }") == {"userErrors": []}
    assert not may_ask(play.member)
    assert may_ask(other)


def test_nobody_signs_out_twice(play: Play) -> None:
    sign_out = "mutation { signOut { userErrors { code } } }"
    play.member.data(sign_out)
    with play.rows.unchanged():
        assert play.member.error_code(sign_out) == "UNAUTHENTICATED"
        assert play.nobody.error_code(sign_out) == "UNAUTHENTICATED"


def test_a_deactivated_user_is_signed_out_everywhere_at_once(play: Play) -> None:
    member = play.alder.users["member"]
    play.rows.set("users", member, "status = 'DEACTIVATED'")
    assert not may_ask(play.member)
    assert may_ask(play.administrator)
    play.rows.set("users", member, "status = 'ACTIVE'")
    assert may_ask(play.member)


def test_everybody_of_a_suspended_account_is_signed_out_at_once(play: Play) -> None:
    play.rows.set("accounts", play.alder.id, "status = 'SUSPENDED'")
    assert not any(may_ask(client) for client in (play.administrator, play.member, play.auditor))
    assert all(may_ask(client) for client in (play.operator, play.other_administrator))


def test_a_session_token_is_kept_as_a_hash_only(play: Play) -> None:
    token = sign_in(play)["sessionToken"]
    assert token.startswith("sealkey_session_")
    assert len(token) == len("sealkey_session_") + 43
    assert token[16:] not in repr(play.rows.dump())


PERMISSIONS = {
    "operator": "MANAGE_ACCOUNTS MANAGE_USERS READ_USERS MANAGE_POLICY MANAGE_GATEWAYS READ_GATEWAYS MANAGE_WEBHOOKS "
    "READ_WEBHOOKS VET_IDENTITIES SUBMIT_IDENTITIES READ_IDENTITIES MANAGE_SERVICES READ_SERVICES READ_CREDENTIALS "
    "MANAGE_ALL_CREDENTIALS READ_AUDIT_LOG VERIFY_CREDENTIALS",
    "administrator": "MANAGE_USERS READ_USERS MANAGE_POLICY MANAGE_GATEWAYS READ_GATEWAYS MANAGE_WEBHOOKS "
    "READ_WEBHOOKS SUBMIT_IDENTITIES READ_IDENTITIES READ_SERVICES READ_CREDENTIALS MANAGE_ALL_CREDENTIALS "
    "READ_AUDIT_LOG",
    "member": "SUBMIT_IDENTITIES READ_IDENTITIES READ_SERVICES READ_CREDENTIALS GENERATE_CREDENTIALS "
    "MANAGE_OWN_CREDENTIALS",
    "member_without_access": "SUBMIT_IDENTITIES",
    "auditor": "READ_USERS READ_GATEWAYS READ_WEBHOOKS READ_IDENTITIES READ_SERVICES READ_CREDENTIALS READ_AUDIT_LOG",
}


@pytest.mark.parametrize("who", PERMISSIONS)
def test_everybody_sees_who_they_are_and_what_they_may_do(shared_play: Play, who: str) -> None:
    viewer = getattr(shared_play, who).data("{ viewer { role account { id name } user { id role } permissions } }")
    role = who.partition("_")[0].upper()
    assert (viewer["role"], viewer["user"]["role"]) == (role, role)
    if who == "operator":
        assert viewer["account"] is None
    else:
        assert viewer["account"] == {"id": shared_play.alder.id, "name": "Alder"}
        assert viewer["user"]["id"] == shared_play.alder.users[who]
    assert viewer["permissions"] == PERMISSIONS[who].split()
