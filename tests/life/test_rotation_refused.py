"""A rotation that is refused says why, and changes nothing."""

from datetime import timedelta
from typing import Any

import pytest

from tests.life.scene import Scene, keys
from tests.support.server import Client

Refusals = list[tuple[str, list[str] | None]]

NOT_ACTIVE = [("CREDENTIAL_NOT_ACTIVE", ["credentialId"])]


def refused(scene: Scene, credential: Any, client: Client | None = None, **fields: Any) -> Refusals:
    """What a rotation is refused with; it must leave all as it was, but for the log of denials."""
    before = everything(scene)
    wanted = {"credentialId": credential["credential"]["id"], "delivery": {"method": "VIEW_AND_COPY"}, **fields}
    refusals = (client or scene.member).refusals("rotateCredential", "credential { id }", **wanted)
    assert everything(scene) == before
    return refusals


def everything(scene: Scene) -> Any:
    document = """{ credentials(filter: {statuses: [ACTIVE, RETIRING, EXPIRED, REVOKED]}) { nodes {
        id status expiresAt predecessor { id } successor { id }
    } } }"""
    return scene.operator.data(document)


def test_a_retiring_credential_is_not_rotated_again(scene: Scene) -> None:
    old = scene.generate()
    scene.rotate(old)
    assert refused(scene, old) == NOT_ACTIVE


def test_an_expired_credential_is_not_rotated(scene: Scene) -> None:
    end = scene.clock() + timedelta(hours=1)
    old = scene.generate(expiry={"at": end.isoformat()})
    scene.at(end)
    assert refused(scene, old) == NOT_ACTIVE


def test_one_whose_grace_was_none_is_not_rotated_again(scene: Scene) -> None:
    old = scene.generate()
    scene.rotate(old, graceHours=0)
    assert refused(scene, old) == NOT_ACTIVE


def test_a_revoked_credential_is_not_rotated(scene: Scene) -> None:
    old = scene.generate()
    scene.member.do("revokeCredential", "credential { id }", credentialId=old["credential"]["id"])
    assert refused(scene, old) == NOT_ACTIVE


@pytest.mark.parametrize(
    ("verb", "refusals"),
    [
        ("suspendService", [("SERVICE_NOT_ACTIVE", None)]),
        ("cancelService", [("SERVICE_NOT_ACTIVE", None)]),
        ("suspendIdentity", [("IDENTITY_NOT_ACTIVE", None)]),
        ("unlinkIdentityFromService", [("IDENTITY_NOT_LINKED_TO_SERVICE", None)]),
    ],
)
def test_what_blocks_a_credential_keeps_it_from_being_rotated(scene: Scene, verb: str, refusals: Refusals) -> None:
    old = scene.generate()
    parties = {"serviceId": scene.alder.services["certificates"], "identityId": scene.alder.identities["active"]}
    wanted = {name: id_ for name, id_ in parties.items() if name[:-2] in verb.lower()}
    scene.operator.do(verb, "identity { id }" if verb == "suspendIdentity" else "service { id }", **wanted)
    assert refused(scene, old) == refusals


def test_an_ended_service_keeps_its_credentials_from_being_rotated(scene: Scene) -> None:
    old, end = scene.generate(), scene.clock() + timedelta(hours=1)
    service = {"serviceId": scene.alder.services["certificates"]}
    scene.operator.do("renewService", "service { id }", **service, expiresAt=end.isoformat())
    scene.at(end)
    assert refused(scene, old) == [("SERVICE_NOT_ACTIVE", None)]


def test_without_api_access_nobody_rotates(scene: Scene) -> None:
    old = scene.generate()
    scene.operator.do("removeApiAccess", "user { id }", userId=scene.alder.users["member"])
    assert refused(scene, old) == [("API_ACCESS_REMOVED", None)]
    scene.operator.do("grantApiAccess", "user { id }", userId=scene.alder.users["member"])
    assert scene.rotate(old)["credential"]["usable"] is True


def test_nobody_of_a_suspended_account_rotates(scene: Scene) -> None:
    old = scene.generate()
    scene.operator.do("suspendAccount", "account { id }", accountId=scene.alder.id)
    before = everything(scene)
    document = """mutation ($id: ID!) { rotateCredential(input: {
        credentialId: $id, delivery: {method: VIEW_AND_COPY}}) { credential { id } } }"""
    assert scene.member.error_code(document, id=old["credential"]["id"]) == "UNAUTHENTICATED"
    assert everything(scene) == before


@pytest.mark.parametrize("who", ["administrator", "operator", "auditor"])
def test_only_an_owner_rotates(scene: Scene, who: str) -> None:
    """Whoever else could would hold the new secret."""
    old = scene.generate()
    before = everything(scene)
    document = """mutation ($id: ID!) { rotateCredential(input: {
        credentialId: $id, delivery: {method: VIEW_AND_COPY}}) { credential { id } } }"""
    client: Client = getattr(scene.play, who)
    assert client.error_code(document, id=old["credential"]["id"]) == "FORBIDDEN"
    assert everything(scene) == before


def test_another_members_credential_is_not_there(scene: Scene) -> None:
    scene.operator.do("grantApiAccess", "user { id }", userId=scene.alder.users["member_without_access"])
    not_found = [("NOT_FOUND", ["credentialId"])]
    assert refused(scene, scene.generate(), scene.play.member_without_access) == not_found
    assert refused(scene, {"credential": {"id": f"cred_{0:032x}"}}) == not_found


def test_another_accounts_credential_is_not_there(scene: Scene) -> None:
    assert refused(scene, scene.generate(), scene.play.other_member) == [("NOT_FOUND", ["credentialId"])]


@pytest.mark.parametrize("hours", [-1, 721, 2**31 - 1, -(2**31)])
def test_grace_has_bounds(scene: Scene, hours: int) -> None:
    assert refused(scene, scene.generate(), graceHours=hours) == [("INVALID", ["graceHours"])]


@pytest.mark.parametrize("hours", [0, 720])
def test_the_bounds_of_grace_themselves_are_fine(scene: Scene, hours: int) -> None:
    assert scene.rotate(scene.generate(), graceHours=hours)["credential"]["status"] == "ACTIVE"


@pytest.mark.parametrize(
    ("policy", "fields", "refusals"),
    [
        (
            {"allowedDeliveryMethods": ["ENCRYPTED_FILE"]},
            {},
            [("NOT_ALLOWED_BY_POLICY", ["delivery", "method"])],
        ),
        (
            {"maximumExpiryMonths": 12},
            {"expiry": {"months": 13}},
            [("NOT_ALLOWED_BY_POLICY", ["expiry", "months"])],
        ),
        (
            {"maximumExpiryMonths": 12},
            {"expiry": {"at": "2027-01-15T12:00:01Z"}},
            [("NOT_ALLOWED_BY_POLICY", ["expiry", "at"])],
        ),
        ({}, {"expiry": {"never": True}}, [("NOT_ALLOWED_BY_POLICY", ["expiry", "never"])]),
        ({}, {"expiry": {"never": False}}, [("INVALID", ["expiry", "never"])]),
        ({}, {"expiry": {"months": 0}}, [("INVALID", ["expiry", "months"])]),
        ({}, {"expiry": {"months": 1201}}, [("INVALID", ["expiry", "months"])]),
        ({}, {"expiry": {"at": "2026-01-15T12:00:00Z"}}, [("INVALID", ["expiry", "at"])]),
        ({}, {"delivery": {"method": "ENCRYPTED_FILE"}}, [("REQUIRED", ["delivery", "publicKey"])]),
        ({}, {"idempotencyKey": "k" * 21}, [("INVALID", ["idempotencyKey"])]),
    ],
)
def test_the_policy_holds_for_successors_too(
    scene: Scene, policy: dict[str, Any], fields: dict[str, Any], refusals: Refusals
) -> None:
    old = scene.generate()
    if policy:
        scene.operator.do("updateCredentialPolicy", "account { id }", accountId=scene.alder.id, **policy)
    assert refused(scene, old, **fields) == refusals
    assert scene.gateway.do("verifyCredential", "code", **keys(old))["code"] == "OK"


def test_a_rotation_takes_no_place_under_the_limit(scene: Scene) -> None:
    """Two is the limit: each is rotated all the same, and the retiring ones do not count for a third."""
    scene.rotate(scene.generate("first"))
    second = scene.generate("second")
    scene.rotate(second)
    wanted = {
        "name": "third",
        "serviceId": scene.alder.services["certificates"],
        "identityId": scene.alder.identities["active"],
        "delivery": {"method": "VIEW_AND_COPY"},
    }
    assert scene.member.refusals("generateCredential", "credential { id }", **wanted) == [("LIMIT_REACHED", None)]


def test_beyond_a_limit_that_was_lowered_what_is_there_can_be_rotated(scene: Scene) -> None:
    olds = [scene.generate("first"), scene.generate("second")]
    scene.operator.do(
        "updateCredentialPolicy", "account { id }", accountId=scene.alder.id, maxActiveCredentialsPerUser=0
    )
    assert [scene.rotate(old)["credential"]["status"] for old in olds] == ["ACTIVE", "ACTIVE"]


def test_a_successor_keeps_what_its_predecessor_had(scene: Scene) -> None:
    wanted = """name allowedNetworks service { id } identity { id } owner { id }"""
    old = scene.generate(allowedNetworks=["192.0.2.0/24"], identityId=scene.alder.identities["other"])
    new = scene.rotate(old)
    document = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on Credential {{ {wanted} }} }} }}"
    ids = [each["credential"]["id"] for each in (old, new)]
    before, after = scene.member.data(document, ids=ids)
    assert before == after
    assert keys(old) != keys(new)
