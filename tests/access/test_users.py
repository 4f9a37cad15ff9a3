"""What becomes of users, and that it holds from the very next request on."""

from typing import Any

import pytest

from tests.access.stage import IN_A_MONTH, Newcomer, Stage
from tests.support.server import Client
from tests.support.world import PASSWORD

USER = "user { id email displayName role status apiAccess account { id } }"


@pytest.fixture
def administrator(stage: Stage) -> Client:
    return stage.clients["administrator"]


@pytest.fixture
def member(stage: Stage) -> Newcomer:
    """A member with API access, signed in."""
    return stage.newcomer(stage.play.alder, "MEMBER", api_access=True)


def test_a_new_user_can_not_sign_in_before_the_invitation_is_accepted_and_it_is_good_once(
    stage: Stage, administrator: Client
) -> None:
    made = administrator.do(
        "createUser",
        f"{USER} invitationToken",
        email=" New.One@Alder.example",
        displayName="New One",
        role="MEMBER",
        apiAccess=True,
    )
    assert made["user"] == {
        "id": made["user"]["id"],
        "email": "new.one@alder.example",
        "displayName": "New One",
        "role": "MEMBER",
        "status": "ACTIVE",
        "apiAccess": True,
        "account": {"id": stage.mine.ids["Account"]},
    }
    keys = {"email": "new.one@alder.example", "password": PASSWORD}
    nobody = stage.play.nobody
    assert nobody.refusals("signIn", "sessionToken", **keys) == [("INVALID_CREDENTIALS", None)]

    invitation = {"invitationToken": made["invitationToken"], "password": PASSWORD}
    accepted = nobody.do("acceptInvitation", "sessionToken viewer { user { id } }", **invitation)
    assert accepted["viewer"]["user"]["id"] == made["user"]["id"]
    assert nobody.do("signIn", "viewer { user { id } }", **keys)["viewer"] == accepted["viewer"]
    assert nobody.refusals("acceptInvitation", "sessionToken", **invitation) == [("NOT_FOUND", ["invitationToken"])]


def test_a_user_has_a_new_role_s_permissions_from_the_next_request_on(administrator: Client, member: Newcomer) -> None:
    assert member.client.error_code("{ users { totalCount } }") == "FORBIDDEN"

    changed = administrator.do("setUserRole", USER, userId=member.id, role="ADMINISTRATOR")
    assert changed["user"]["role"] == "ADMINISTRATOR"
    assert member.client.data("{ users { totalCount } }")["totalCount"] > 1

    administrator.do("setUserRole", USER, userId=member.id, role="AUDITOR")
    assert _code(member.client, "grantApiAccess", userId=member.id) == "FORBIDDEN"
    assert member.client.data("{ viewer { role } }") == {"role": "AUDITOR"}


def test_a_token_has_no_more_than_its_owner_s_role_has_now(
    stage: Stage, administrator: Client, member: Newcomer
) -> None:
    token = stage.play.server.client(stage.token(member.client, ["READ_CREDENTIALS", "GENERATE_CREDENTIALS"])["token"])
    assert _permissions(token) == ["READ_CREDENTIALS", "GENERATE_CREDENTIALS"]

    administrator.do("setUserRole", USER, userId=member.id, role="AUDITOR")
    assert _permissions(token) == ["READ_CREDENTIALS"]
    administrator.do("setUserRole", USER, userId=member.id, role="MEMBER")
    administrator.do("removeApiAccess", USER, userId=member.id)
    assert _permissions(token) == []


def test_without_api_access_a_member_sees_and_does_nothing_with_credentials_and_theirs_are_let_in_nowhere(
    stage: Stage, administrator: Client, member: Newcomer
) -> None:
    made = stage.credential(member.client, stage.play.alder, stage.unique("credential"))
    keys = _keys(made)
    assert _verdict(stage, keys) == "OK"

    assert administrator.do("removeApiAccess", USER, userId=member.id)["user"]["apiAccess"] is False
    assert _verdict(stage, keys) == "OWNER_ACCESS_REMOVED"
    assert stage.play.nobody.refusals("login", "accessToken", **keys) == [("API_ACCESS_REMOVED", None)]
    assert member.client.error_code("{ credentials { totalCount } }") == "FORBIDDEN"
    assert member.client.refusals("revealApiKey", "apiKey", credentialId=made["credential"]["id"]) == [
        ("API_ACCESS_REMOVED", None)
    ]

    assert administrator.do("grantApiAccess", USER, userId=member.id)["user"]["apiAccess"] is True
    assert _verdict(stage, keys) == "OK"
    assert stage.play.nobody.do("login", "scope", **keys)["scope"] == "certificates"
    assert member.client.data("{ credentials { totalCount } }") == {"totalCount": 1}


def test_credentials_belong_to_members_and_block_while_their_owner_is_something_else(
    stage: Stage, administrator: Client, member: Newcomer
) -> None:
    keys = _keys(stage.credential(member.client, stage.play.alder, stage.unique("credential")))

    administrator.do("setUserRole", USER, userId=member.id, role="AUDITOR")
    assert _verdict(stage, keys) == "OWNER_ACCESS_REMOVED"
    administrator.do("setUserRole", USER, userId=member.id, role="MEMBER")
    assert _verdict(stage, keys) == "OK"


def test_who_is_deactivated_is_out_with_the_next_request_by_session_and_by_token(
    stage: Stage, administrator: Client, member: Newcomer
) -> None:
    token = stage.play.server.client(stage.token(member.client, ["READ_CREDENTIALS"])["token"])
    signed_in = {"email": member.email, "password": PASSWORD}
    elsewhere = stage.play.server.client(stage.play.nobody.do("signIn", "sessionToken", **signed_in)["sessionToken"])
    keys = _keys(stage.credential(member.client, stage.play.alder, stage.unique("credential")))
    clients = [member.client, elsewhere, token]
    assert [client.data("{ viewer { user { id } } }")["user"]["id"] for client in clients] == [member.id] * 3

    assert administrator.do("deactivateUser", USER, userId=member.id)["user"]["status"] == "DEACTIVATED"
    assert [client.error_code("{ viewer { role } }") for client in clients] == ["UNAUTHENTICATED"] * 3
    assert stage.play.nobody.refusals("signIn", "sessionToken", **signed_in) == [("INVALID_CREDENTIALS", None)]
    assert _verdict(stage, keys) == "OWNER_DEACTIVATED"
    assert stage.play.nobody.refusals("login", "accessToken", **keys) == [("OWNER_DEACTIVATED", None)]


def test_who_is_reactivated_signs_in_anew_and_old_sessions_and_tokens_stay_ended(
    stage: Stage, administrator: Client, member: Newcomer
) -> None:
    token = stage.play.server.client(stage.token(member.client, ["READ_CREDENTIALS"])["token"])
    keys = _keys(stage.credential(member.client, stage.play.alder, stage.unique("credential")))
    administrator.do("deactivateUser", USER, userId=member.id)

    assert administrator.do("reactivateUser", USER, userId=member.id)["user"]["status"] == "ACTIVE"
    assert [client.error_code("{ viewer { role } }") for client in (member.client, token)] == ["UNAUTHENTICATED"] * 2
    signed_in = stage.play.nobody.do("signIn", "viewer { user { id } }", email=member.email, password=PASSWORD)
    assert signed_in["viewer"]["user"]["id"] == member.id
    assert _verdict(stage, keys) == "OK"


def test_an_invitation_is_not_accepted_while_its_user_is_deactivated(stage: Stage, administrator: Client) -> None:
    made = stage.invite("AUDITOR", account=stage.play.alder)
    invitation = {"invitationToken": made["invitationToken"], "password": PASSWORD}
    administrator.do("deactivateUser", USER, userId=made["user"]["id"])

    assert stage.play.nobody.refusals("acceptInvitation", "sessionToken", **invitation) == [
        ("NOT_FOUND", ["invitationToken"])
    ]
    administrator.do("reactivateUser", USER, userId=made["user"]["id"])
    assert stage.play.nobody.do("acceptInvitation", "sessionToken", **invitation)["sessionToken"]


def test_a_gateway_serves_on_when_the_administrator_who_made_its_token_is_gone(
    stage: Stage, administrator: Client
) -> None:
    maker = stage.newcomer(stage.play.alder, "ADMINISTRATOR")
    made = maker.client.do("createGatewayToken", "token", name="gateway", expiresAt=IN_A_MONTH)
    gateway = stage.play.server.client(made["token"])

    administrator.do("deactivateUser", USER, userId=maker.id)
    assert gateway.do("verifyCredential", "code", **stage.mine.keys)["code"] == "OK"


def test_of_two_operators_either_may_deactivate_the_other(stage: Stage) -> None:
    another = stage.newcomer(None, "OPERATOR")

    assert stage.operator.do("deactivateUser", USER, userId=another.id)["user"]["status"] == "DEACTIVATED"
    assert another.client.error_code("{ viewer { role } }") == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("mutation", "given", "event"),
    [
        ("setUserRole", {"role": "AUDITOR"}, "user.role_set"),
        ("removeApiAccess", {}, "user.api_access_removed"),
        ("deactivateUser", {}, "user.deactivated"),
    ],
)
def test_each_change_is_in_the_audit_log_with_who_made_it_and_to_whom(
    stage: Stage, administrator: Client, member: Newcomer, mutation: str, given: dict[str, Any], event: str
) -> None:
    administrator.do(mutation, USER, userId=member.id, **given)

    events = administrator.data(
        "query ($filter: AuditEventFilter) { auditEvents(filter: $filter) { nodes { type actor { email } summary } } }",
        filter={"subjectId": member.id, "types": [event]},
    )["nodes"]
    assert [(each["type"], each["actor"]) for each in events] == [(event, {"email": "administrator@alder.example"})]
    assert member.email in events[0]["summary"]


def _permissions(client: Client) -> list[str]:
    permissions: list[str] = client.data("{ viewer { permissions } }")["permissions"]
    return permissions


def _code(client: Client, mutation: str, **given: Any) -> str:
    document = f"mutation ($input: UserInput!) {{ {mutation}(input: $input) {{ userErrors {{ code }} }} }}"
    return client.error_code(document, input=given)


def _keys(made: dict[str, Any]) -> dict[str, str]:
    return {key: made["delivery"][key] for key in ("apiKey", "apiSecret")}


def _verdict(stage: Stage, keys: dict[str, str]) -> str:
    return str(stage.clients["gateway"].do("verifyCredential", "code", **keys)["code"])
