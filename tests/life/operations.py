"""Operations to try on a world: mostly ones that make sense there, now and then one that does not.

Chance is a `Random` and not Hypothesis's own choices, since what these are between may depend on nothing but earlier
ones: of two operations at once now the one comes first and now the other, and the world is another one then.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar

from tests.life.model import World
from tests.life.things import (
    ADMINISTRATOR,
    AUDITOR,
    IDENTITY_STEPS,
    MEMBER,
    OPERATOR,
    PERSON_STEPS,
    SERVICE_STEPS,
    Operation,
)

T = TypeVar("T")
Given = dict[str, Any]

MEMBERS = ("member", "member_without_access")
_OTHERS = ("administrator", "operator", "auditor", "stranger")
_NAMES = ("ci", "deploy", "backup", "canary", "release")
_RETRY_KEYS = (None, None, "first-key-" * 3, "other-key-" * 3)
_WAITS = [timedelta(seconds=1), timedelta(hours=1), timedelta(days=1), timedelta(days=40), timedelta(days=400)]
_FAR = datetime(9998, 1, 1, tzinfo=UTC)
_PAST = [timedelta(0), timedelta(days=-1)]
_NETWORKS = [[], ["127.0.0.0/8"], ["192.0.2.0/24"], ["192.0.2.0/24", "127.0.0.1/32"]]
_WRONG_NETWORKS = [["127.0.0.1/8"], ["192.0.2.0/24", "here"]]
_DELIVERIES: list[Given] = [
    {"method": "VIEW_AND_COPY"},
    {"method": "VIEW_AND_COPY"},
    {"method": "ENCRYPTED_FILE", "publicKey": "rsa2048"},
    {"method": "ENCRYPTED_FILE", "publicKey": "rsa3072", "format": "JWE"},
]
_WRONG_DELIVERIES: list[Given] = [
    {"method": "ENCRYPTED_FILE"},
    {"method": "ENCRYPTED_FILE", "publicKey": "private"},
    {"method": "ENCRYPTED_FILE", "publicKey": "rubbish"},
    {"method": "VIEW_AND_COPY", "publicKey": "rsa2048"},
]
_NO_PAIR = ("elsewhere", "nowhere")
_POLICIES: dict[str, tuple[Sequence[Any], Sequence[Any]]] = {
    "maxActiveCredentialsPerUser": ([1, 2, 5, 20], [-1, 0, 21, 1001]),
    "defaultExpiryMonths": ([1, 12, 24], [None, 0]),
    "maximumExpiryMonths": ([None, 12, 24], [0, 1, 1201]),
    "neverExpiresAllowed": ([True, False], [True]),
    "allowedDeliveryMethods": (
        [["VIEW_AND_COPY", "ENCRYPTED_FILE"]],
        [["ENCRYPTED_FILE"], ["VIEW_AND_COPY"], []],
    ),
    "minimumRsaKeyBits": ([2048, 3072], [1024, 20_000]),
}
# The steps that end something come one at a time with those that mend it.
_PERSON_STEPS = [*PERSON_STEPS, "grantApiAccess", "reactivateUser"]
_SERVICE_STEPS = [*SERVICE_STEPS, "renewService", "resumeService"]


def generating(chance: Random, world: World, makes: str) -> Operation:
    living = [each.name for each in world.credentials.values() if not each.revoked and not each.successor]
    pairs = sorted(world.links)
    service, identity = mostly(chance, [pair for pair in pairs if _is_active(world, *pair)], pairs or [_NO_PAIR])
    given = {
        "name": mostly(chance, [name for name in _NAMES if name not in living], [*_NAMES, "No", ""]),
        "serviceId": mostly(chance, [service], _all(world.services)),
        "identityId": mostly(chance, [identity], _all(world.identities)),
        "delivery": mostly(chance, _DELIVERIES, _WRONG_DELIVERIES),
        **_expiry(chance, world),
        **_retry_key(chance),
    }
    if chance.random() < 0.5:
        given["allowedNetworks"] = mostly(chance, _NETWORKS, _WRONG_NETWORKS)
    people = {name: world.people[name] for name in MEMBERS}
    with_access = [name for name, each in people.items() if each.api_access and each.active and each.role == MEMBER]
    return Operation(mostly(chance, with_access, [*MEMBERS, *_OTHERS[:3]]), "generateCredential", given, makes)


def rotating(chance: Random, world: World, makes: str) -> Operation:
    active = [name for name, each in world.credentials.items() if world.status(each) == "ACTIVE"]
    name = mostly(chance, active, _all(world.credentials))
    given = {
        "credentialId": name,
        "delivery": mostly(chance, _DELIVERIES, _WRONG_DELIVERIES),
        "graceHours": mostly(chance, [0, 1, 24, 720], [-1, 721]),
        **_expiry(chance, world),
        **_retry_key(chance),
    }
    who = mostly(chance, [_owner(world, name)], [*MEMBERS, *_OTHERS])
    return Operation(who, "rotateCredential", given, makes)


def moving(chance: Random, world: World, _makes: str) -> Operation:
    given = _which(chance, world)
    service, identity = mostly(chance, sorted(world.links), [_NO_PAIR])
    if chance.random() < 0.8:
        given["serviceId"] = mostly(chance, [service], _all(world.services))
    if chance.random() < 0.8:
        given["identityId"] = mostly(chance, [identity], _all(world.identities))
    return Operation(_keeper(chance, world, given), "reassociateCredential", given)


def revoking(chance: Random, world: World, _makes: str) -> Operation:
    given = {**_which(chance, world), "lineage": chance.random() < 0.5}
    return Operation(_keeper(chance, world, given), "revokeCredential", given)


def confining(chance: Random, world: World, _makes: str) -> Operation:
    given = {**_which(chance, world), "networks": mostly(chance, _NETWORKS, _WRONG_NETWORKS)}
    return Operation(_keeper(chance, world, given), "setAllowedNetworks", given)


def revealing(chance: Random, world: World, _makes: str) -> Operation:
    given = {"credentialId": mostly(chance, list(world.credentials), _all(world.credentials))}
    who = mostly(chance, [_owner(world, given["credentialId"])], [*MEMBERS, *_OTHERS])
    return Operation(who, "revealApiKey", given)


def administering(chance: Random, world: World, _makes: str) -> Operation:
    """A person's access, being there at all, or role, which is soon the old one again."""
    who = mostly(chance, ["administrator", "operator"], ["member", "auditor", "stranger"])
    strayed = [name for name in MEMBERS if world.people[name].role != MEMBER]
    if chance.random() < (0.6 if strayed else 0.2):
        role = mostly(chance, [MEMBER] if strayed else [ADMINISTRATOR, AUDITOR], [MEMBER, AUDITOR, OPERATOR, "GATEWAY"])
        return Operation(who, "setUserRole", {"userId": mostly(chance, strayed, MEMBERS), "role": role})
    return Operation(who, chance.choice(_PERSON_STEPS), {"userId": chance.choice(MEMBERS)})


def suspending(chance: Random, world: World, _makes: str) -> Operation:
    usual = "reinstateAccount" if world.suspended else "suspendAccount"
    verb = mostly(chance, [usual], ["suspendAccount", "reinstateAccount"])
    return Operation(mostly(chance, ["operator"], ["administrator"]), verb, {"accountId": "here"})


def ruling(chance: Random, _world: World, _makes: str) -> Operation:
    names = chance.sample(list(_POLICIES), chance.randint(0, 3))
    given = {"accountId": "here", **{name: mostly(chance, *_POLICIES[name]) for name in names}}
    who = mostly(chance, ["administrator", "operator"], ["member", "stranger"])
    return Operation(who, "updateCredentialPolicy", given)


def vetting(chance: Random, world: World, makes: str) -> Operation:
    if chance.random() < 0.2:
        who = chance.choice(["member_without_access", "administrator"])
        return Operation(who, "submitIdentity", {"name": "Alder Ltd", "kind": "ORGANIZATION"}, makes)
    verb = chance.choice([*IDENTITY_STEPS, "approveIdentity", "reinstateIdentity"])
    given: Given = {"identityId": mostly(chance, _fitting(world, verb), _all(world.identities))}
    if verb == "approveIdentity" and chance.random() < 0.5:
        given["validUntil"] = _instant(chance, world)
    return _by_provider(chance, verb, given)


def opening(chance: Random, world: World, makes: str) -> Operation:
    given: Given = {"accountId": "here", "name": "API", "code": chance.choice(["codes", "logs", "certificates"])}
    if chance.random() < 0.5:
        given["startsAt"] = world.now + chance.choice(_WAITS)
    if chance.random() < 0.5:
        given["expiresAt"] = _instant(chance, world)
    identities = chance.sample(list(world.identities), chance.randint(0, 3))
    given["identityIds"] = mostly(chance, [identities], [[*identities, "elsewhere"]])
    return _by_provider(chance, "createService", given, makes)


def providing(chance: Random, world: World, _makes: str) -> Operation:
    verb = chance.choice(_SERVICE_STEPS)
    given: Given = {"serviceId": mostly(chance, list(world.services), ["elsewhere", "nowhere"])}
    if verb == "renewService":
        given["expiresAt"] = _instant(chance, world)
    return _by_provider(chance, verb, given)


def linking(chance: Random, world: World, _makes: str) -> Operation:
    service = mostly(chance, list(world.services), ["nowhere"])
    identity = mostly(chance, list(world.identities), ["elsewhere", "nowhere"])
    verbs = ["linkIdentityToService", "unlinkIdentityFromService"]
    usual = verbs[(service, identity) in world.links]
    return _by_provider(chance, mostly(chance, [usual], verbs), {"serviceId": service, "identityId": identity})


_ON_CREDENTIALS = [generating, rotating, moving, revoking, confining, revealing]
_AROUND_THEM = [administering, suspending, ruling, vetting, opening, providing, linking]


def anything(chance: Random, world: World, makes: str) -> Operation:
    return chance.choice([*_ON_CREDENTIALS, *_ON_CREDENTIALS, *_AROUND_THEM])(chance, world, makes)


def mostly(chance: Random, usual: Sequence[T], odd: Sequence[T]) -> T:
    """One of the usual, if there are any, nine times of ten."""
    return chance.choice(odd if not usual or chance.random() < 0.1 else usual)


def _by_provider(chance: Random, verb: str, given: Given, makes: str = "") -> Operation:
    """Operators reach the other account too, of which the model knows nothing; what must be of the account of what is
    changed may lie there all the same."""
    changed = "identityId" if verb in IDENTITY_STEPS else "serviceId"
    usual = ["administrator", "member"] if given.get(changed) == "elsewhere" else ["operator"]
    who = mostly(chance, usual, ["administrator", "member"])
    return Operation(who, verb, given, makes)


def _which(chance: Random, world: World) -> Given:
    living = [name for name, each in world.credentials.items() if world.status(each) in {"ACTIVE", "RETIRING"}]
    return {"credentialId": mostly(chance, living, _all(world.credentials))}


def _keeper(chance: Random, world: World, given: Given) -> str:
    if given["credentialId"] == "elsewhere":  # where others would be let
        return chance.choice(["administrator", "auditor", *MEMBERS])
    owner = _owner(world, given["credentialId"])
    return mostly(chance, [owner, "administrator", "operator"], ["auditor", "stranger", *MEMBERS])


def _owner(world: World, name: str) -> str:
    return world.credentials[name].owner if name in world.credentials else "member"


def _is_active(world: World, service: str, identity: str) -> bool:
    return world.service_status(service) == world.identity_status(identity) == "ACTIVE"


def _fitting(world: World, verb: str) -> list[str]:
    fro, _ = IDENTITY_STEPS[verb]
    return [name for name in world.identities if world.identity_status(name) in fro]


def _all(things: Mapping[str, Any]) -> list[str]:
    return [*things, "elsewhere", "nowhere"]


def _instant(chance: Random, world: World) -> datetime:
    return world.now + mostly(chance, _WAITS, _PAST)


def _retry_key(chance: Random) -> Given:
    key = chance.choice(_RETRY_KEYS)
    return {"idempotencyKey": key} if key else {}


def _expiry(chance: Random, world: World) -> Given:
    kinds = ["default", "default", "months", "at", *(["never"] if world.policy.never else [])]
    match mostly(chance, kinds, ["never"]):
        case "months":
            return {"expiry": {"months": mostly(chance, [1, 2, 12, 13, 1200], [0, 1201])}}
        case "at":
            return {"expiry": {"at": mostly(chance, [_instant(chance, world)], [_FAR])}}
        case "never":
            return {"expiry": {"never": mostly(chance, [True], [False])}}
    return {}
