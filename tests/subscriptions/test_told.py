"""What those who watch are told, and of which credentials."""

from typing import Any

import pytest

from resolvers import credential_changes
from tests.plugins.play import Theatre
from tests.subscriptions.watching import BOTH_WAYS, over_sse, over_websocket, revoke, tell_something
from tests.support import bulk
from tests.support.subscribers import connecting, streaming
from tests.support.world import Play


@BOTH_WAYS
def test_a_member_is_told_what_becomes_of_a_credential(shared_play: Play, watching: Any) -> None:
    play = shared_play
    with watching(play.member) as watch:
        old = play.generate("told")["credential"]
        assert watch.told() == ("credential.generated", "told")
        elsewhere = {"credentialId": old["id"], "serviceId": play.alder.services["timestamps"]}
        play.member.do("reassociateCredential", "credential { id }", **elsewhere)
        assert watch.told() == ("credential.reassociated", "told")
        wanted = {"credentialId": old["id"], "delivery": {"method": "VIEW_AND_COPY"}}
        new = play.member.do("rotateCredential", "credential { id }", **wanted)["credential"]
        assert [watch.told(), watch.told()] == [("credential.retired", "told"), ("credential.rotated", "told")]
        for credential in (new, old):
            revoke(play.member, credential)
            assert watch.told() == ("credential.revoked", "told")


def test_what_is_told_is_the_change_and_the_credential_as_it_is(shared_play: Play) -> None:
    play = shared_play
    with over_sse(play.member) as stream:
        credential = play.generate("whole")["credential"]
        assert stream.change() == {
            "eventType": "credential.generated",
            "occurredAt": "2026-01-15T12:00:00Z",
            "credential": {
                "id": credential["id"],
                "name": "whole",
                "status": "ACTIVE",
                "usable": True,
                "blockers": [],
                "service": {"code": "certificates"},
            },
        }
        revoke(play.member, credential)
        assert stream.change()["credential"]["status"] == "REVOKED"


# Each blocks the credential and lifts the block again: who does it, to what, and what then stands in its way.
BLOCKS = [
    (("suspendService", "resumeService"), "serviceId", "SERVICE_SUSPENDED"),
    (("suspendIdentity", "reinstateIdentity"), "identityId", "IDENTITY_NOT_ACTIVE"),
    (("suspendAccount", "reinstateAccount"), "accountId", "ACCOUNT_SUSPENDED"),
    (("removeApiAccess", "grantApiAccess"), "userId", "OWNER_ACCESS_REMOVED"),
    (("deactivateUser", "reactivateUser"), "userId", "OWNER_DEACTIVATED"),
]


@pytest.mark.parametrize(("steps", "argument", "blocker"), BLOCKS, ids=[steps[0] for steps, *_ in BLOCKS])
def test_what_blocks_a_credential_and_lifts_it_is_told(
    shared_play: Play, steps: Any, argument: str, blocker: str
) -> None:
    play = shared_play
    credential = play.generate(f"way_{blocker.lower()}")["credential"]
    parties = {
        "serviceId": play.alder.services["certificates"],
        "identityId": play.alder.identities["active"],
        "accountId": play.alder.id,
        "userId": play.alder.users["member"],
    }
    with over_sse(play.operator) as stream:
        for step, event, blockers in zip(steps, ["blocked", "unblocked"], [[blocker], []], strict=True):
            play.operator.do(step, "userErrors { code }", **{argument: parties[argument]})
            change = stream.change()
            told = (change["eventType"], change["credential"]["id"], change["credential"]["blockers"])
            assert told == (f"credential.{event}", credential["id"], blockers)
    # Deactivating has ended the member's session.
    revoke(play.operator, credential)
    play.rows.execute("UPDATE sessions SET ended_at = NULL")


def test_a_service_that_had_expired_and_is_renewed_unblocks_and_one_that_had_not_does_not(play: Play) -> None:
    service = play.alder.services["certificates"]
    renew = {"serviceId": service, "expiresAt": play.clock.in_(days=10)}
    play.stay_signed_in()
    play.generate("renewed")
    with over_sse(play.administrator) as stream:
        play.operator.do("renewService", "service { id }", **renew)
        play.clock.advance(days=11)
        play.operator.do("renewService", "service { id }", **{**renew, "expiresAt": play.clock.in_(days=10)})
        assert stream.told() == ("credential.unblocked", "renewed")
        tell_something(play, "nothing_in_between")
        assert stream.told() == ("credential.generated", "nothing_in_between")


def test_a_credential_that_stays_blocked_is_not_told_of(theatre: Theatre) -> None:
    """Nor where all is over before it is looked at, as it may be where nobody says that there is something."""
    with theatre.new(notifications=False) as play:
        play.generate("twice_blocked")
        service, identity = play.alder.services["certificates"], play.alder.identities["active"]
        with over_sse(play.administrator) as stream:
            play.operator.do("suspendService", "service { id }", serviceId=service)
            assert stream.told() == ("credential.blocked", "twice_blocked")
            play.operator.do("suspendIdentity", "identity { id }", identityId=identity)
            play.operator.do("reinstateIdentity", "identity { id }", identityId=identity)
            play.operator.do("resumeService", "service { id }", serviceId=service)
            assert stream.told() == ("credential.unblocked", "twice_blocked")


def test_a_role_that_changes_is_told_by_what_follows(play: Play) -> None:
    play.generate("of_a_member")
    member = play.alder.users["member"]
    with over_sse(play.administrator) as stream:
        for role, event in [("AUDITOR", "blocked"), ("MEMBER", "unblocked")]:
            play.administrator.do("setUserRole", "user { id }", userId=member, role=role)
            assert stream.told() == (f"credential.{event}", "of_a_member")


@BOTH_WAYS
def test_others_are_told_what_they_may_read_and_no_more(shared_play: Play, watching: Any) -> None:
    play = shared_play
    with (
        watching(play.other_member) as of_another_account,
        watching(play.auditor) as auditor,
        watching(play.administrator) as administrator,
        watching(play.operator) as operator,
    ):
        tell_something(play, "of_alder")
        wanted = {
            "name": "of_birch",
            "serviceId": play.birch.services["certificates"],
            "identityId": play.birch.identities["active"],
            "delivery": {"method": "VIEW_AND_COPY"},
        }
        made = play.other_member.do("generateCredential", "credential { id }", **wanted)["credential"]
        revoke(play.other_administrator, made)
        alder = [(f"credential.{done}", "of_alder") for done in ("generated", "revoked")]
        birch = [(f"credential.{done}", "of_birch") for done in ("generated", "revoked")]
        assert [auditor.told(), auditor.told()] == [administrator.told(), administrator.told()] == alder
        assert [of_another_account.told(), of_another_account.told()] == birch
        assert sorted(operator.told() for _ in range(4)) == sorted(alder + birch)


def test_a_colleague_is_not_told_of_a_members_credentials(play: Play) -> None:
    colleague = play.server.client(play.alder.tokens["member_without_access"])
    play.administrator.do("grantApiAccess", "user { id }", userId=play.alder.users["member_without_access"])
    with over_sse(colleague) as stream:
        tell_something(play, "of_the_member")
        play.generate("of_the_colleague", client=colleague)
        assert stream.told() == ("credential.generated", "of_the_colleague")


def test_an_account_that_is_new_is_watched_by_the_operator_who_watches_already(play: Play) -> None:
    with over_sse(play.operator) as stream:
        account = play.operator.do("createAccount", "account { id }", name="Cedar")["account"]["id"]
        made = play.operator.do(
            "createUser", "invitationToken", accountId=account, email="m@cedar.example", displayName="m", role="MEMBER",
            apiAccess=True,
        )  # fmt: skip
        accepted = play.nobody.do(
            "acceptInvitation", "sessionToken", invitationToken=made["invitationToken"], password="a long password"
        )
        member = play.server.client(accepted["sessionToken"])
        identity = play.operator.do(
            "submitIdentity", "identity { id }", accountId=account, name="Cedar", kind="ORGANIZATION"
        )["identity"]["id"]
        play.operator.do("approveIdentity", "identity { id }", identityId=identity)
        service = play.operator.do(
            "createService", "service { id }", accountId=account, name="Scans", code="scans", identityIds=[identity]
        )["service"]["id"]
        play.generate("of_cedar", client=member, serviceId=service, identityId=identity)
        assert stream.told() == ("credential.generated", "of_cedar")


def test_what_is_asked_for_beyond_the_credential_is_what_the_viewer_may_see(shared_play: Play) -> None:
    play = shared_play
    document = """subscription {
        credentialChanged { credential { name service { credentials { nodes { name } } } auditEvents { totalCount } } }
    }"""
    with (
        streaming(play.administrator, document) as administrator,
        connecting(play.member) as socket,
    ):
        assert administrator.first() is None
        socket.begin().subscribe("1", document)
        made = play.generate("nested")["credential"]
        seen = administrator.change()["credential"]
        assert seen["name"] == "nested"
        assert {"name": "nested"} in seen["service"]["credentials"]["nodes"]
        assert seen["auditEvents"]["totalCount"] == 1
        # Members do not read the audit log.
        message = socket.receive()
        (error,) = message["payload"]["errors"]
        assert (message["type"], error["extensions"]["code"]) == ("next", "FORBIDDEN")
        revoke(play.member, made)


def test_what_follows_from_the_clock_is_not_told(play: Play) -> None:
    play.stay_signed_in()
    play.generate("ends", expiry={"months": 1})
    with over_websocket(play.member) as socket:
        play.clock.advance(days=40)
        tell_something(play, "afterwards")
        assert socket.told() == ("credential.generated", "afterwards")


def test_where_much_happens_it_is_told_bit_by_bit_and_whole(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("_EVENTS_AT_ONCE", "_ROWS_AT_ONCE", "_CHAINS_AT_ONCE"):
        monkeypatch.setattr(credential_changes, limit, 2)
    of_birch: dict[str, Any] = {
        "serviceId": play.birch.services["certificates"],
        "identityId": play.birch.identities["active"],
        "client": play.other_member,
    }
    with over_sse(play.operator) as stream:
        for number in range(3):
            tell_something(play, f"alder_{number}")
            revoke(play.other_member, play.generate(f"birch_{number}", **of_birch)["credential"])
        rows = bulk.credentials(play, play.alder, bulk.times(5))
        play.operator.do("suspendService", "service { id }", serviceId=play.alder.services["certificates"])
        told = [stream.told() for _ in range(12 + 5)]
    for account in ("alder", "birch"):
        names = [f"{account}_{number}" for number in range(3)]
        expected = [(f"credential.{done}", name) for name in names for done in ("generated", "revoked")]
        assert [each for each in told if each[1].startswith(account)] == expected
    blocked = sorted(name for type_, name in told if type_ == "credential.blocked")
    assert blocked == sorted(row["name"] for row in rows)


def test_a_field_that_is_denied_is_on_record_once_for_each_stream_when_it_was(play: Play) -> None:
    document = "subscription { credentialChanged { credential { name auditEvents { totalCount } } } }"
    with streaming(play.member, document) as stream:
        assert stream.first() is None
        play.clock.advance(minutes=5)
        tell_something(play, "denied_twice")
        for _ in range(2):
            event, body = stream.next()
            assert (event, body["errors"][0]["extensions"]["code"]) == ("next", "FORBIDDEN")
    denied = '{ auditEvents(filter: {types: ["access.denied"]}) { nodes { occurredAt } } }'
    assert play.administrator.data(denied)["nodes"] == [{"occurredAt": play.clock.in_()}]
