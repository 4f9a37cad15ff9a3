"""What becomes of a credential: moved to another service or identity, revoked, its key shown again; by whom."""

from typing import Any

import pytest

from models.credential import RevocationReason
from tests.support.audit import events, recorded, user_id
from tests.support.server import Client
from tests.support.world import Play

MOVED = "credential { id status usable service { id } identity { id } maskedApiKey expiresAt owner { id } }"
REVOKED = "credential { id name status usable blockers revokedAt revocationReason }"
BY = " (by the provider)"
STEPS = {"reassociateCredential": MOVED, "revokeCredential": REVOKED, "revealApiKey": "apiKey"}


@pytest.fixture
def credential(play: Play) -> str:
    """The member's, for the certificates and the active identity."""
    id_: str = play.generate("ci")["credential"]["id"]
    return id_


def other_service(play: Play) -> dict[str, str]:
    return {"serviceId": play.alder.services["timestamps"]}


def grant_second_member(play: Play) -> Client:
    play.rows.set("users", play.alder.users["member_without_access"], "api_access = true")
    return play.member_without_access


def refusals(play: Play, client: Client, step: str, **fields: Any) -> list[tuple[str, list[str] | None]]:
    """Of a step that is refused, and so leaves every row as it was."""
    with play.rows.unchanged():
        return client.refusals(step, STEPS[step], **fields)


# ---------------------------------------------------------------- moving


def test_a_credential_is_moved_to_another_service_another_identity_or_both(play: Play, credential: str) -> None:
    services, identities = play.alder.services, play.alder.identities
    for wanted, service, identity in (
        ({"serviceId": services["timestamps"]}, "timestamps", "active"),
        ({"identityId": identities["other"]}, "timestamps", "other"),
        ({"serviceId": services["certificates"], "identityId": identities["active"]}, "certificates", "active"),
        ({"serviceId": services["certificates"], "identityId": identities["other"]}, "certificates", "other"),
    ):
        told = f"Credential ci was moved to service alder {service} and identity alder {identity}"
        member = play.alder.users["member"]
        with recorded(play, play.alder.id, ("credential.reassociated", member, credential, told)):
            moved = play.member.do("reassociateCredential", MOVED, credentialId=credential, **wanted)["credential"]
        assert moved["service"] == {"id": services[service]}
        assert moved["identity"] == {"id": identities[identity]}


def test_moving_changes_the_associations_and_nothing_else(play: Play) -> None:
    keys = play.keys("ci")
    columns = (
        "SELECT id, name, api_key, secret_hash, hashing_key_id, owner_id, account_id, expires_at, created_at,"
        " delivery_method, last_used_at, revoked_at FROM credentials"
    )
    before = play.rows.execute(columns)
    credential = play.member.data("{ credentials { nodes { id } } }")["nodes"][0]["id"]
    play.member.do("reassociateCredential", MOVED, credentialId=credential, **other_service(play))
    assert play.rows.execute(columns) == before
    assert play.nobody.do("login", "scope", **keys)["scope"] == "timestamps"


def test_an_administrator_and_an_operator_move_others_credentials(play: Play, credential: str) -> None:
    administrator = play.alder.users["administrator"]
    told = "Credential ci was moved to service alder timestamps and identity alder active"
    with recorded(play, play.alder.id, ("credential.reassociated", administrator, credential, told)):
        moved = play.administrator.do("reassociateCredential", MOVED, credentialId=credential, **other_service(play))
    assert moved["credential"]["owner"] == {"id": play.alder.users["member"]}
    told = f"Credential ci was moved to service alder timestamps and identity alder other{BY}"
    with recorded(play, play.alder.id, ("credential.reassociated", user_id(play), credential, told)):
        identity = play.alder.identities["other"]
        play.operator.do("reassociateCredential", MOVED, credentialId=credential, identityId=identity)


@pytest.mark.parametrize("where", [{}, {"serviceId": None}, {"serviceId": None, "identityId": None}])
def test_a_move_says_where_to(play: Play, credential: str, where: dict[str, None]) -> None:
    expected = [("REQUIRED", None)]
    assert refusals(play, play.member, "reassociateCredential", credentialId=credential, **where) == expected


def test_a_move_to_where_it_is_is_refused(play: Play, credential: str) -> None:
    service, identity = play.alder.services["certificates"], play.alder.identities["active"]
    for where in ({"serviceId": service}, {"identityId": identity}, {"serviceId": service, "identityId": identity}):
        answered = refusals(play, play.member, "reassociateCredential", credentialId=credential, **where)
        assert answered == [("CONFLICT", None)]


def test_a_move_to_what_is_not_active_is_refused(play: Play, credential: str) -> None:
    services, identities = play.alder.services, play.alder.identities
    play.operator.do("suspendService", "service { id }", serviceId=services["timestamps"])
    play.operator.do("suspendIdentity", "identity { id }", identityId=identities["other"])
    for where, expected in (
        ({"serviceId": services["timestamps"]}, ("SERVICE_NOT_ACTIVE", ["serviceId"])),
        ({"identityId": identities["other"]}, ("IDENTITY_NOT_ACTIVE", ["identityId"])),
        ({"identityId": identities["pending"]}, ("IDENTITY_NOT_ACTIVE", ["identityId"])),
        ({"identityId": identities["lone"]}, ("IDENTITY_NOT_LINKED_TO_SERVICE", ["identityId"])),
    ):
        answered = refusals(play, play.member, "reassociateCredential", credentialId=credential, **where)
        assert answered == [expected]


def test_a_move_needs_only_the_new_parties_to_be_active(play: Play, credential: str) -> None:
    """The very reason to move: the service that it has can't be used any more."""
    play.operator.do("cancelService", "service { id }", serviceId=play.alder.services["certificates"])
    moved = play.member.do("reassociateCredential", MOVED, credentialId=credential, **other_service(play))
    assert moved["credential"]["usable"] is True


def test_what_it_moves_to_is_of_the_credentials_account_whoever_moves_it(play: Play, credential: str) -> None:
    others = {"serviceId": play.birch.services["timestamps"], "identityId": play.birch.identities["other"]}
    for client in (play.member, play.administrator, play.operator):
        for field, id_ in others.items():
            for wrong in (id_, "nobodys"):
                wanted = {"credentialId": credential, field: wrong}
                assert refusals(play, client, "reassociateCredential", **wanted) == [("NOT_FOUND", [field])]


def test_only_an_active_credential_is_moved(play: Play) -> None:
    expired = play.generate("expired", expiry={"at": play.clock.in_(minutes=1)})["credential"]["id"]
    revoked = play.generate("revoked")["credential"]["id"]
    play.member.do("revokeCredential", REVOKED, credentialId=revoked)
    play.clock.advance(minutes=1)
    for credential in (expired, revoked):
        wanted = {"credentialId": credential, **other_service(play)}
        answered = refusals(play, play.member, "reassociateCredential", **wanted)
        assert answered == [("CREDENTIAL_NOT_ACTIVE", ["credentialId"])]


# ---------------------------------------------------------------- revoking


def test_a_revocation_is_shown_with_its_instant_and_reason(play: Play, credential: str) -> None:
    play.clock.advance(minutes=5)
    told = "Credential ci was revoked: KEY_COMPROMISE"
    member = play.alder.users["member"]
    with recorded(play, play.alder.id, ("credential.revoked", member, credential, told)):
        revoked = play.member.do("revokeCredential", REVOKED, credentialId=credential, reason="KEY_COMPROMISE")
    assert revoked["credential"] == {
        "id": credential,
        "name": "ci",
        "status": "REVOKED",
        "usable": False,
        "blockers": ["REVOKED"],
        "revokedAt": "2026-01-15T12:05:00Z",
        "revocationReason": "KEY_COMPROMISE",
    }
    assert play.member.data("{ credentials { totalCount } }") == {"totalCount": 0}


def test_an_administrator_and_an_operator_revoke_others_credentials(play: Play) -> None:
    for name, client, actor, by in (
        ("one", play.administrator, play.alder.users["administrator"], ""),
        ("two", play.operator, user_id(play), BY),
    ):
        credential = play.generate(name)["credential"]["id"]
        told = f"Credential {name} was revoked: UNSPECIFIED{by}"
        with recorded(play, play.alder.id, ("credential.revoked", actor, credential, told)):
            client.do("revokeCredential", REVOKED, credentialId=credential)


def test_a_revocation_is_final_and_repeating_it_changes_nothing(play: Play, credential: str) -> None:
    play.member.do("revokeCredential", REVOKED, credentialId=credential, reason="SUPERSEDED")
    play.clock.advance(minutes=5)
    for client in (play.member, play.administrator, play.operator):
        answered = refusals(play, client, "revokeCredential", credentialId=credential, reason="KEY_COMPROMISE")
        assert answered == [("ALREADY_REVOKED", ["credentialId"])]


def test_an_expired_credential_is_revoked_all_the_same(play: Play) -> None:
    credential = play.generate("ci", expiry={"at": play.clock.in_(minutes=1)})["credential"]["id"]
    play.clock.advance(minutes=1)
    revoked = play.member.do("revokeCredential", REVOKED, credentialId=credential)["credential"]
    assert (revoked["status"], revoked["blockers"]) == ("REVOKED", ["REVOKED"])


def test_every_reason_is_kept(play: Play) -> None:
    for reason in RevocationReason:
        credential = play.generate()["credential"]["id"]
        revoked = play.member.do("revokeCredential", REVOKED, credentialId=credential, reason=reason)["credential"]
        assert revoked["revocationReason"] == reason


@pytest.mark.parametrize("reason", ["BECAUSE", "unspecified", 1, None])
def test_a_revocation_has_one_of_the_reasons(play: Play, credential: str, reason: Any) -> None:
    document = "mutation ($input: RevokeCredentialInput!) { revokeCredential(input: $input) { credential { id } } }"
    with play.rows.unchanged():
        code = play.member.error_code(document, input={"credentialId": credential, "reason": reason})
    assert code == "BAD_USER_INPUT"


# ---------------------------------------------------------------- revealing


def test_the_owner_sees_the_whole_key_again_and_each_time_is_recorded(play: Play) -> None:
    generated = play.generate("ci")
    credential, member = generated["credential"]["id"], play.alder.users["member"]
    viewed = ("credential.viewed", member, credential, "Credential ci was viewed: its API key was shown")
    with recorded(play, play.alder.id, viewed, viewed):
        shown = [play.member.do("revealApiKey", "apiKey", credentialId=credential)["apiKey"] for _ in range(2)]
    assert shown == [generated["delivery"]["apiKey"]] * 2


def test_the_key_of_an_encrypted_delivery_and_of_a_revoked_credential_is_shown_too(play: Play) -> None:
    credential = play.generate("ci")["credential"]["id"]
    play.member.do("revokeCredential", REVOKED, credentialId=credential)
    assert play.member.do("revealApiKey", "apiKey", credentialId=credential)["apiKey"].startswith("sealkey_key_")


@pytest.mark.parametrize("who", ["operator", "administrator", "auditor"])
def test_nobody_but_its_owner_is_shown_a_key(play: Play, credential: str, who: str) -> None:
    document = "mutation ($id: ID!) { revealApiKey(input: {credentialId: $id}) { apiKey } }"
    with play.rows.unchanged():
        assert getattr(play, who).error_code(document, id=credential) == "FORBIDDEN"


# ---------------------------------------------------------------- by whom


@pytest.mark.parametrize("step", STEPS)
def test_anothers_credential_is_answered_as_one_that_is_not_there(play: Play, credential: str, step: str) -> None:
    """Another member's of the same account, and of another account, whoever asks there."""
    clients = [grant_second_member(play), play.other_member]
    if step != "revealApiKey":
        clients.append(play.other_administrator)
    for client in clients:
        with play.rows.unchanged():
            payloads = [
                client.mutate(step, STEPS[step], credentialId=id_, **where(play, client, step))
                for id_ in (credential, f"cred_{'0' * 32}", "nobodys", "", credential.replace("cred", "svc"))
            ]
        (error,) = payloads[0]["userErrors"]
        assert (error["code"], error["field"]) == ("NOT_FOUND", ["credentialId"])
        assert all(payload == payloads[0] for payload in payloads)


def where(play: Play, client: Client, step: str) -> dict[str, str]:
    account = play.birch if client in (play.other_member, play.other_administrator) else play.alder
    return {"serviceId": account.services["timestamps"]} if step == "reassociateCredential" else {}


@pytest.mark.parametrize("step", STEPS)
def test_who_lost_api_access_is_told_so(play: Play, credential: str, step: str) -> None:
    play.rows.set("users", play.alder.users["member"], "api_access = false")
    wanted = {"credentialId": credential, **where(play, play.member, step)}
    assert refusals(play, play.member, step, **wanted) == [("API_ACCESS_REMOVED", None)]


def test_a_member_does_not_lose_a_credential_by_becoming_an_administrator_but_it_is_blocked(play: Play) -> None:
    keys = play.keys("ci")
    play.rows.set("users", play.alder.users["member"], "role = 'ADMINISTRATOR'")
    (node,) = play.member.data("{ credentials { nodes { id blockers } } }")["nodes"]
    assert node["blockers"] == ["OWNER_ACCESS_REMOVED"]
    assert play.nobody.refusals("login", "scope", **keys) == [("API_ACCESS_REMOVED", None)]


def test_the_log_of_an_account_tells_every_step_in_order(play: Play, credential: str) -> None:
    play.member.do("reassociateCredential", MOVED, credentialId=credential, **other_service(play))
    play.member.do("revealApiKey", "apiKey", credentialId=credential)
    play.administrator.do("revokeCredential", REVOKED, credentialId=credential)
    assert [event.type for event in events(play, play.alder.id, subjectId=credential)] == [
        "credential.generated",
        "credential.reassociated",
        "credential.viewed",
        "credential.revoked",
    ]
