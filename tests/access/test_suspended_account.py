"""While an account is suspended it is as if nobody and nothing of it were there; then all is as it was."""

import pytest

from tests.access.stage import IN_A_MONTH
from tests.support.server import Client
from tests.support.world import PASSWORD, Play

VIEWER = "{ viewer { role } }"
SIGN_IN = {"email": "administrator@alder.example", "password": PASSWORD}
PEOPLE = ["administrator", "member", "member_without_access", "auditor"]


@pytest.fixture
def keys(play: Play) -> dict[str, str]:
    delivery = play.generate("ci")["delivery"]
    return {key: delivery[key] for key in ("apiKey", "apiSecret")}


def gateway(play: Play, maker: Client, **given: str) -> Client:
    made = maker.do("createGatewayToken", "token", name="gateway", expiresAt=IN_A_MONTH, **given)
    return play.server.client(made["token"])


def script(play: Play) -> Client:
    wanted = {"name": "script", "permissions": ["READ_CREDENTIALS"], "expiresAt": IN_A_MONTH}
    return play.server.client(play.member.do("createPersonalAccessToken", "token", **wanted)["token"])


def test_sessions_tokens_and_gateways_of_it_stop_with_the_next_request_and_go_on_after_it(
    play: Play, keys: dict[str, str]
) -> None:
    people = [getattr(play, person) for person in PEOPLE]
    token, own_gateway = script(play), gateway(play, play.administrator)
    of_operator = gateway(play, play.operator, accountId=play.alder.id)
    verify = "mutation ($input: VerifyCredentialInput!) { verifyCredential(input: $input) { code } }"

    play.operator.do("suspendAccount", "account { status }", accountId=play.alder.id)
    assert [client.error_code(VIEWER) for client in [*people, token]] == ["UNAUTHENTICATED"] * 5
    assert [each.error_code(verify, input=keys) for each in (own_gateway, of_operator)] == ["UNAUTHENTICATED"] * 2

    play.operator.do("reinstateAccount", "account { status }", accountId=play.alder.id)
    assert [client.data(VIEWER)["role"] for client in [*people, token]] == [
        "ADMINISTRATOR",
        "MEMBER",
        "MEMBER",
        "AUDITOR",
        "MEMBER",
    ]
    assert [each.data(verify, input=keys)["code"] for each in (own_gateway, of_operator)] == ["OK"] * 2


def test_nobody_of_it_signs_in_or_accepts_an_invitation_until_it_is_reinstated(play: Play) -> None:
    made = play.administrator.do(
        "createUser", "invitationToken", email="new@alder.example", displayName="New", role="AUDITOR"
    )
    invitation = {"invitationToken": made["invitationToken"], "password": PASSWORD}

    play.operator.do("suspendAccount", "account { status }", accountId=play.alder.id)
    assert play.nobody.refusals("signIn", "sessionToken", **SIGN_IN) == [("INVALID_CREDENTIALS", None)]
    assert play.nobody.refusals("acceptInvitation", "sessionToken", **invitation) == [
        ("NOT_FOUND", ["invitationToken"])
    ]

    play.operator.do("reinstateAccount", "account { status }", accountId=play.alder.id)
    assert play.nobody.do("signIn", "sessionToken", **SIGN_IN)["sessionToken"]
    assert play.nobody.do("acceptInvitation", "sessionToken", **invitation)["sessionToken"]


def test_its_credentials_are_let_in_nowhere_until_it_is_reinstated(play: Play, keys: dict[str, str]) -> None:
    everywhere = gateway(play, play.operator)
    asked = "decision code credential { usable blockers account { status } }"

    play.operator.do("suspendAccount", "account { status }", accountId=play.alder.id)
    verdict = everywhere.do("verifyCredential", asked, **keys)
    assert verdict == {
        "decision": "DENY",
        "code": "ACCOUNT_SUSPENDED",
        "credential": {"usable": False, "blockers": ["ACCOUNT_SUSPENDED"], "account": {"status": "SUSPENDED"}},
        "userErrors": [],
    }
    assert play.nobody.refusals("login", "accessToken", **keys) == [("ACCOUNT_SUSPENDED", None)]

    play.operator.do("reinstateAccount", "account { status }", accountId=play.alder.id)
    assert everywhere.do("verifyCredential", asked, **keys)["code"] == "OK"
    assert play.nobody.do("login", "scope", **keys)["scope"] == "certificates"


def test_other_accounts_and_the_provider_s_staff_notice_nothing(play: Play) -> None:
    play.operator.do("suspendAccount", "account { status }", accountId=play.alder.id)

    assert play.other_administrator.data(VIEWER) == {"role": "ADMINISTRATOR"}
    assert play.operator.data(VIEWER) == {"role": "OPERATOR"}
    status = "query ($id: ID!) { node(id: $id) { ... on Account { status } } }"
    assert play.operator.data(status, id=play.alder.id) == {"status": "SUSPENDED"}


def test_suspending_twice_and_reinstating_twice_are_conflicts(play: Play) -> None:
    account = {"accountId": play.alder.id}

    assert play.operator.refusals("reinstateAccount", "account { id }", **account) == [("CONFLICT", ["accountId"])]
    play.operator.do("suspendAccount", "account { id }", **account)
    assert play.operator.refusals("suspendAccount", "account { id }", **account) == [("CONFLICT", ["accountId"])]


def test_the_account_s_own_audit_log_tells_of_it_and_not_who_of_the_provider_it_was(play: Play) -> None:
    play.operator.do("suspendAccount", "account { id }", accountId=play.alder.id)
    play.operator.do("reinstateAccount", "account { id }", accountId=play.alder.id)

    asked = "query ($filter: AuditEventFilter) { auditEvents(filter: $filter) { nodes { type actor { id } summary } } }"
    events = play.administrator.data(asked, filter={"subjectId": play.alder.id})["nodes"]
    for done in ("suspended", "reinstated"):
        (event,) = [each for each in events if each["type"] == f"account.{done}"]
        assert event["actor"] is None
        assert event["summary"] == f"Account Alder was {done} (by the provider)"
