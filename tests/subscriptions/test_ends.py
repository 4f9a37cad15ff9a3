"""A subscription ends when who watches may not, wherever that was decided; and tells what they may see by then."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from server import graphql_sse, graphql_websocket
from tests.plugins.play import Theatre
from tests.subscriptions.watching import BOTH_WAYS, over_sse, over_websocket, tell_something
from tests.support import bulk
from tests.support.subscribers import connecting, streaming
from tests.support.world import Play

Ending = Callable[[Play], Any]


def do(who: str, mutation: str, of: str | None = None) -> Ending:
    """Done to this person of the account, or to the account."""

    def end(play: Play) -> None:
        given = {"userId": play.alder.users[of]} if of else {"accountId": play.alder.id}
        getattr(play, who).do(mutation, "userErrors { code }", **given)

    return end


ENDINGS: dict[str, tuple[str, Ending, str]] = {
    "signs out": ("member", lambda play: play.member.data("mutation { signOut { userErrors { code } } }"), ""),
    "session runs out": ("member", lambda play: play.clock.advance(hours=12), ""),
    "session lies idle": ("member", lambda play: play.clock.advance(minutes=121), ""),
    "deactivated": ("member", do("administrator", "deactivateUser", of="member"), ""),
    "account suspended": ("auditor", do("operator", "suspendAccount"), ""),
    "API access removed": ("member", do("administrator", "removeApiAccess", of="member"), "FORBIDDEN"),
}


@BOTH_WAYS
@pytest.mark.parametrize("ending", ENDINGS)
def test_it_ends_with_the_right_to_it(start_play: Any, watching: Any, ending: str) -> None:
    play: Play = start_play()
    who, end, code = ENDINGS[ending]
    with watching(getattr(play, who)) as watch:
        end(play)
        assert watch.ended_with() == (code or "UNAUTHENTICATED")
        if watching is over_websocket and not code:
            assert watch.closed_with() == 4403


def test_nothing_is_told_of_what_happens_after_a_session_has_ended(play: Play) -> None:
    with over_sse(play.auditor) as stream:
        play.auditor.data("mutation { signOut { userErrors { code } } }")
        tell_something(play, "too_late")
        assert stream.ended_with() == "UNAUTHENTICATED"


def test_watching_is_no_use_of_a_session(start_play: Any) -> None:
    play: Play = start_play()
    with over_sse(play.administrator) as stream:
        for name in ("after_40_minutes", "after_80_minutes"):
            play.clock.advance(minutes=40)
            play.generate(name)
            assert stream.told() == ("credential.generated", name)
        play.clock.advance(minutes=41)
        assert stream.ended_with() == "UNAUTHENTICATED"


def test_a_personal_token_that_is_revoked_ends_it(play: Play) -> None:
    wanted = {"name": "script", "permissions": ["READ_CREDENTIALS"], "expiresAt": play.clock.in_(days=1)}
    made = play.member.do("createPersonalAccessToken", "token tokenId", **wanted)
    with over_sse(play.server.client(made["token"])) as stream:
        tell_something(play, "by_token")
        assert stream.told() == ("credential.generated", "by_token")
        assert stream.told() == ("credential.revoked", "by_token")
        play.member.do("revokePersonalAccessToken", "userErrors { code }", tokenId=made["tokenId"])
        assert stream.ended_with() == "UNAUTHENTICATED"


def test_a_personal_token_that_expires_ends_it(play: Play) -> None:
    wanted = {"name": "script", "permissions": ["READ_CREDENTIALS"], "expiresAt": play.clock.in_(minutes=1)}
    with over_sse(
        play.server.client(play.member.do("createPersonalAccessToken", "token", **wanted)["token"])
    ) as stream:
        play.clock.advance(minutes=1)
        assert stream.ended_with() == "UNAUTHENTICATED"


def test_who_gets_another_role_is_told_what_that_may_see(play: Play) -> None:
    colleague = play.server.client(play.alder.tokens["member_without_access"])
    user = {"userId": play.alder.users["member_without_access"]}
    play.administrator.do("grantApiAccess", "user { id }", **user)
    play.operator.do("updateCredentialPolicy", "account { id }", accountId=play.alder.id, maxActiveCredentialsPerUser=9)
    with over_sse(colleague) as stream:
        tell_something(play, "of_somebody_else")
        play.generate("own", client=colleague)
        assert stream.told() == ("credential.generated", "own")
        play.administrator.do("setUserRole", "user { id }", role="AUDITOR", **user)
        assert stream.told() == ("credential.blocked", "own")
        tell_something(play, "seen")
        assert stream.told() == ("credential.generated", "seen")
        assert stream.told() == ("credential.revoked", "seen")
        play.administrator.do("setUserRole", "user { id }", role="MEMBER", **user)
        assert stream.told() == ("credential.unblocked", "own")
        tell_something(play, "unseen")
        play.generate("own_again", client=colleague)
        assert stream.told() == ("credential.generated", "own_again")


def test_a_new_subscription_on_an_old_connection_is_of_who_is_there_now(play: Play) -> None:
    with connecting(play.auditor) as socket:
        socket.begin()
        play.auditor.data("mutation { signOut { userErrors { code } } }")
        socket.send("subscribe", id="1", payload={"query": "subscription { credentialChanged { eventType } }"})
        assert socket.ended_with() == "UNAUTHENTICATED"
        assert socket.closed_with() == 4403


def test_who_falls_behind_is_told_so(start_play: Any) -> None:
    """One change of a service blocks more credentials at once than may wait for anybody."""
    play: Play = start_play(subscription_queue=3)
    account = {"accountId": play.alder.id, "maxActiveCredentialsPerUser": 10}
    play.operator.do("updateCredentialPolicy", "account { id }", **account)
    for number in range(4):
        play.generate(f"number_{number}")
    with over_sse(play.member) as stream, over_websocket(play.member) as socket:
        play.operator.do("suspendService", "service { id }", serviceId=play.alder.services["certificates"])
        assert stream.ended_with() == socket.ended_with() == "SUBSCRIPTION_FELL_BEHIND"
        # The connection is there for another.
        socket.subscribe("2")
        play.operator.do("suspendAccount", "account { id }", accountId=play.alder.id)
        assert socket.ended_with("2") == "UNAUTHENTICATED"


def test_who_asks_for_more_than_there_is_room_for_is_refused(start_play: Any) -> None:
    play: Play = start_play(subscriptions_per_worker=3, subscriptions_per_user=2, subscriptions_per_connection=1)
    with over_sse(play.member), over_websocket(play.member) as socket:
        socket.send("subscribe", id="2", payload={"query": "subscription { credentialChanged { eventType } }"})
        assert socket.ended_with("2") == "TOO_MANY_SUBSCRIPTIONS"
        with streaming(play.member) as third:
            assert third.ended_with() == "TOO_MANY_SUBSCRIPTIONS"
        with over_websocket(play.auditor), streaming(play.administrator) as fourth:
            assert fourth.ended_with() == "TOO_MANY_SUBSCRIPTIONS"
        # One that ends makes room for another.
        socket.send("complete", id="1").subscribe("3")


def test_those_who_leave_make_room(start_play: Any) -> None:
    play: Play = start_play(subscriptions_per_user=1)
    for _ in range(3):
        with over_websocket(play.member):
            pass
        wait_until_nobody_watches(play)
        with over_sse(play.member):
            pass
        wait_until_nobody_watches(play)


def wait_until_nobody_watches(play: Play) -> None:
    """A connection that is closed here is found to be closed there a moment later."""
    watches = play.server.app.state.deployment.watches
    while len(watches):
        tell_something(play, "a_moment")


def test_who_takes_nothing_is_cut_off(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is more and more kept for them, nor does anybody else wait for them."""
    monkeypatch.setattr(graphql_websocket, "WRITE_SECONDS", 0.2)
    monkeypatch.setattr(graphql_sse, "WRITE_SECONDS", 0.2)
    with theatre.new(subscription_queue=100_000) as play, ExitStack() as watching:
        bulk.credentials(play, play.alder, bulk.times(60))
        much = " ".join(f"a{number}{'_' * 1000}: name" for number in range(25))
        document = f"subscription {{ credentialChanged {{ eventType credential {{ {much} }} }} }}"
        stream = watching.enter_context(streaming(play.auditor, document))
        socket = watching.enter_context(connecting(play.member, max_queue=1, close_timeout=0.1)).begin()
        socket.send("subscribe", id="1", payload={"query": document})
        other = watching.enter_context(over_sse(play.administrator))
        watches = play.server.app.state.deployment.watches
        for _ in range(100):
            for step in ("suspendService", "resumeService"):
                play.operator.do(step, "service { id }", serviceId=play.alder.services["certificates"])
                assert len([other.told() for _ in range(60)]) == 60
            if len(watches) == 1:
                break
        else:
            raise AssertionError("they were waited for")
        wait_until_open(play, 1)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            list(stream.response.iter_raw())


def wait_until_open(play: Play, connections: int) -> None:
    """Until the server has no more connections than these, those of clients that take nothing among them."""
    give_up = time.monotonic() + 5
    while (count := len(play.server.connections)) > connections:
        assert time.monotonic() < give_up, f"{count} connections are open"
        time.sleep(0.01)
