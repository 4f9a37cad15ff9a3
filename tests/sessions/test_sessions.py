"""Sessions: how they begin, how long they last, and how they end."""

import asyncio
import hashlib
import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from auth.crypto.secret import Secret
from auth.principal import Principal
from models.user import Role, User
from resolvers.caller import Caller
from resolvers.errors import Refused
from resolvers.sessions import accept_invitation, set_password
from resolvers.users import create_user
from server.app import deployed
from server.settings import Settings
from tests.plugins.database import Databases
from tests.plugins.play import StartPlay, Template
from tests.support.rows import rows
from tests.support.server import Client, FakeClock
from tests.support.statements import statements
from tests.support.world import PASSWORD, Play

pytestmark = pytest.mark.usefixtures("quick_passwords")

MEMBER = "member@alder.example"
NEW = {"email": "new@alder.example", "displayName": "New", "role": "MEMBER"}


def sign_in(play: Play, email: str = MEMBER) -> Client:
    return play.server.client(play.nobody.do("signIn", "sessionToken", email=email, password=PASSWORD)["sessionToken"])


def works(client: Client) -> bool:
    answer = client.execute("{ viewer { role } }")
    codes = [error["extensions"]["code"] for error in answer.get("errors", ())]
    assert codes in ([], ["UNAUTHENTICATED"])
    return not codes


def do(client: Client, mutation: str) -> None:
    assert client.data(f"mutation {{ {mutation} {{ userErrors {{ code }} }} }}") == {"userErrors": []}


class TestWhoReads:
    def test_is_not_looked_up_again_while_nothing_about_people_changes(self, play: Play) -> None:
        member, other = sign_in(play), sign_in(play)
        assert works(member)
        assert [statements_of(play, member), statements_of(play, member)] == [0, 0]
        do(other, "signOut")
        assert [statements_of(play, member), statements_of(play, member)] == [1, 0]

    def test_is_looked_up_before_a_denial_is_recorded(self, play: Play) -> None:
        member = sign_in(play)
        assert works(member)
        assert [codes(member, DENIED), codes(member, DENIED)] == [["FORBIDDEN"], ["FORBIDDEN"]]
        play.server.run(lambda deployment: deployment.memory.refresh())
        # As another process would, of which this one has not heard yet.
        play.rows.execute("UPDATE sessions SET ended_at = created_at")
        before = play.rows.execute("SELECT count(*) FROM audit_events")
        with statements(remembering_people=True) as asked:
            assert works(member)
        assert not asked
        assert codes(member, DENIED) == ["UNAUTHENTICATED"]
        assert play.rows.execute("SELECT count(*) FROM audit_events") == before

    def test_is_looked_up_to_change_something(self, play: Play) -> None:
        member = sign_in(play)
        assert works(member)
        with statements(remembering_people=True) as asked:
            do(member, "signOut")
        assert "sessions" in asked[0]
        assert not works(member)


DENIED = "{ webhookEndpoints { nodes { id } } }"


def codes(client: Client, document: str) -> list[str]:
    return [error["extensions"]["code"] for error in client.execute(document)["errors"]]


def statements_of(play: Play, client: Client) -> int:
    """So many it takes to tell who asks, right after the process has heard of all changes."""
    play.server.run(lambda deployment: deployment.memory.refresh())
    with statements(remembering_people=True) as asked:
        assert works(client)
    return len(asked)


class TestASession:
    def test_is_forgotten_once_its_time_is_over(self, play: Play) -> None:
        def kept() -> int:
            return len(rows(play.server.database_url, "SELECT id FROM sessions"))

        play.clock.advance(hours=1)
        from_before = kept()
        do(sign_in(play), "signOut")
        play.clock.advance(hours=11)
        later = sign_in(play)
        play.server.keep_house()
        assert from_before > 2
        assert kept() == 2  # that which was ended an hour before the end of its time, and the new one
        play.clock.advance(hours=1)
        play.server.keep_house()
        assert kept() == 1
        assert works(later)

    def test_begins_with_a_token_that_is_shown_once_and_kept_as_its_hash(self, play: Play) -> None:
        started = play.nobody.do(
            "signIn", "sessionToken expiresAt viewer { user { email } }", email=MEMBER, password=PASSWORD
        )
        token = started["sessionToken"]
        assert re.fullmatch(r"sealkey_session_[\w-]{43}", token)
        assert (started["expiresAt"], started["viewer"]["user"]) == ("2026-01-16T00:00:00Z", {"email": MEMBER})
        kept = str(rows(play.server.database_url, "SELECT * FROM sessions"))
        assert hashlib.sha256(token.encode()).hexdigest() in kept
        assert token[-43:-35] not in kept

    def test_lasts_twelve_hours_and_no_longer_however_busy_it_is(self, play: Play) -> None:
        client = sign_in(play)
        for _ in range(11):
            play.clock.advance(hours=1)
            assert works(client)
        play.clock.advance(hours=1, milliseconds=-1)
        assert works(client)
        play.clock.advance(milliseconds=1)
        assert not works(client)

    def test_ends_when_it_has_not_been_used_for_two_hours(self, start_play: StartPlay) -> None:
        play = start_play()
        client = sign_in(play)
        play.clock.advance(hours=2, milliseconds=-1)
        assert works(client)
        play.clock.advance(hours=2)
        assert not works(client)

    def test_has_its_use_noted_to_the_minute(self, play: Play) -> None:
        client = sign_in(play)
        for seconds in (59, 1):
            play.clock.advance(seconds=seconds)
            assert works(client)
        play.clock.advance(hours=2, seconds=-1)
        assert works(client)

    def test_lasts_as_long_as_the_deployment_says(self, start_play: StartPlay) -> None:
        play = start_play(session_hours=1, session_idle_minutes=5)
        busy, idle = sign_in(play), sign_in(play)
        for _ in range(14):
            play.clock.advance(minutes=4)
            assert works(busy)
        assert not works(idle)
        play.clock.advance(minutes=4)
        assert not works(busy)


class TestTheEndOfASession:
    def test_is_this_one_s_alone_by_signing_out(self, play: Play) -> None:
        here, there = sign_in(play), sign_in(play)
        do(here, "signOut")
        assert (works(here), works(there)) == (False, True)
        assert here.error_code("mutation { signOut { userErrors { code } } }") == "UNAUTHENTICATED"

    def test_is_everyone_of_one_s_own_by_signing_out_everywhere(self, play: Play) -> None:
        mine = [sign_in(play) for _ in range(3)]
        do(mine[0], "signOutEverywhere")
        assert [works(client) for client in [*mine, play.member]] == [False] * 4
        assert works(play.administrator)

    def test_comes_with_a_new_password(self, play: Play) -> None:
        here, there = sign_in(play), sign_in(play)
        here.do("changePassword", "__typename", currentPassword=PASSWORD, newPassword="a long enough one")
        assert (works(here), works(there), works(play.member)) == (False, False, False)

    def test_comes_with_deactivation_for_good_and_with_suspension_for_a_while(self, play: Play) -> None:
        play.administrator.do("deactivateUser", "user { id }", userId=play.alder.users["auditor"])
        assert not works(play.auditor)
        play.administrator.do("reactivateUser", "user { id }", userId=play.alder.users["auditor"])
        assert not works(play.auditor)
        play.operator.do("suspendAccount", "account { id }", accountId=play.alder.id)
        assert not works(play.member)
        play.operator.do("reinstateAccount", "account { id }", accountId=play.alder.id)
        assert works(play.member)

    def test_is_in_the_audit_log_as_its_beginning_is(self, play: Play) -> None:
        play.clock.advance(seconds=1)
        client = sign_in(play)
        play.clock.advance(seconds=1)
        do(client, "signOut")
        document = '{ auditEvents(last: 2, filter: {types: ["session.started", "session.ended"]}) { nodes {' + (
            " type actor { email } summary } } }"
        )
        member = {"email": MEMBER}
        assert play.operator.data(document)["nodes"] == [
            {"type": "session.started", "actor": member, "summary": "Signed in"},
            {"type": "session.ended", "actor": member, "summary": "Signed out"},
        ]


@pytest.mark.parametrize("token", ["x", "sealkey_session_", "sealkey_session_" + "A" * 43, "sealkey_pat_" + "A" * 43])
def test_a_token_that_nobody_was_given_signs_nobody_in(play: Play, token: str) -> None:
    assert not works(play.server.client(token))


def test_a_token_is_good_for_its_own_purpose_alone(play: Play) -> None:
    made = play.administrator.do("createUser", "invitationToken", **NEW)["invitationToken"]
    assert not works(play.server.client(made))
    session = str(play.member.token)
    assert not works(play.server.client(session.replace("session", "pat")))
    refusals = play.nobody.refusals(
        "acceptInvitation", "sessionToken", invitationToken=session, password="a long enough one"
    )
    assert refusals == [("NOT_FOUND", ["invitationToken"])]


class TestAnInvitation:
    def test_is_good_once(self, play: Play) -> None:
        made = play.administrator.do("createUser", "invitationToken", **NEW)
        accepted = {"invitationToken": made["invitationToken"], "password": PASSWORD}
        client = play.server.client(play.nobody.do("acceptInvitation", "sessionToken", **accepted)["sessionToken"])
        assert works(client)
        refusals = play.nobody.refusals("acceptInvitation", "sessionToken", **accepted)
        assert refusals == [("NOT_FOUND", ["invitationToken"])]

    def test_is_good_for_seven_days(self, play: Play) -> None:
        first = play.administrator.do("createUser", "invitationToken", **NEW)["invitationToken"]
        second = play.operator.do(
            "createUser", "invitationToken", accountId=play.alder.id, **{**NEW, "email": "other@alder.example"}
        )["invitationToken"]
        play.clock.advance(days=7, milliseconds=-1)
        play.nobody.do("acceptInvitation", "sessionToken", invitationToken=first, password=PASSWORD)
        play.clock.advance(milliseconds=1)
        refusals = play.nobody.refusals("acceptInvitation", "sessionToken", invitationToken=second, password=PASSWORD)
        assert refusals == [("NOT_FOUND", ["invitationToken"])]

    def test_asks_for_a_password_of_twelve_characters_at_least(self, play: Play) -> None:
        made = play.administrator.do("createUser", "invitationToken", **NEW)["invitationToken"]
        for password in ("eleven chars"[:11], "x" * 1025):
            refusals = play.nobody.refusals("acceptInvitation", "sessionToken", invitationToken=made, password=password)
            assert refusals == [("INVALID", ["password"])]


@pytest.fixture
def world_without_a_server(
    databases: Databases, names: Iterator[str], world_template: Template, tmp_path: Path
) -> Iterator[Settings]:
    name, data_dir = next(names), tmp_path / "data"
    shutil.copytree(world_template.data_dir, data_dir)
    yield Settings(data_dir=data_dir, database_url=SecretStr(databases.create_database(name, world_template.database)))
    databases.drop_database(name)


def test_an_invitation_left_over_sets_no_password_once_there_is_one(world_without_a_server: Settings) -> None:
    async def invite_then_set_then_accept() -> None:
        async with deployed(world_without_a_server, FakeClock()) as deployment:
            operator = await User.get(role=Role.OPERATOR).select_related("account")
            caller = Caller(Principal.of_user(operator), None, deployment.clock(), deployment)
            invited = await create_user(
                caller,
                account_id=None,
                email="new@provider.example",
                display_name="New",
                role=Role.OPERATOR,
                api_access=False,
            )
            nobody = Caller(None, None, deployment.clock() + timedelta(seconds=1), deployment)
            await set_password(nobody, email="new@provider.example", password=Secret("set by hand, this one"))
            with pytest.raises(Refused):
                await accept_invitation(
                    nobody, invitation_token=invited.invitation_token, password=Secret("by who found the mail")
                )

    asyncio.run(invite_then_set_then_accept())
