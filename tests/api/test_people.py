"""New accounts, new users, and the invitations by which they come in."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.support.audit import deployment_events, events, recorded, user_id
from tests.support.server import Client
from tests.support.world import PASSWORD, Play

ACCEPTED = "sessionToken expiresAt viewer { role user { email } account { id } }"


def invite(play: Play, client: Client | None = None, **fields: Any) -> Any:
    wanted = {"email": "new@alder.example", "displayName": "New", "role": "MEMBER", **fields}
    return (client or play.administrator).do(
        "createUser", "user { id email displayName role status apiAccess account { id } } invitationToken", **wanted
    )


def refusals(client: Client, **fields: Any) -> list[tuple[str, list[str] | None]]:
    wanted = {"email": "new@alder.example", "displayName": "New", "role": "MEMBER", **fields}
    return client.refusals("createUser", "user { id } invitationToken", **wanted)


def accept(play: Play, token: str, password: str = PASSWORD) -> Any:
    return play.nobody.do("acceptInvitation", ACCEPTED, invitationToken=token, password=password)


def accept_refusals(play: Play, token: str, password: str = PASSWORD) -> list[tuple[str, list[str] | None]]:
    return play.nobody.refusals("acceptInvitation", ACCEPTED, invitationToken=token, password=password)


# ---------------------------------------------------------------- accounts


def test_a_new_account_has_the_default_policy_and_a_log_that_begins_with_it(play: Play) -> None:
    made = play.operator.do(
        "createAccount",
        """account { id name status createdAt policy {
            maxActiveCredentialsPerUser defaultExpiryMonths neverExpiresAllowed allowedDeliveryMethods
            minimumRsaKeyBits
        } }""",
        name="Cedar",
    )["account"]
    account_id = made.pop("id")
    assert made == {
        "name": "Cedar",
        "status": "ACTIVE",
        "createdAt": "2026-01-15T12:00:00Z",
        "policy": {
            "maxActiveCredentialsPerUser": 2,
            "defaultExpiryMonths": 12,
            "neverExpiresAllowed": False,
            "allowedDeliveryMethods": ["VIEW_AND_COPY", "ENCRYPTED_FILE"],
            "minimumRsaKeyBits": 2048,
        },
    }
    (event,) = events(play, account_id)
    assert (event.sequence, event.type, event.subject) == (1, "account.created", account_id)
    assert (event.actor, event.summary) == (user_id(play), "Account Cedar was created (by the provider)")


@pytest.mark.parametrize(
    ("name", "code"),
    [("", "REQUIRED"), (" \t", "REQUIRED"), ("x" * 201, "INVALID"), ("a\nb", "INVALID"), ("Alder", "TAKEN")],
)
def test_an_account_with_a_wrong_name_is_refused(shared_play: Play, name: str, code: str) -> None:
    with shared_play.rows.unchanged():
        assert shared_play.operator.refusals("createAccount", "account { id }", name=name) == [(code, ["name"])]


def test_of_two_accounts_of_one_name_made_at_once_one_is_made(play: Play) -> None:
    document = """mutation { a: createAccount(input: {name: "Cedar"}) { ...P } b: createAccount(input: {name: "Cedar"})
        { ...P } } fragment P on AccountPayload { account { name } userErrors { code field } }"""
    answers = asyncio.run(at_once(play.operator, [document] * 5))
    payloads = [payload for answer in answers for payload in answer["data"].values()]
    assert sorted(bool(payload["account"]) for payload in payloads) == [False] * 9 + [True]
    refused = [payload["userErrors"] for payload in payloads if not payload["account"]]
    assert refused == [[{"code": "TAKEN", "field": ["name"]}]] * 9


async def at_once(client: Client, documents: list[str]) -> list[Any]:
    async with httpx.AsyncClient(verify=False, headers=client.headers) as http:
        requests = (http.post(f"{client.url}/graphql", json={"query": document}) for document in documents)
        return [response.json() for response in await asyncio.gather(*requests)]


# ---------------------------------------------------------------- users


@pytest.mark.parametrize("role", ["ADMINISTRATOR", "MEMBER", "AUDITOR"])
def test_an_administrator_adds_users_to_the_own_account(play: Play, role: str) -> None:
    with_new = invite(play, email=" New@Alder.Example", role=role, apiAccess=role == "MEMBER")["user"]
    new_id = with_new.pop("id")
    assert with_new == {
        "email": "new@alder.example",
        "displayName": "New",
        "role": role,
        "status": "ACTIVE",
        "apiAccess": role == "MEMBER",
        "account": {"id": play.alder.id},
    }
    newest = events(play, play.alder.id)[-1]
    assert (newest.type, newest.actor, newest.subject) == ("user.created", play.alder.users["administrator"], new_id)
    assert newest.summary == f"User new@alder.example was created as {role}"


def test_an_operator_adds_users_to_any_account(play: Play) -> None:
    added = invite(play, play.operator, accountId=play.birch.id, role="ADMINISTRATOR")
    assert added["user"]["account"] == {"id": play.birch.id}
    newest = events(play, play.birch.id)[-1]
    assert newest.summary == "User new@alder.example was created as ADMINISTRATOR (by the provider)"


def test_an_operator_adds_operators_who_belong_to_no_account(play: Play) -> None:
    added = invite(play, play.operator, email="new@provider.example", role="OPERATOR")
    assert added["user"]["account"] is None
    assert deployment_events(play)[-1][0] == "user.created"
    viewer = accept(play, added["invitationToken"])["viewer"]
    assert viewer == {"role": "OPERATOR", "user": {"email": "new@provider.example"}, "account": None}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"email": ""}, [("INVALID", ["email"])]),
        ({"email": "new"}, [("INVALID", ["email"])]),
        ({"email": "@alder.example"}, [("INVALID", ["email"])]),
        ({"email": "new@"}, [("INVALID", ["email"])]),
        ({"email": "new@a..b"}, [("INVALID", ["email"])]),
        ({"email": "new@alder.example, other@alder.example"}, [("INVALID", ["email"])]),
        ({"email": "new\n@alder.example"}, [("INVALID", ["email"])]),
        ({"email": "new@" + "a" * 250 + ".example"}, [("INVALID", ["email"])]),
        ({"email": "member@alder.example"}, [("TAKEN", ["email"])]),
        ({"email": "MEMBER@alder.example"}, [("TAKEN", ["email"])]),
        ({"displayName": " "}, [("REQUIRED", ["displayName"])]),
        ({"displayName": "x" * 201}, [("INVALID", ["displayName"])]),
        ({"displayName": "a\0b"}, [("INVALID", ["displayName"])]),
        ({"email": "new", "displayName": ""}, [("INVALID", ["email"]), ("REQUIRED", ["displayName"])]),
        ({"role": "GATEWAY"}, [("INVALID", ["role"])]),
        ({"role": "OPERATOR"}, [("INVALID", ["role"])]),
        ({"accountId": "nobodys"}, [("NOT_FOUND", ["accountId"])]),
    ],
)
def test_a_user_with_something_wrong_is_refused(
    shared_play: Play, fields: dict[str, Any], expected: list[tuple[str, list[str]]]
) -> None:
    with shared_play.rows.unchanged():
        assert refusals(shared_play.administrator, **fields) == expected


def test_an_administrator_does_not_find_another_account(shared_play: Play) -> None:
    with shared_play.rows.unchanged():
        found = [
            shared_play.administrator.mutate(
                "createUser",
                "user { id }",
                accountId=account_id,
                email="new@alder.example",
                displayName="New",
                role="MEMBER",
            )
            for account_id in (shared_play.birch.id, "acct_" + "0" * 32, "acct", "", shared_play.alder.users["member"])
        ]
    assert [each["userErrors"][0]["code"] for each in found] == ["NOT_FOUND"] * 5
    assert all(each == found[0] for each in found)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [("REQUIRED", ["accountId"])]),
        ({"accountId": "nobodys"}, [("NOT_FOUND", ["accountId"])]),
        ({"role": "GATEWAY"}, [("INVALID", ["role"])]),
        ({"role": "OPERATOR", "accountId": "nobodys"}, [("INVALID", ["accountId"])]),
    ],
)
def test_an_operator_says_whose_user_it_is(
    shared_play: Play, fields: dict[str, Any], expected: list[tuple[str, list[str]]]
) -> None:
    with shared_play.rows.unchanged():
        assert refusals(shared_play.operator, **fields) == expected


# ---------------------------------------------------------------- invitations


def test_who_accepts_an_invitation_is_signed_in_and_can_sign_in_again(play: Play) -> None:
    invited = invite(play)
    new_id, token = invited["user"]["id"], invited["invitationToken"]
    with recorded(
        play,
        play.alder.id,
        ("invitation.accepted", new_id, new_id, "new@alder.example accepted the invitation and set a password"),
        ("session.started", new_id, new_id, "Signed in"),
    ):
        accepted = accept(play, token, "a password of my own")
    assert accepted["viewer"] == {
        "role": "MEMBER",
        "user": {"email": "new@alder.example"},
        "account": {"id": play.alder.id},
    }
    assert play.server.client(accepted["sessionToken"]).data("{ viewer { role } }") == {"role": "MEMBER"}
    play.nobody.do("signIn", "sessionToken", email="new@alder.example", password="a password of my own")


def test_an_invitation_is_good_once(play: Play) -> None:
    token = invite(play)["invitationToken"]
    accept(play, token)
    with play.rows.unchanged():
        assert accept_refusals(play, token, "another password") == [("NOT_FOUND", ["invitationToken"])]


def test_of_two_who_accept_an_invitation_at_once_one_is_signed_in(play: Play) -> None:
    token = invite(play)["invitationToken"]
    document = f"""mutation {{ acceptInvitation(input: {{invitationToken: "{token}", password: "{PASSWORD}"}})
        {{ sessionToken userErrors {{ code }} }} }}"""
    answers = asyncio.run(at_once(play.nobody, [document] * 3))
    payloads = [answer["data"]["acceptInvitation"] for answer in answers]
    assert sorted([error["code"] for error in each["userErrors"]] for each in payloads) == [
        [],
        ["NOT_FOUND"],
        ["NOT_FOUND"],
    ]


def test_an_invitation_ends_after_a_week_to_the_millisecond(play: Play) -> None:
    late = invite(play)["invitationToken"]
    in_time = invite(play, email="other@alder.example")["invitationToken"]
    play.clock.advance(days=7, milliseconds=-1)
    accept(play, in_time)
    play.clock.advance(milliseconds=1)
    with play.rows.unchanged():
        assert accept_refusals(play, late) == [("NOT_FOUND", ["invitationToken"])]


@pytest.mark.parametrize(
    ("token", "password", "expected"),
    [
        ("", PASSWORD, ("NOT_FOUND", ["invitationToken"])),
        ("sealkey_invitation_nobodys", PASSWORD, ("NOT_FOUND", ["invitationToken"])),
        ("sealkey_invitation_nobodys", "eleven char", ("INVALID", ["password"])),
        ("sealkey_invitation_nobodys", "x" * 1025, ("INVALID", ["password"])),
    ],
)
def test_a_wrong_invitation_is_refused(
    shared_play: Play, token: str, password: str, expected: tuple[str, list[str]]
) -> None:
    with shared_play.rows.unchanged():
        assert accept_refusals(shared_play, token, password) == [expected]


def test_a_refused_password_does_not_use_the_invitation_up(play: Play) -> None:
    token = invite(play)["invitationToken"]
    with play.rows.unchanged():
        assert accept_refusals(play, token, "short") == [("INVALID", ["password"])]
    accept(play, token, "twelve chars")


@pytest.mark.parametrize("whose", ["user", "account"])
def test_who_may_not_sign_in_can_not_accept_and_may_later(play: Play, whose: str) -> None:
    invited = invite(play)
    table, id_ = ("users", invited["user"]["id"]) if whose == "user" else ("accounts", play.alder.id)
    play.rows.set(table, id_, "status = 'DEACTIVATED'" if whose == "user" else "status = 'SUSPENDED'")
    with play.rows.unchanged():
        assert accept_refusals(play, invited["invitationToken"]) == [("NOT_FOUND", ["invitationToken"])]
    play.rows.set(table, id_, "status = 'ACTIVE'")
    accept(play, invited["invitationToken"])


def test_an_invitation_is_kept_as_a_hash_only(play: Play) -> None:
    token = invite(play)["invitationToken"]
    assert token.startswith("sealkey_invitation_")
    assert token.removeprefix("sealkey_invitation_") not in repr(play.rows.dump())


def test_a_session_token_is_no_invitation_and_an_invitation_no_session_token(play: Play) -> None:
    invitation = invite(play)["invitationToken"]
    assert play.server.client(invitation).error_code("{ viewer { role } }") == "UNAUTHENTICATED"
    assert accept_refusals(play, str(play.member.token)) == [("NOT_FOUND", ["invitationToken"])]


# ---------------------------------------------------------------- another invitation


def renew(play: Play, user_id: str) -> str:
    token: str = play.administrator.do("renewInvitation", "user { id } invitationToken", userId=user_id)[
        "invitationToken"
    ]
    return token


def test_who_lost_an_invitation_or_let_it_expire_is_given_another_and_the_earlier_is_good_no_longer(
    play: Play,
) -> None:
    invited = invite(play)
    user = invited["user"]["id"]
    lost = invited["invitationToken"]
    with recorded(
        play,
        play.alder.id,
        ("invitation.renewed", play.alder.users["administrator"], user, "User new@alder.example was invited again"),
    ):
        expired = renew(play, user)
    assert accept_refusals(play, lost) == [("NOT_FOUND", ["invitationToken"])]

    play.clock.advance(days=7)
    play.stay_signed_in()
    assert accept_refusals(play, expired) == [("NOT_FOUND", ["invitationToken"])]
    assert accept(play, renew(play, user))["viewer"]["user"] == {"email": "new@alder.example"}
    assert play.nobody.do("signIn", "sessionToken", email="new@alder.example", password=PASSWORD)["sessionToken"]


def test_who_can_sign_in_already_or_is_deactivated_is_not_invited_again(play: Play) -> None:
    invited = invite(play)["user"]["id"]
    play.administrator.do("deactivateUser", "user { id }", userId=invited)
    with play.rows.unchanged():
        for user_id in (play.alder.users["member"], play.alder.users["administrator"], invited):
            refused = play.administrator.refusals("renewInvitation", "user { id } invitationToken", userId=user_id)
            assert refused == [("CONFLICT", ["userId"])]


def test_an_invitation_that_is_accepted_and_renewed_at_once_leaves_one_way_in(play: Play) -> None:
    for number in range(6):
        invited = invite(play, email=f"new{number}@alder.example")
        accepting = f"""mutation {{ acceptInvitation(input: {{
            invitationToken: "{invited["invitationToken"]}", password: "{PASSWORD}"
        }}) {{ userErrors {{ code }} }} }}"""
        renewing = f"""mutation {{ renewInvitation(input: {{userId: "{invited["user"]["id"]}"}}) {{
            invitationToken userErrors {{ code }}
        }} }}"""
        accepted, renewed = asyncio.run(at_once(play.administrator, [accepting, renewing]))
        codes = [
            [error["code"] for error in answer["data"][field]["userErrors"]]
            for answer, field in ((accepted, "acceptInvitation"), (renewed, "renewInvitation"))
        ]
        assert codes in ([[], ["CONFLICT"]], [["NOT_FOUND"], []])
