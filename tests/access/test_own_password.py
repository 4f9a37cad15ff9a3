"""Changing one's password, and signing out everywhere."""

import pytest

from tests.access.stage import Newcomer, Stage
from tests.access.tables import Tables, changes
from tests.support.server import Client
from tests.support.world import PASSWORD, Play

NEW = "wrong donkey cell paper clip"
VIEWER = "{ viewer { user { email } } }"


@pytest.fixture
def somebody(stage: Stage) -> Newcomer:
    return stage.newcomer(stage.play.alder, "AUDITOR")


def sign_in(play: Play, email: str, password: str = PASSWORD) -> Client:
    signed_in = play.nobody.do("signIn", "sessionToken", email=email, password=password)
    return play.server.client(signed_in["sessionToken"])


def test_a_changed_password_ends_every_session_and_is_the_only_one_from_then_on(
    stage: Stage, somebody: Newcomer
) -> None:
    elsewhere = sign_in(stage.play, somebody.email)

    somebody.client.do("changePassword", "", currentPassword=PASSWORD, newPassword=NEW)
    assert [client.error_code(VIEWER) for client in (somebody.client, elsewhere)] == ["UNAUTHENTICATED"] * 2
    old = {"email": somebody.email, "password": PASSWORD}
    assert stage.play.nobody.refusals("signIn", "sessionToken", **old) == [("INVALID_CREDENTIALS", None)]
    assert sign_in(stage.play, somebody.email, NEW).data(VIEWER)["user"]["email"] == somebody.email


def test_a_wrong_current_password_changes_nothing_and_is_in_the_audit_log(
    stage: Stage, tables: Tables, somebody: Newcomer
) -> None:
    before = tables.dump()
    refusals = somebody.client.refusals("changePassword", "", currentPassword=f"{PASSWORD}!", newPassword=NEW)

    assert refusals == [("INVALID_CREDENTIALS", ["currentPassword"])]
    changed = changes(before, tables.dump())
    assert set(changed) == {"audit_events", "audit_chains", "throttles"}
    (_, (event,)) = changed["audit_events"]
    assert event["type"] == "sign_in.denied"
    assert somebody.id.endswith(event["subject_id"].partition("_")[2])
    assert somebody.client.data(VIEWER)["user"]["email"] == somebody.email


@pytest.mark.parametrize("password", ["", "elevenchars", "x" * 1025])
def test_a_new_password_that_is_too_short_or_too_long_is_refused_before_the_old_one_is_tried(
    tables: Tables, somebody: Newcomer, password: str
) -> None:
    before = tables.dump()

    assert somebody.client.refusals("changePassword", "", currentPassword="wrong", newPassword=password) == [
        ("INVALID", ["newPassword"])
    ]
    assert changes(before, tables.dump()) == {}


def test_guessing_at_the_current_password_has_to_wait_and_so_has_then_who_knows_it(somebody: Newcomer) -> None:
    change = "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { userErrors { code } } }"
    guess = {"currentPassword": f"{PASSWORD}!", "newPassword": NEW}
    answers = [somebody.client.execute(change, input=guess) for _ in range(9)]

    assert ["errors" in answer for answer in answers] == [False] * 8 + [True]
    assert answers[8]["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert answers[8]["errors"][0]["extensions"]["retryAfterSeconds"] > 0
    assert somebody.client.error_code(change, input={**guess, "currentPassword": PASSWORD}) == "RATE_LIMITED"


def test_signing_out_everywhere_ends_every_session_of_one_s_own_and_nobody_else_s(
    stage: Stage, somebody: Newcomer
) -> None:
    elsewhere = sign_in(stage.play, somebody.email)

    payload = somebody.client.data("mutation { signOutEverywhere { userErrors { code } } }")
    assert payload == {"userErrors": []}
    assert [client.error_code(VIEWER) for client in (somebody.client, elsewhere)] == ["UNAUTHENTICATED"] * 2
    assert stage.mine.colleague.client.data(VIEWER)["user"]["email"] == stage.mine.colleague.email
    assert sign_in(stage.play, somebody.email).data(VIEWER)["user"]["email"] == somebody.email


def test_signing_out_ends_this_session_and_no_other(stage: Stage, somebody: Newcomer) -> None:
    elsewhere = sign_in(stage.play, somebody.email)

    somebody.client.data("mutation { signOut { userErrors { code } } }")
    assert somebody.client.error_code(VIEWER) == "UNAUTHENTICATED"
    assert elsewhere.data(VIEWER)["user"]["email"] == somebody.email
