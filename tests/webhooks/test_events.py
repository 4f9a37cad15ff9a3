"""Every event is told when and only when it happens."""

import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest

from models.audit import AuditEvent
from resolvers import webhook_announcements
from resolvers.caller import Caller, Deployment
from tests.support.rows import row_id
from tests.support.server import Client
from tests.webhooks.conftest import Hooks

SHOWN_ONCE = {"method": "VIEW_AND_COPY"}
Act = Callable[[Hooks], Any]


def generated(hooks: Hooks, name: str = "ci") -> str:
    """A credential of the member's; nothing is left to be told of it."""
    credential_id: str = hooks.play.generate(name)["credential"]["id"]
    hooks.forget()
    return credential_id


def rotate(hooks: Hooks, credential_id: str, grace_hours: int = 24) -> str:
    rotated = hooks.play.member.do(
        "rotateCredential",
        "credential { id }",
        credentialId=credential_id,
        delivery=SHOWN_ONCE,
        graceHours=grace_hours,
    )
    successor_id: str = rotated["credential"]["id"]
    return successor_id


def move(hooks: Hooks, credential_id: str, service: str) -> None:
    service_id = hooks.play.alder.services[service]
    hooks.play.member.do("reassociateCredential", "credential { id }", credentialId=credential_id, serviceId=service_id)


def described(hooks: Hooks, credential_id: str, **but: Any) -> dict[str, Any]:
    """What a message says of a new credential of the member's, but for what is named."""
    return {
        "credentialId": credential_id,
        "name": "ci",
        "status": "ACTIVE",
        "blockers": [],
        "serviceId": hooks.play.alder.services["certificates"],
        "identityId": hooks.play.alder.identities["active"],
        "ownerId": hooks.play.alder.users["member"],
        "predecessorId": None,
        **but,
    }


def test_generating_rotating_moving_and_revoking_are_told_once_each(hooks: Hooks) -> None:
    hooks.subscribe()
    credential_id = hooks.play.generate("ci")["credential"]["id"]
    assert hooks.told() == [("credential.generated", described(hooks, credential_id))]

    successor_id = rotate(hooks, credential_id)
    told = described(hooks, successor_id, predecessorId=credential_id)
    assert ("credential.rotated", told) in (messages := hooks.told())
    # The old one has a day to live now.
    assert [type_ for type_, _ in messages] == ["credential.expiring", "credential.rotated"]

    move(hooks, successor_id, "timestamps")
    moved = {**told, "serviceId": hooks.play.alder.services["timestamps"]}
    assert hooks.told() == [("credential.reassociated", moved)]

    hooks.play.member.do("revokeCredential", "credential { id }", credentialId=successor_id)
    assert hooks.told() == [("credential.revoked", {**moved, "status": "REVOKED", "blockers": ["REVOKED"]})]
    assert hooks.told() == []


def test_a_message_says_what_happened_and_when_and_nothing_of_key_or_secret(hooks: Hooks) -> None:
    endpoint = hooks.subscribe()
    delivery = hooks.play.generate("ci")["delivery"]
    (message,) = hooks.messages()

    body = message.verify(endpoint.secret, hooks.play.clock.now)
    assert set(body) == {"type", "timestamp", "data"}
    assert body["timestamp"] == "2026-01-15T12:00:00Z"
    assert delivery["apiKey"] not in str(body)
    assert delivery["apiSecret"] not in str(body)


def test_revoking_a_lineage_tells_of_each_that_ended(hooks: Hooks) -> None:
    hooks.subscribe("CREDENTIAL_REVOKED")
    old_id = generated(hooks)
    new_id = rotate(hooks, old_id)
    hooks.play.member.do("revokeCredential", "credential { id }", credentialId=new_id, lineage=True)

    assert sorted(data["credentialId"] for _, data in hooks.told()) == sorted([old_id, new_id])


_NAMED = {"users": ("userId", "user"), "identities": ("identityId", "identity"), "services": ("serviceId", "service")}


def do(mutation: str, kind: str, name: str, who: str = "operator") -> Act:
    """A mutation by somebody, of one of the Alder account's things."""
    field, payload = _NAMED[kind]

    def act(hooks: Hooks) -> None:
        client: Client = getattr(hooks.play, who)
        client.do(mutation, f"{payload} {{ id }}", **{field: getattr(hooks.play.alder, kind)[name]})

    return act


def of_account(name: str) -> Act:
    return lambda hooks: hooks.play.operator.do(name, "account { id }", accountId=hooks.play.alder.id)


def role(name: str) -> Act:
    return lambda hooks: hooks.play.administrator.do(
        "setUserRole", "user { id }", userId=hooks.play.alder.users["member"], role=name
    )


def renew(hooks: Hooks) -> None:
    service_id = hooks.play.alder.services["certificates"]
    hooks.play.operator.do("renewService", "service { id }", serviceId=service_id, expiresAt="2027-06-01T00:00:00Z")


remove_access = do("removeApiAccess", "users", "member", "administrator")
grant_access = do("grantApiAccess", "users", "member", "administrator")
deactivate, reactivate = do("deactivateUser", "users", "member"), do("reactivateUser", "users", "member")
suspend_identity = do("suspendIdentity", "identities", "active")
reinstate_identity = do("reinstateIdentity", "identities", "active")
suspend_service = do("suspendService", "services", "certificates")
resume_service = do("resumeService", "services", "certificates")
cancel_service = do("cancelService", "services", "certificates")

# What blocks a credential, what it is then blocked by, and what lifts the block.
CAUSES: list[tuple[Act, str, Act]] = [
    (remove_access, "OWNER_ACCESS_REMOVED", grant_access),
    (deactivate, "OWNER_DEACTIVATED", reactivate),
    (role("AUDITOR"), "OWNER_ACCESS_REMOVED", role("MEMBER")),
    (of_account("suspendAccount"), "ACCOUNT_SUSPENDED", of_account("reinstateAccount")),
    (suspend_identity, "IDENTITY_NOT_ACTIVE", reinstate_identity),
    (suspend_service, "SERVICE_SUSPENDED", resume_service),
]


def test_each_cause_blocks_once_and_its_lifting_unblocks_once(hooks: Hooks) -> None:
    hooks.subscribe()
    credential_id = generated(hooks)
    for block, blocker, lift in CAUSES:
        block(hooks)
        expected = described(hooks, credential_id, blockers=[blocker])
        assert hooks.told() == [("credential.blocked", expected)], blocker
        lift(hooks)
        assert hooks.told() == [("credential.unblocked", described(hooks, credential_id))], blocker


def test_a_second_cause_is_not_told_and_only_the_last_one_lifted_unblocks(hooks: Hooks) -> None:
    hooks.subscribe()
    generated(hooks)
    suspend_service(hooks)
    assert hooks.types() == ["credential.blocked"]

    suspend_identity(hooks)
    resume_service(hooks)
    assert hooks.types() == []

    reinstate_identity(hooks)
    assert hooks.types() == ["credential.unblocked"]


def test_of_two_causes_at_the_same_moment_one_blocks_and_of_two_lifted_one_unblocks(hooks: Hooks) -> None:
    hooks.subscribe()
    generated(hooks)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            list(pool.map(lambda act: act(hooks), [suspend_service, suspend_identity]))
            assert hooks.types() == ["credential.blocked"]
            list(pool.map(lambda act: act(hooks), [resume_service, reinstate_identity]))
            assert hooks.types() == ["credential.unblocked"]


def test_who_is_told_of_blocks_alone_is_told_of_none_that_another_one_was_lifted_after(hooks: Hooks) -> None:
    generated(hooks)
    suspend_identity(hooks)
    hooks.subscribe("CREDENTIAL_BLOCKED")
    suspend_service(hooks)
    reinstate_identity(hooks)
    assert hooks.types() == [], "it was blocked before"


def test_what_changes_nothing_about_a_block_tells_nothing(hooks: Hooks) -> None:
    hooks.subscribe("CREDENTIAL_BLOCKED", "CREDENTIAL_UNBLOCKED")
    generated(hooks)
    renew(hooks)
    assert hooks.types() == [], "it worked before, and works on"

    suspend_service(hooks)
    assert hooks.types() == ["credential.blocked"]
    renew(hooks)
    cancel_service(hooks)
    assert hooks.types() == [], "it is blocked as before"


def test_an_owner_who_goes_from_one_role_without_credentials_to_another_blocks_once(hooks: Hooks) -> None:
    hooks.subscribe("CREDENTIAL_BLOCKED", "CREDENTIAL_UNBLOCKED")
    generated(hooks)
    role("AUDITOR")(hooks)
    role("ADMINISTRATOR")(hooks)
    assert hooks.types() == ["credential.blocked"]


def test_a_renewal_after_the_end_unblocks(hooks: Hooks) -> None:
    hooks.subscribe("CREDENTIAL_BLOCKED", "CREDENTIAL_UNBLOCKED")
    service_id = hooks.play.alder.services["certificates"]
    hooks.play.operator.do("renewService", "service { id }", serviceId=service_id, expiresAt="2026-01-15T13:00:00Z")
    generated(hooks)
    hooks.play.clock.advance(hours=1)
    assert hooks.types() == [], "ends that come by the clock are told of before they come"

    renew(hooks)
    assert hooks.types() == ["credential.unblocked"]


def test_an_identity_approved_again_after_its_end_unblocks(hooks: Hooks) -> None:
    hooks.subscribe("CREDENTIAL_BLOCKED", "CREDENTIAL_UNBLOCKED")
    identity_id = hooks.play.alder.identities["pending"]
    approval = {"identityId": identity_id, "validUntil": "2026-01-15T13:00:00Z"}
    hooks.play.operator.do("approveIdentity", "identity { id }", **approval)
    service_id = hooks.play.alder.services["certificates"]
    hooks.play.operator.do("linkIdentityToService", "service { id }", serviceId=service_id, identityId=identity_id)
    hooks.play.clock.advance(milliseconds=1)
    hooks.play.generate("ci", identityId=identity_id)
    hooks.play.clock.advance(hours=1)
    hooks.play.operator.do("approveIdentity", "identity { id }", identityId=identity_id)

    assert hooks.types() == ["credential.unblocked"]


def test_only_credentials_that_the_change_is_about_and_that_have_not_ended_are_told_of(hooks: Hooks) -> None:
    hooks.subscribe()
    revoked_id = generated(hooks, "revoked")
    hooks.play.member.do("revokeCredential", "credential { id }", credentialId=revoked_id)
    hooks.play.generate("expired", expiry={"at": "2026-01-15T12:00:01Z"})
    hooks.play.clock.advance(seconds=1)
    hooks.play.generate("elsewhere", serviceId=hooks.play.alder.services["timestamps"])
    hooks.play.generate("here")
    hooks.forget()

    suspend_service(hooks)
    assert [(type_, data["name"]) for type_, data in hooks.told()] == [("credential.blocked", "here")]


def test_an_endpoint_is_told_of_what_it_asked_for_in_its_own_account(hooks: Hooks) -> None:
    play = hooks.play
    revocations = hooks.subscribe("CREDENTIAL_REVOKED")
    everything = hooks.subscribe()
    hooks.subscribe(client=play.other_administrator)
    credential_id = play.generate("ci")["credential"]["id"]
    play.member.do("revokeCredential", "credential { id }", credentialId=credential_id)

    assert sorted((message.path, message.type) for message in hooks.messages()) == [
        (revocations.path, "credential.revoked"),
        (everything.path, "credential.generated"),
        (everything.path, "credential.revoked"),
    ]


def test_an_account_that_is_suspended_is_told_so_and_then_of_all_that_follows(hooks: Hooks) -> None:
    hooks.subscribe()
    credential_id = generated(hooks)
    of_account("suspendAccount")(hooks)
    assert hooks.types() == ["credential.blocked"]
    hooks.play.operator.do("revokeCredential", "credential { id }", credentialId=credential_id)
    assert hooks.types() == ["credential.revoked"]


def test_each_change_is_told_as_it_was_then_whatever_came_since(hooks: Hooks) -> None:
    """What it means for each credential is worked out afterwards, some at a time."""
    hooks.subscribe("CREDENTIAL_BLOCKED", "CREDENTIAL_UNBLOCKED")
    ids = [hooks.play.generate(name)["credential"]["id"] for name in ("one", "two")]
    for act in (suspend_service, suspend_identity, resume_service, reinstate_identity, remove_access):
        act(hooks)
        hooks.play.clock.advance(seconds=1)
    with pytest.MonkeyPatch.context() as meanwhile:
        meanwhile.setattr(webhook_announcements, "_CREDENTIALS_AT_ONCE", 1)
        came = sorted(hooks.messages(), key=lambda message: str(json.loads(message.body)["timestamp"]))
    for credential_id in ids:
        told = [message for message in came if message.data["credentialId"] == credential_id]
        assert [(message.type, message.data["blockers"]) for message in told] == [
            ("credential.blocked", ["SERVICE_SUSPENDED"]),
            ("credential.unblocked", []),
            ("credential.blocked", ["OWNER_ACCESS_REMOVED"]),
        ]
    assert hooks.rows.execute("SELECT id FROM webhook_announcements") == []


def test_a_change_that_comes_late_to_those_that_are_being_told_blocks_nothing_again(hooks: Hooks) -> None:
    """It had its number first, and its transaction ended when of another change the first message was written."""
    hooks.subscribe("CREDENTIAL_BLOCKED")
    for name in ("one", "two"):
        generated(hooks, name)
    account_id = UUID(row_id(hooks.play.alder.id))

    async def write_some(deployment: Deployment) -> None:
        await webhook_announcements._write_some(Caller(None, None, deployment.clock(), deployment), account_id)

    with pytest.MonkeyPatch.context() as meanwhile:
        meanwhile.setattr(webhook_announcements, "_CREDENTIALS_AT_ONCE", 1)
        suspend_identity(hooks)
        hooks.play.server.run(write_some)
        suspend_service(hooks)
        hooks.rows.execute("UPDATE webhook_announcements SET id = id - 1000 WHERE party = 'service'")
        told = hooks.told()
    assert [(data["name"], data["blockers"]) for _, data in told] == [
        ("one", ["IDENTITY_NOT_ACTIVE"]),
        ("two", ["IDENTITY_NOT_ACTIVE"]),
    ]


@pytest.mark.engine("sqlite")
def test_others_may_write_while_many_are_told_of(hooks: Hooks) -> None:
    hooks.subscribe("CREDENTIAL_BLOCKED")
    for name in ("one", "two"):
        generated(hooks, name)
    suspend_service(hooks)
    wrote = list[str]()

    async def write() -> None:
        with closing(sqlite3.connect(hooks.rows.url.removeprefix("sqlite://"), timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")
            wrote.append("something")

    with pytest.MonkeyPatch.context() as meanwhile:
        meanwhile.setattr(webhook_announcements, "_CREDENTIALS_AT_ONCE", 1)
        meanwhile.setattr(webhook_announcements, "let_others_write", write)
        assert hooks.types() == ["credential.blocked"] * 2
    assert len(wrote) >= 2


def refusals_of(hooks: Hooks) -> list[tuple[Client, str, dict[str, Any], str]]:
    """Who asks for what in vain, and the code of the refusal."""
    member, operator, alder = hooks.play.member, hooks.play.operator, hooks.play.alder
    credential_id, revoked_id = generated(hooks, "ci"), generated(hooks, "gone")
    member.do("revokeCredential", "credential { id }", credentialId=revoked_id)
    service_id, identity_id = alder.services["certificates"], alder.identities["active"]
    parties = {"serviceId": service_id, "identityId": identity_id, "delivery": SHOWN_ONCE}
    pending = {**parties, "identityId": alder.identities["pending"]}
    return [
        (member, "generateCredential", {**parties, "name": "ci"}, "TAKEN"),
        (member, "generateCredential", {**pending, "name": "other"}, "IDENTITY_NOT_ACTIVE"),
        (member, "rotateCredential", {"credentialId": revoked_id, "delivery": SHOWN_ONCE}, "CREDENTIAL_NOT_ACTIVE"),
        (member, "reassociateCredential", {"credentialId": credential_id, "serviceId": service_id}, "CONFLICT"),
        (member, "revokeCredential", {"credentialId": revoked_id}, "ALREADY_REVOKED"),
        (operator, "resumeService", {"serviceId": service_id}, "CONFLICT"),
        (operator, "reinstateIdentity", {"identityId": identity_id}, "CONFLICT"),
        (operator, "reinstateAccount", {"accountId": alder.id}, "CONFLICT"),
        (operator, "reactivateUser", {"userId": alder.users["member"]}, "CONFLICT"),
    ]


def test_what_is_refused_tells_nothing(hooks: Hooks) -> None:
    hooks.subscribe()
    refused = refusals_of(hooks)
    hooks.forget()
    for client, mutation, fields, expected in refused:
        assert [code for code, _ in client.refusals(mutation, "", **fields)] == [expected], mutation
    assert hooks.waiting() == 0


def test_what_fails_at_the_very_end_tells_nothing(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks.subscribe()
    credential_id = generated(hooks)
    acts: list[Act] = [
        lambda hooks: hooks.play.generate("other"),
        lambda hooks: rotate(hooks, credential_id),
        lambda hooks: move(hooks, credential_id, "timestamps"),
        lambda hooks: hooks.play.member.do("revokeCredential", "credential { id }", credentialId=credential_id),
        *(block for block, _, _ in CAUSES),
    ]

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    # Each verb writes its event last, after its message.
    monkeypatch.setattr(AuditEvent, "save", fail)
    with hooks.rows.unchanged():
        for act in acts:
            with pytest.raises(AssertionError, match="INTERNAL_SERVER_ERROR"):
                act(hooks)
    assert hooks.waiting() == 0
