"""What is told of is told in no circle: nobody waits for somebody who waits for them."""

from tests.life.test_concurrency import Call, at_once
from tests.webhooks.conftest import Hooks


def test_a_user_who_signs_out_while_being_deactivated_waits_in_no_circle(hooks: Hooks) -> None:
    hooks.subscribe("CREDENTIAL_BLOCKED")
    user = {"userId": hooks.play.alder.users["member"]}
    for turn in range(3):
        sessions = [hooks.sign_in("member") for _ in range(8)]
        calls: list[Call] = [(session, "signOut", None) for session in sessions]
        calls.insert(turn % 8, (hooks.play.operator, "deactivateUser", user))
        outcomes = at_once(*calls)
        assert {code for codes in outcomes for code in codes} <= {"UNAUTHENTICATED"}
        hooks.play.operator.do("reactivateUser", "user { id }", **user)
