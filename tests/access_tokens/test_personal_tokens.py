"""Personal access tokens: for somebody's scripts, to do some of what they may do themselves."""

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from auth.permissions import Permission
from auth.policy import Unauthenticated
from auth.principal import Principal
from models.user import User
from resolvers.caller import Caller, Deployment
from resolvers.tokens import create_personal_access_token
from tests.access_tokens.asking import bearer, events, later, listed, personal, revoke, works
from tests.support.rows import rows
from tests.support.server import Client
from tests.support.world import Play

CREDENTIALS = "{ credentials { totalCount } }"
GENERATE = "mutation ($input: GenerateCredentialInput!) { generateCredential(input: $input) { __typename } }"


def wanted_credential(play: Play) -> dict[str, Any]:
    return {
        "name": "made_by_a_script",
        "serviceId": play.alder.services["certificates"],
        "identityId": play.alder.identities["active"],
        "delivery": {"method": "VIEW_AND_COPY"},
    }


class TestWhatATokenMayDo:
    def test_is_what_it_was_given(self, play: Play) -> None:
        script = bearer(play, personal(play, play.member, "READ_CREDENTIALS"))
        assert script.data(CREDENTIALS) == {"totalCount": 0}
        assert script.error_code(GENERATE, input=wanted_credential(play)) == "FORBIDDEN"
        assert play.member.data(CREDENTIALS) == {"totalCount": 0}

    def test_is_told_by_viewer(self, play: Play) -> None:
        script = bearer(play, personal(play, play.member, "GENERATE_CREDENTIALS", "READ_SERVICES", "READ_SERVICES"))
        seen = script.data("{ viewer { user { email } role permissions } }")
        assert seen["user"] == {"email": "member@alder.example"}
        assert (seen["role"], set(seen["permissions"])) == ("MEMBER", {"GENERATE_CREDENTIALS", "READ_SERVICES"})

    def test_is_done_in_the_owner_s_name_and_reach(self, play: Play) -> None:
        script = bearer(play, personal(play, play.member, "GENERATE_CREDENTIALS", "READ_CREDENTIALS"))
        play.generate("of_somebody_else", play.other_member, **foreign(play))
        assert play.generate("ci", script)["credential"]["usable"] is True
        owners = script.data("{ credentials { nodes { owner { email } } } }")["nodes"]
        assert owners == [{"owner": {"email": "member@alder.example"}}]

    def test_is_never_more_than_the_owner_may_do_now(self, play: Play) -> None:
        script = bearer(play, personal(play, play.member, "GENERATE_CREDENTIALS", "READ_CREDENTIALS"))
        play.administrator.do("setUserRole", "user { id }", userId=play.alder.users["member"], role="AUDITOR")
        assert script.data("{ viewer { permissions } }") == {"permissions": ["READ_CREDENTIALS"]}
        assert script.error_code(GENERATE, input=wanted_credential(play)) == "FORBIDDEN"
        play.administrator.do("setUserRole", "user { id }", userId=play.alder.users["member"], role="MEMBER")
        assert play.generate("ci", script)["credential"]["usable"] is True

    def test_ends_with_the_owner_s_api_access(self, play: Play) -> None:
        script = bearer(play, personal(play, play.member, "GENERATE_CREDENTIALS", "READ_CREDENTIALS"))
        play.administrator.do("removeApiAccess", "user { id }", userId=play.alder.users["member"])
        refusals = script.refusals("generateCredential", "credential { id }", **wanted_credential(play))
        assert refusals == [("API_ACCESS_REMOVED", None)]
        assert script.error_code(CREDENTIALS) == "FORBIDDEN"

    def test_is_nothing_that_takes_a_person_even_with_every_permission(self, play: Play) -> None:
        everything = play.administrator.data("{ viewer { permissions } }")["permissions"]
        script = bearer(play, personal(play, play.administrator, *everything))
        before = listed(play.administrator)
        assert {document: script.error_code(document) for document in FOR_PEOPLE} == dict.fromkeys(
            FOR_PEOPLE, "FORBIDDEN"
        )
        assert [{**token, "lastUsedAt": None} for token in listed(play.administrator)] == before
        assert works(script)


FOR_PEOPLE = [
    'mutation { createPersonalAccessToken(input: {name: "more", permissions: [READ_AUDIT_LOG], '
    'expiresAt: "2026-02-01T00:00:00Z"}) { token } }',
    'mutation { createGatewayToken(input: {name: "more", expiresAt: "2026-02-01T00:00:00Z"}) { token } }',
    'mutation { createUser(input: {email: "more@alder.example", displayName: "More", role: AUDITOR}) '
    "{ invitationToken } }",
    'mutation { renewInvitation(input: {userId: "user_0"}) { invitationToken } }',
    'mutation { setUserRole(input: {userId: "user_0", role: ADMINISTRATOR}) { userErrors { code } } }',
    'mutation { revokePersonalAccessToken(input: {tokenId: "tok_0"}) { userErrors { code } } }',
    'mutation { changePassword(input: {currentPassword: "correct horse battery staple", '
    'newPassword: "a long enough one"}) { userErrors { code } } }',
    "mutation { signOut { userErrors { code } } }",
    "mutation { signOutEverywhere { userErrors { code } } }",
    "{ accessTokens { totalCount } }",
]


def foreign(play: Play) -> dict[str, str]:
    return {"serviceId": play.birch.services["certificates"], "identityId": play.birch.identities["active"]}


class TestTheLifeOfAToken:
    def test_ends_at_its_expiry_to_the_millisecond(self, play: Play) -> None:
        script = bearer(play, personal(play, play.member, "READ_CREDENTIALS", expiresAt=later(play.clock, hours=1)))
        play.clock.advance(hours=1, milliseconds=-1)
        assert works(script)
        play.clock.advance(milliseconds=1)
        assert not works(script)

    def test_ends_at_once_when_it_is_revoked(self, play: Play) -> None:
        made = personal(play, play.member, "READ_CREDENTIALS")
        other = personal(play, play.member, "READ_CREDENTIALS")
        revoke(play.member, made)
        assert not works(bearer(play, made))
        assert works(bearer(play, other))
        again = play.member.refusals("revokePersonalAccessToken", "", tokenId=made["tokenId"])
        assert again == [("ALREADY_REVOKED", ["tokenId"])]

    def test_outlives_the_session_it_was_made_in(self, play: Play) -> None:
        made = personal(play, play.member, "READ_CREDENTIALS")
        play.member.data("mutation { signOutEverywhere { userErrors { code } } }")
        assert works(bearer(play, made))

    def test_ends_for_good_when_the_owner_is_deactivated(self, play: Play) -> None:
        script = bearer(play, personal(play, play.member, "READ_CREDENTIALS"))
        play.administrator.do("deactivateUser", "user { id }", userId=play.alder.users["member"])
        assert not works(script)
        play.administrator.do("reactivateUser", "user { id }", userId=play.alder.users["member"])
        assert not works(script)

    def test_pauses_while_the_account_is_suspended(self, play: Play) -> None:
        script = bearer(play, personal(play, play.member, "READ_CREDENTIALS"))
        play.operator.do("suspendAccount", "account { id }", accountId=play.alder.id)
        assert not works(script)
        play.operator.do("reinstateAccount", "account { id }", accountId=play.alder.id)
        assert works(script)

    def test_is_known_to_the_minute_of_its_last_use(self, play: Play) -> None:
        script = bearer(play, personal(play, play.member, "READ_CREDENTIALS"))
        seen = []
        for pause in (0, 59, 1, 30):
            play.clock.advance(seconds=pause)
            script.data(CREDENTIALS)
            seen.append(listed(play.member)[0]["lastUsedAt"])
        # Written at the first use, and not again until a minute has gone by.
        assert seen == ["2026-01-15T12:00:00Z"] * 2 + ["2026-01-15T12:01:00Z"] * 2

    def test_is_not_used_by_one_that_is_refused(self, play: Play) -> None:
        made = personal(play, play.member, "READ_CREDENTIALS")
        revoke(play.member, made)
        works(bearer(play, made))
        assert listed(play.member)[0]["lastUsedAt"] is None


def test_who_is_deactivated_at_the_same_moment_leaves_no_token_behind(play: Play) -> None:
    async def identified(deployment: Deployment) -> Caller:
        member = await User.get(email="member@alder.example").select_related("account")
        return Caller(Principal.of_user(member), None, deployment.clock(), deployment)

    caller = play.server.run(identified)
    play.administrator.do("deactivateUser", "user { id }", userId=play.alder.users["member"])

    async def create(_deployment: Deployment) -> None:
        wanted = [Permission.READ_CREDENTIALS]
        await create_personal_access_token(
            caller, name="late", permissions=wanted, expires_at=caller.now + timedelta(days=1)
        )

    with pytest.raises(Unauthenticated):
        play.server.run(create)
    assert rows(play.server.database_url, "SELECT id FROM access_tokens") == []


class TestTheListOfTokens:
    def test_has_one_s_own_ended_ones_too_and_shows_none_of_them(self, play: Play) -> None:
        first = personal(play, play.member, "READ_SERVICES", "READ_CREDENTIALS", name="first")
        play.clock.advance(seconds=1)
        second = personal(play, play.member, "READ_CREDENTIALS", name="second", expiresAt=later(play.clock, hours=1))
        revoke(play.member, first)
        play.clock.advance(minutes=61)
        both = listed(play.member)
        assert both[0] == {
            "id": first["tokenId"],
            "kind": "PERSONAL",
            "name": "first",
            "permissions": ["READ_CREDENTIALS", "READ_SERVICES"],
            "account": {"name": "Alder"},
            "createdAt": "2026-01-15T12:00:00Z",
            "expiresAt": "2026-02-14T12:00:00Z",
            "revokedAt": "2026-01-15T12:00:01Z",
            "lastUsedAt": None,
        }
        assert (both[1]["id"], both[1]["revokedAt"]) == (second["tokenId"], None)
        assert not any(secret_part(made) in str(both) for made in (first, second))

    def test_is_one_s_own_alone(self, play: Play) -> None:
        made = personal(play, play.member, "READ_CREDENTIALS")
        for other in (play.administrator, play.auditor, play.other_member, play.operator):
            assert listed(other) == []
            assert other.data("query ($id: ID!) { node(id: $id) { id } }", id=made["tokenId"]) is None
            refusals = other.refusals("revokePersonalAccessToken", "", tokenId=made["tokenId"])
            assert refusals == [("NOT_FOUND", ["tokenId"])]
        assert works(bearer(play, made))

    def test_is_nobody_s_who_is_not_signed_in(self, play: Play) -> None:
        assert play.nobody.error_code("{ accessTokens { totalCount } }") == "UNAUTHENTICATED"


def secret_part(made: Any) -> str:
    matched = re.fullmatch(r"sealkey_(?:pat|gateway)_([\w-]{43})", made["token"])
    assert matched
    return matched[1]


class TestWhatIsKept:
    def test_is_a_hash_of_the_token_and_nothing_else_of_it(self, play: Play) -> None:
        made = personal(play, play.member, "READ_CREDENTIALS")
        bearer(play, made).data(CREDENTIALS)
        (kept,) = rows(play.server.database_url, "SELECT token_hash FROM access_tokens")
        assert kept == (hashlib.sha256(made["token"].encode()).hexdigest(),)
        for table in ("access_tokens", "audit_events", "sessions", "throttles"):
            everything = str(rows(play.server.database_url, f"SELECT * FROM {table}"))
            assert secret_part(made)[:8] not in everything

    def test_is_an_event_for_each_making_and_each_end(self, play: Play) -> None:
        made = personal(play, play.member, "READ_CREDENTIALS", "READ_SERVICES", name="nightly")
        play.clock.advance(seconds=1)
        revoke(play.member, made)
        member = {"email": "member@alder.example"}
        assert events(play, "token.created", "token.revoked") == [
            {
                "type": "token.created",
                "summary": "The personal token nightly was created for READ_CREDENTIALS READ_SERVICES",
                "subjectId": made["tokenId"],
                "actor": member,
            },
            {
                "type": "token.revoked",
                "summary": "The personal token nightly was revoked",
                "subjectId": made["tokenId"],
                "actor": member,
            },
        ]

    def test_is_nothing_where_it_was_refused(self, play: Play) -> None:
        ask(play, play.member, permissions=["READ_AUDIT_LOG"])
        assert events(play, "token.created") == []
        assert rows(play.server.database_url, "SELECT id FROM access_tokens") == []


def ask(play: Play, client: Client, **fields: Any) -> list[tuple[str, list[str] | None]]:
    wanted = {"name": "ci", "permissions": ["READ_CREDENTIALS"], "expiresAt": later(play.clock, days=1), **fields}
    return client.refusals("createPersonalAccessToken", "token tokenId", **wanted)


class TestRefusals:
    def test_of_a_name_that_can_t_be_shown(self, play: Play) -> None:
        for name, code in (("", "REQUIRED"), (" \t", "REQUIRED"), ("x" * 65, "INVALID"), ("a\0b", "INVALID")):
            assert ask(play, play.member, name=name) == [(code, ["name"])]

    def test_of_an_end_that_is_past_or_further_off_than_a_year(self, play: Play) -> None:
        for amount in ({"days": -1}, {"seconds": 0}, {"days": 366, "milliseconds": 1}, {"days": 4000}):
            assert ask(play, play.member, expiresAt=later(play.clock, **amount)) == [("INVALID", ["expiresAt"])]
        personal(play, play.member, "READ_CREDENTIALS", expiresAt=later(play.clock, days=366))
        personal(play, play.member, "READ_CREDENTIALS", expiresAt=later(play.clock, milliseconds=1))

    def test_of_no_permission(self, play: Play) -> None:
        assert ask(play, play.member, permissions=[]) == [("REQUIRED", ["permissions"])]

    def test_of_a_permission_that_the_owner_does_not_have(self, play: Play) -> None:
        for permission in ("READ_AUDIT_LOG", "MANAGE_ALL_CREDENTIALS", "VERIFY_CREDENTIALS"):
            refusals = ask(play, play.member, permissions=["READ_CREDENTIALS", permission])
            assert refusals == [("NOT_ALLOWED_BY_POLICY", ["permissions"])]

    def test_of_what_api_access_would_have_to_be_granted_for(self, play: Play) -> None:
        refusals = ask(play, play.member_without_access, permissions=["GENERATE_CREDENTIALS"])
        assert refusals == [("NOT_ALLOWED_BY_POLICY", ["permissions"])]
        personal(play, play.member_without_access, "SUBMIT_IDENTITIES")

    def test_of_what_names_no_token(self, play: Play) -> None:
        for token_id in ("", "tok_0", "tok_" + "0" * 32, play.alder.users["member"]):
            refusals = play.member.refusals("revokePersonalAccessToken", "", tokenId=token_id)
            assert refusals == [("NOT_FOUND", ["tokenId"])]

    def test_of_who_is_not_signed_in(self, play: Play) -> None:
        fields = {"name": "ci", "permissions": ["READ_CREDENTIALS"], "expiresAt": later(play.clock, days=1)}
        document = """mutation ($input: CreatePersonalAccessTokenInput!) {
            createPersonalAccessToken(input: $input) { token }
        }"""
        assert play.nobody.error_code(document, input=fields) == "UNAUTHENTICATED"

    def test_of_a_fifty_first_until_one_has_ended(self, play: Play) -> None:
        make_fifty(play, play.member, shortest=timedelta(hours=1))
        assert ask(play, play.member) == [("LIMIT_REACHED", None)]
        personal(play, play.administrator, "READ_USERS")
        play.clock.advance(hours=1)
        made = personal(play, play.member, "READ_CREDENTIALS")
        assert ask(play, play.member) == [("LIMIT_REACHED", None)]
        revoke(play.member, made)
        personal(play, play.member, "READ_CREDENTIALS")

    def test_of_all_but_one_where_several_ask_at_once_for_the_last_place(self, play: Play) -> None:
        revoke(play.member, {"tokenId": make_fifty(play, play.member, shortest=timedelta(days=1))})
        fields = {"name": "ci", "permissions": ["READ_CREDENTIALS"], "expiresAt": later(play.clock, days=1)}
        with ThreadPoolExecutor(5) as threads:
            asked = [
                threads.submit(play.member.mutate, "createPersonalAccessToken", "token", **fields) for _ in range(5)
            ]
        codes = [error["code"] for each in asked for error in each.result()["userErrors"]]
        assert codes == ["LIMIT_REACHED"] * 4


def make_fifty(play: Play, owner: Client, shortest: timedelta) -> str:
    """Fifty tokens; the id of the one that ends first."""
    ends = [timedelta(days=30)] * 49
    _make_several(play, owner, ends[:17])
    _make_several(play, owner, ends[17:34])
    return _make_several(play, owner, [shortest, *ends[34:]])


def _make_several(play: Play, owner: Client, ends: list[timedelta]) -> str:
    """The id of the first of them."""
    fields = " ".join(
        f'a{number}: createPersonalAccessToken(input: {{name: "ci", permissions: [READ_CREDENTIALS], '
        f'expiresAt: "{later(play.clock, seconds=end.total_seconds())}"}}) {{ tokenId }}'
        for number, end in enumerate(ends)
    )
    made = owner.data(f"mutation {{ {fields} }}")
    token_id: str = made["a0"]["tokenId"]
    return token_id
