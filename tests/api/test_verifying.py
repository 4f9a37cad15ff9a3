"""What a gateway asks: is this key and secret to be let in, now?"""

from typing import Any
from uuid import UUID, uuid4

import pytest

from auth.crypto.secret import Secret
from auth.principal import Principal
from models.user import Role, User
from resolvers.caller import Caller, Deployment
from resolvers.check_credential import DecisionCode, Question, Verdict, verify_credential, verify_credentials
from tests.api.test_logging_in import REFUSED, SERVICE_MAY_NOT_BE_USED, wrong_keys
from tests.support.rows import row_id
from tests.support.world import Play

ANSWER = "decision code credential { id name blockers }"
MANY = """mutation ($input: VerifyCredentialsInput!) { verifyCredentials(input: $input) {
    results { decision code credential { name } } userErrors { code }
} }"""
CODES = {
    "revoked": "REVOKED",
    "expired": "EXPIRED",
    "access removed": "OWNER_ACCESS_REMOVED",
    "owner deactivated": "OWNER_DEACTIVATED",
    "account suspended": "ACCOUNT_SUSPENDED",
    "identity suspended": "IDENTITY_NOT_ACTIVE",
    "identity expired": "IDENTITY_NOT_ACTIVE",
}
SERVICE_CODES = {
    "not started": "SERVICE_NOT_STARTED",
    "expired": "SERVICE_EXPIRED",
    "suspended": "SERVICE_SUSPENDED",
    "cancelled": "SERVICE_CANCELLED",
}


def verify(play: Play, keys: dict[str, str], **more: Any) -> tuple[str, str]:
    answer = play.operator.do("verifyCredential", ANSWER, **keys, **more)
    return answer["decision"], answer["code"]


def test_a_right_secret_is_let_in_and_the_gateway_learns_whose_it_is(play: Play) -> None:
    generated = play.generate("ci")
    keys = {key: generated["delivery"][key] for key in ("apiKey", "apiSecret")}
    assert play.operator.do("verifyCredential", ANSWER, **keys) == {
        "decision": "ALLOW",
        "code": "OK",
        "credential": {"id": generated["credential"]["id"], "name": "ci", "blockers": []},
        "userErrors": [],
    }


def test_checking_writes_nothing(play: Play) -> None:
    keys = play.keys()
    with play.rows.unchanged():
        verify(play, keys)
        verify(play, {**keys, "apiSecret": "wrong"})


def test_a_wrong_key_and_a_wrong_secret_are_answered_alike_and_say_nothing_of_the_credential(play: Play) -> None:
    right, others = play.keys("right"), play.keys("other")
    denied: dict[str, Any] = {"decision": "DENY", "code": "INVALID_CREDENTIALS", "credential": None, "userErrors": []}
    answers = {
        name: play.operator.do("verifyCredential", ANSWER, **keys) for name, keys in wrong_keys(right, others).items()
    }
    assert answers == dict.fromkeys(answers, denied)


@pytest.mark.parametrize("why", CODES)
def test_with_the_right_secret_the_reason_is_told(play: Play, why: str) -> None:
    keys = play.keys()
    REFUSED[why][0](play)
    assert verify(play, keys) == ("DENY", CODES[why])
    assert verify(play, {**keys, "apiSecret": keys["apiSecret"][:-1]}) == ("DENY", "INVALID_CREDENTIALS")


@pytest.mark.parametrize("why", SERVICE_CODES)
def test_a_service_that_may_not_be_used_denies(play: Play, why: str) -> None:
    keys = play.keys()
    SERVICE_MAY_NOT_BE_USED[why](play)
    assert verify(play, keys) == ("DENY", SERVICE_CODES[why])
    assert verify(play, keys, service="timestamps") == ("DENY", SERVICE_CODES[why])


def test_of_several_reasons_the_first_is_told_and_all_are_shown(play: Play) -> None:
    keys = play.keys()
    for step in ("suspendService", "cancelService"):
        play.operator.do(step, "service { id }", serviceId=play.alder.services["certificates"])
    play.operator.do("suspendIdentity", "identity { id }", identityId=play.alder.identities["active"])
    member = play.alder.users["member"]
    play.rows.set("users", member, "status = 'DEACTIVATED', api_access = false")
    play.rows.set("accounts", play.alder.id, "status = 'SUSPENDED'")
    answer = play.operator.do("verifyCredential", ANSWER, **keys)
    assert answer["code"] == "OWNER_ACCESS_REMOVED"
    assert answer["credential"]["blockers"] == [
        "OWNER_ACCESS_REMOVED",
        "OWNER_DEACTIVATED",
        "ACCOUNT_SUSPENDED",
        "IDENTITY_NOT_ACTIVE",
        "SERVICE_SUSPENDED",
        "SERVICE_CANCELLED",
    ]
    play.operator.do("revokeCredential", "credential { id }", credentialId=answer["credential"]["id"])
    assert verify(play, keys) == ("DENY", "REVOKED")


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("certificates", ("ALLOW", "OK")),
        (None, ("ALLOW", "OK")),
        ("timestamps", ("DENY", "WRONG_SERVICE")),
        ("Certificates", ("DENY", "WRONG_SERVICE")),
        ("certificates ", ("DENY", "WRONG_SERVICE")),
        ("", ("DENY", "WRONG_SERVICE")),
    ],
)
def test_a_service_that_is_required_is_that_of_the_credential(
    play: Play, service: str | None, expected: tuple[str, str]
) -> None:
    assert verify(play, play.keys(), service=service) == expected


def test_a_moved_credential_is_let_in_for_its_new_service_only(play: Play) -> None:
    generated = play.generate("ci")
    keys = {key: generated["delivery"][key] for key in ("apiKey", "apiSecret")}
    play.member.do(
        "reassociateCredential",
        "credential { id }",
        credentialId=generated["credential"]["id"],
        serviceId=play.alder.services["timestamps"],
    )
    assert verify(play, keys, service="timestamps") == ("ALLOW", "OK")
    assert verify(play, keys, service="certificates") == ("DENY", "WRONG_SERVICE")


# ---------------------------------------------------------------- several at once


def test_several_are_answered_in_the_order_asked(play: Play) -> None:
    one, two = play.keys("one"), play.keys("two")
    wrong = {**one, "apiSecret": two["apiSecret"]}
    questions = [two, wrong, {**one, "service": "timestamps"}, one, two]
    results = play.operator.data(MANY, input={"credentials": questions})["results"]
    assert [
        (each["decision"], each["code"], each["credential"] and each["credential"]["name"]) for each in results
    ] == [
        ("ALLOW", "OK", "two"),
        ("DENY", "INVALID_CREDENTIALS", None),
        ("DENY", "WRONG_SERVICE", "one"),
        ("ALLOW", "OK", "one"),
        ("ALLOW", "OK", "two"),
    ]


def test_none_are_answered_with_none(shared_play: Play) -> None:
    answer = shared_play.operator.data(MANY, input={"credentials": []})
    assert answer == {"results": [], "userErrors": []}


def test_a_hundred_are_answered_and_one_more_is_too_many(shared_play: Play) -> None:
    question = {"apiKey": f"sealkey_key_{'a' * 16}", "apiSecret": "wrong"}
    hundred = shared_play.operator.data(MANY, input={"credentials": [question] * 100})["results"]
    assert [each["code"] for each in hundred] == ["INVALID_CREDENTIALS"] * 100
    assert shared_play.operator.error_code(MANY, input={"credentials": [question] * 101}) == "BAD_USER_INPUT"


# ---------------------------------------------------------------- a gateway of one account


def test_a_gateway_of_one_account_is_told_nothing_of_anothers_credentials(play: Play) -> None:
    """Nobody signs in as a gateway yet, so the use case itself is asked."""
    keys = play.keys()
    question = Question(keys["apiKey"], Secret(keys["apiSecret"]))

    async def ask(deployment: Deployment, account_id: str) -> Verdict:
        user = User(id=uuid4(), account_id=UUID(row_id(account_id)), role=Role.GATEWAY)
        caller = Caller(Principal(user, uuid4()), None, deployment.clock(), deployment)
        (verdict,) = await verify_credentials(caller, [question])
        assert verdict == await verify_credential(caller, question)
        return verdict

    own = play.server.run(lambda deployment: ask(deployment, play.alder.id))
    anothers = play.server.run(lambda deployment: ask(deployment, play.birch.id))
    assert own.code is DecisionCode.OK
    assert anothers == Verdict(DecisionCode.INVALID_CREDENTIALS, None)
