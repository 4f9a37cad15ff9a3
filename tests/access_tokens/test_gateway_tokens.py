"""Gateway tokens: for machines that check credentials and do nothing else."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.access_tokens.asking import bearer, events, gateway, later, listed, personal, revoke, works
from tests.support.server import Client
from tests.support.world import Play

VERDICT = "decision code credential { name }"


def keys_of(play: Play, client: Client, account: str) -> dict[str, str]:
    world = getattr(play, account)
    where = {"serviceId": world.services["certificates"], "identityId": world.identities["active"]}
    delivery = play.generate(f"of_{account}", client, **where)["delivery"]
    return {name: delivery[name] for name in ("apiKey", "apiSecret")}


@pytest.fixture
def alders(play: Play) -> dict[str, str]:
    return keys_of(play, play.member, "alder")


@pytest.fixture
def birchs(play: Play) -> dict[str, str]:
    return keys_of(play, play.other_member, "birch")


def verdict(client: Client, keys: dict[str, str]) -> tuple[str, str, Any]:
    document = f"mutation ($input: VerifyCredentialInput!) {{ verifyCredential(input: $input) {{ {VERDICT} }} }}"
    found = client.data(document, input=keys)
    return found["decision"], found["code"], found["credential"] and found["credential"]["name"]


def test_a_gateway_of_an_account_checks_that_account_s_credentials_and_knows_no_others(
    play: Play, alders: dict[str, str], birchs: dict[str, str]
) -> None:
    edge = bearer(play, gateway(play, play.administrator))
    assert verdict(edge, alders) == ("ALLOW", "OK", "of_alder")
    assert verdict(edge, birchs) == ("DENY", "INVALID_CREDENTIALS", None)
    assert verdict(edge, {**alders, "apiSecret": birchs["apiSecret"]}) == ("DENY", "INVALID_CREDENTIALS", None)


def test_an_operator_s_gateway_checks_every_account_s_credentials(
    play: Play, alders: dict[str, str], birchs: dict[str, str]
) -> None:
    edge = bearer(play, gateway(play, play.operator))
    document = f"""mutation ($input: VerifyCredentialsInput!) {{
        verifyCredentials(input: $input) {{ results {{ {VERDICT} }} }}
    }}"""
    results = edge.data(document, input={"credentials": [alders, birchs]})["results"]
    assert [result["credential"]["name"] for result in results] == ["of_alder", "of_birch"]


def test_an_operator_s_gateway_for_one_account_knows_no_others(
    play: Play, alders: dict[str, str], birchs: dict[str, str]
) -> None:
    edge = bearer(play, gateway(play, play.operator, accountId=play.birch.id))
    assert verdict(edge, birchs) == ("ALLOW", "OK", "of_birch")
    assert verdict(edge, alders) == ("DENY", "INVALID_CREDENTIALS", None)


def test_an_administrator_names_no_other_account_than_their_own(play: Play) -> None:
    fields = {"name": "edge", "expiresAt": later(play.clock, days=1)}
    for account_id in (play.birch.id, "acct_" + "0" * 32, play.alder.users["member"]):
        refusals = play.administrator.refusals("createGatewayToken", "token tokenId", accountId=account_id, **fields)
        assert refusals == [("NOT_FOUND", ["accountId"])]
    own = gateway(play, play.administrator, accountId=play.alder.id)
    assert listed(play.administrator) == listed(play.operator)
    assert own["token"].startswith("sealkey_gateway_")


def test_only_who_manages_gateways_makes_one(play: Play) -> None:
    document = "mutation ($input: CreateGatewayTokenInput!) { createGatewayToken(input: $input) { token } }"
    fields = {"name": "edge", "expiresAt": later(play.clock, days=1)}
    for person in (play.member, play.member_without_access, play.auditor):
        assert person.error_code(document, input=fields) == "FORBIDDEN"
    assert play.nobody.error_code(document, input=fields) == "UNAUTHENTICATED"
    assert events(play, "token.created") == []


NOT_FOR_GATEWAYS = [
    "{ viewer { role } }",
    '{ node(id: "acct_0") { id } }',
    "{ accounts { totalCount } }",
    "{ users { totalCount } }",
    "{ accessTokens { totalCount } }",
    "{ identities { totalCount } }",
    "{ services { totalCount } }",
    "{ credentials { totalCount } }",
    "{ auditEvents { totalCount } }",
    'mutation { createPersonalAccessToken(input: {name: "x", permissions: [VERIFY_CREDENTIALS], '
    'expiresAt: "2026-02-01T00:00:00Z"}) { token } }',
    'mutation { createGatewayToken(input: {name: "x", expiresAt: "2026-02-01T00:00:00Z"}) { token } }',
    'mutation { revokePersonalAccessToken(input: {tokenId: "tok_0"}) { __typename } }',
    'mutation { revokeCredential(input: {credentialId: "cred_0"}) { __typename } }',
    'mutation { revealApiKey(input: {credentialId: "cred_0"}) { __typename } }',
    'mutation { createUser(input: {email: "a@b.example", displayName: "A", role: OPERATOR}) { __typename } }',
    'mutation { createAccount(input: {name: "Yew"}) { __typename } }',
    'mutation { changePassword(input: {currentPassword: "", newPassword: "a long enough one"}) { __typename } }',
    "mutation { signOut { __typename } }",
    "mutation { signOutEverywhere { __typename } }",
]


def test_a_gateway_does_nothing_else(play: Play) -> None:
    edge = bearer(play, gateway(play, play.operator))
    codes = {document: edge.error_code(document) for document in NOT_FOR_GATEWAYS}
    assert codes == dict.fromkeys(NOT_FOR_GATEWAYS, "FORBIDDEN")


def test_a_gateway_s_checks_tell_no_more_of_a_credential_than_it_may_see(play: Play, alders: dict[str, str]) -> None:
    edge = bearer(play, gateway(play, play.administrator))
    document = """mutation ($input: VerifyCredentialInput!) {
        verifyCredential(input: $input) { credential { name service { code credentials { totalCount } } } }
    }"""
    (error,) = edge.execute(document, input=alders)["errors"]
    assert error["extensions"]["code"] == "FORBIDDEN"


def test_the_gateways_of_an_account_are_seen_and_ended_by_its_administrators_and_by_operators(play: Play) -> None:
    alders, all_accounts = gateway(play, play.administrator), gateway(play, play.operator)
    assert [token["id"] for token in listed(play.administrator)] == [alders["tokenId"]]
    assert {token["id"] for token in listed(play.operator)} == {alders["tokenId"], all_accounts["tokenId"]}
    assert listed(play.other_administrator) == listed(play.member) == []
    for stranger, made in [
        (play.other_administrator, alders),
        (play.member, alders),
        (play.auditor, alders),
        (play.administrator, all_accounts),
    ]:
        refusals = stranger.refusals("revokePersonalAccessToken", "", tokenId=made["tokenId"])
        assert refusals == [("NOT_FOUND", ["tokenId"])]
    assert works(bearer(play, alders))
    revoke(play.operator, alders)
    assert not works(bearer(play, alders))
    assert works(bearer(play, all_accounts))


def test_a_gateway_is_listed_with_what_it_is_for_and_when_it_was_used(play: Play, alders: dict[str, str]) -> None:
    made = gateway(play, play.administrator, name="edge of Alder")
    verdict(bearer(play, made), alders)
    (token,) = listed(play.administrator)
    assert token == {
        "id": made["tokenId"],
        "kind": "GATEWAY",
        "name": "edge of Alder",
        "permissions": ["VERIFY_CREDENTIALS"],
        "account": {"name": "Alder"},
        "createdAt": "2026-01-15T12:00:00Z",
        "expiresAt": "2027-01-15T12:00:00Z",
        "revokedAt": None,
        "lastUsedAt": "2026-01-15T12:00:00Z",
    }


def test_a_gateway_works_on_when_who_made_it_has_gone(play: Play, alders: dict[str, str]) -> None:
    # A machine does not stop because somebody changed jobs: other administrators see the token and can end it.
    second = {"email": "second@alder.example", "displayName": "Second", "role": "ADMINISTRATOR"}
    play.administrator.do("createUser", "user { id }", **second)
    edge = bearer(play, gateway(play, play.administrator))
    play.operator.do("deactivateUser", "user { id }", userId=play.alder.users["administrator"])
    assert verdict(edge, alders) == ("ALLOW", "OK", "of_alder")


def test_the_gateways_of_a_suspended_account_are_refused_and_the_operator_s_says_why(
    play: Play, alders: dict[str, str]
) -> None:
    alders_edge, operators_edge = (
        bearer(play, gateway(play, play.administrator)),
        bearer(play, gateway(play, play.operator)),
    )
    play.operator.do("suspendAccount", "account { id }", accountId=play.alder.id)
    assert not works(alders_edge)
    assert verdict(operators_edge, alders) == ("DENY", "ACCOUNT_SUSPENDED", "of_alder")


def test_a_gateway_s_token_ends_at_its_expiry_within_five_years(play: Play) -> None:
    fields = {"name": "edge", "expiresAt": later(play.clock, days=1830, milliseconds=1)}
    refusals = play.administrator.refusals("createGatewayToken", "token tokenId", **fields)
    assert refusals == [("INVALID", ["expiresAt"])]
    edge = bearer(play, gateway(play, play.administrator, expiresAt=later(play.clock, days=1830)))
    play.clock.advance(days=1830, milliseconds=-1)
    assert works(edge)
    play.clock.advance(milliseconds=1)
    assert not works(edge)


def test_a_gateway_s_name_is_one_that_can_be_shown(play: Play) -> None:
    for name, code in (("", "REQUIRED"), ("x" * 65, "INVALID"), ("a\nb", "INVALID")):
        fields = {"name": name, "expiresAt": later(play.clock, days=1)}
        refusals = play.administrator.refusals("createGatewayToken", "token tokenId", **fields)
        assert refusals == [(code, ["name"])]


def test_a_personal_token_that_may_verify_is_an_operator_s_and_does_that_alone(
    play: Play, alders: dict[str, str]
) -> None:
    script = bearer(play, personal(play, play.operator, "VERIFY_CREDENTIALS"))
    assert verdict(script, alders) == ("ALLOW", "OK", "of_alder")
    assert script.error_code("{ credentials { totalCount } }") == "FORBIDDEN"


def make(play: Play, maker: Client, number: int) -> list[str]:
    """The codes with which some of so many new gateway tokens were refused."""
    expires_at = later(play.clock, days=1)
    fields = " ".join(
        f'a{each}: createGatewayToken(input: {{name: "edge", expiresAt: "{expires_at}"}}) {{ userErrors {{ code }} }}'
        for each in range(number)
    )
    payloads = maker.execute(f"mutation {{ {fields} }}")["data"].values()
    return [error["code"] for payload in payloads for error in payload["userErrors"]]


@pytest.mark.parametrize("maker", ["administrator", "operator"])
def test_there_are_fifty_at_most_however_many_ask_at_once_for_the_last_place(play: Play, maker: str) -> None:
    client = getattr(play, maker)
    assert [make(play, client, number) for number in (17, 17, 15)] == [[], [], []]
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(make, play, client, 1) for _ in range(8)]
    assert [code for each in asked for code in each.result()] == ["LIMIT_REACHED"] * 7
    assert make(play, play.other_administrator, 1) == []
