"""Operations to try on a world: mostly ones that make sense there, now and then one that does not."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from tests.life.model import World
from tests.life.things import IDENTITY_STEPS, PERSON_STEPS, SERVICE_STEPS, Credential, Operation

Draw = st.DrawFn
Given = dict[str, Any]

MEMBERS = ("member", "member_without_access")
_OTHERS = ("administrator", "operator", "auditor", "stranger")
_NAMES = ("ci", "deploy", "backup", "canary", "release")
_RETRY_KEYS = (None, None, "first-key-" * 3, "other-key-" * 3)
_WAITS = [timedelta(seconds=1), timedelta(hours=1), timedelta(days=1), timedelta(days=40), timedelta(days=400)]
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


@st.composite
def generating(draw: Draw, world: World, makes: str) -> Operation:
    living = [each.name for each in world.credentials.values() if not each.revoked and not each.successor]
    pairs = [pair for pair in sorted(world.links) if _is_active(world, *pair)]
    service, identity = draw(_mostly(pairs or [("certificates", "active")], sorted(world.links)))
    given = {
        "name": draw(_mostly([name for name in _NAMES if name not in living] or _NAMES, [*_NAMES, "No", ""])),
        "serviceId": draw(_mostly([service], _all(world.services))),
        "identityId": draw(_mostly([identity], _all(world.identities))),
        "delivery": draw(_mostly(_DELIVERIES, _WRONG_DELIVERIES)),
        **draw(_expiry(world)),
    }
    if draw(st.booleans()):
        given["allowedNetworks"] = draw(_mostly(_NETWORKS, _WRONG_NETWORKS))
    with_access = [name for name in MEMBERS if world.people[name].api_access and world.people[name].active]
    who = draw(_mostly(with_access or MEMBERS, [*MEMBERS, *_OTHERS[:3]]))
    return Operation(who, "generateCredential", {**given, **draw(_retry_key())}, makes)


@st.composite
def rotating(draw: Draw, world: World, makes: str) -> Operation:
    active = [name for name, each in world.credentials.items() if world.status(each) == "ACTIVE"]
    name = draw(_mostly(active or _all(world.credentials), _all(world.credentials)))
    given = {
        "credentialId": name,
        "delivery": draw(_mostly(_DELIVERIES, _WRONG_DELIVERIES)),
        "graceHours": draw(_mostly([0, 1, 24, 720], [-1, 721])),
        **draw(_expiry(world)),
    }
    who = draw(_mostly([_owner(world.credentials.get(name))], [*MEMBERS, *_OTHERS]))
    return Operation(who, "rotateCredential", {**given, **draw(_retry_key())}, makes)


@st.composite
def moving(draw: Draw, world: World) -> Operation:
    given = draw(_which(world))
    service, identity = draw(_mostly(sorted(world.links) or [("certificates", "active")], [("elsewhere", "nowhere")]))
    if draw(st.integers(0, 3)):
        given["serviceId"] = draw(_mostly([service], _all(world.services)))
    if draw(st.integers(0, 3)):
        given["identityId"] = draw(_mostly([identity], _all(world.identities)))
    return Operation(draw(_keeper(world, given)), "reassociateCredential", given)


@st.composite
def revoking(draw: Draw, world: World) -> Operation:
    given = {**draw(_which(world)), "lineage": draw(st.booleans())}
    return Operation(draw(_keeper(world, given)), "revokeCredential", given)


@st.composite
def confining(draw: Draw, world: World) -> Operation:
    given = {**draw(_which(world)), "networks": draw(_mostly(_NETWORKS, _WRONG_NETWORKS))}
    return Operation(draw(_keeper(world, given)), "setAllowedNetworks", given)


@st.composite
def administering(draw: Draw, _world: World) -> Operation:
    """A person's access, or being there at all."""
    who = draw(_mostly(["administrator", "operator"], ["member", "auditor", "stranger"]))
    return Operation(who, draw(st.sampled_from(_PERSON_STEPS)), {"userId": draw(st.sampled_from(MEMBERS))})


@st.composite
def suspending(draw: Draw, world: World) -> Operation:
    verbs = ["reinstateAccount"] if world.suspended else ["suspendAccount"]
    verb = draw(_mostly(verbs, ["suspendAccount", "reinstateAccount"]))
    return Operation(draw(_mostly(["operator"], ["administrator"])), verb, {"accountId": "here"})


@st.composite
def ruling(draw: Draw, _world: World) -> Operation:
    names = draw(st.lists(st.sampled_from(list(_POLICIES)), min_size=0, max_size=3, unique=True))
    given = {"accountId": "here", **{name: draw(_mostly(*_POLICIES[name])) for name in names}}
    return Operation(draw(_mostly(["administrator", "operator"], ["member", "stranger"])), *_policy(given))


@st.composite
def vetting(draw: Draw, world: World, makes: str) -> Operation:
    if draw(st.integers(0, 4)) == 0:
        who = draw(st.sampled_from(["member_without_access", "administrator"]))
        return Operation(who, "submitIdentity", {"name": "Alder Ltd", "kind": "ORGANIZATION"}, makes)
    verb = draw(st.sampled_from([*IDENTITY_STEPS, "approveIdentity", "reinstateIdentity"]))
    name = draw(_mostly(_fitting(world, verb) or _all(world.identities), _all(world.identities)))
    given = {"identityId": name}
    if verb == "approveIdentity" and draw(st.booleans()):
        given["validUntil"] = draw(_instants(world))
    return _by_provider(draw, verb, given)


@st.composite
def opening(draw: Draw, world: World, makes: str) -> Operation:
    given: Given = {
        "accountId": "here",
        "name": "API",
        "code": draw(st.sampled_from(["codes", "logs", "certificates"])),
    }
    if draw(st.booleans()):
        given["startsAt"] = world.now + draw(st.sampled_from(_WAITS))
    if draw(st.booleans()):
        given["expiresAt"] = draw(_instants(world))
    identities = st.lists(_mostly(list(world.identities), ["elsewhere"]), max_size=3, unique=True)
    return _by_provider(draw, "createService", {**given, "identityIds": draw(identities)}, makes)


@st.composite
def providing(draw: Draw, world: World) -> Operation:
    verb = draw(st.sampled_from(_SERVICE_STEPS))
    given: Given = {"serviceId": draw(_mostly(list(world.services), ["elsewhere", "nowhere"]))}
    if verb == "renewService":
        given["expiresAt"] = draw(_instants(world))
    return _by_provider(draw, verb, given)


@st.composite
def linking(draw: Draw, world: World) -> Operation:
    service = draw(_mostly(list(world.services), ["nowhere"]))
    identity = draw(_mostly(list(world.identities), ["elsewhere", "nowhere"]))
    is_linked = (service, identity) in world.links
    usual = "unlinkIdentityFromService" if is_linked else "linkIdentityToService"
    verb = draw(_mostly([usual], ["linkIdentityToService", "unlinkIdentityFromService"]))
    return _by_provider(draw, verb, {"serviceId": service, "identityId": identity})


def anything(world: World, makes: str) -> st.SearchStrategy[Operation]:
    on_credentials = [
        generating(world, makes),
        rotating(world, makes),
        moving(world),
        revoking(world),
        confining(world),
    ]
    around_them = [administering(world), suspending(world), ruling(world), vetting(world, makes)]
    return st.one_of(
        *on_credentials, *on_credentials, *around_them, opening(world, makes), providing(world), linking(world)
    )


def _by_provider(draw: Draw, verb: str, given: Given, makes: str = "") -> Operation:
    """Operators reach the other account too, of which the model knows nothing; what must be of the account of what is
    changed may lie there all the same."""
    changed = "identityId" if verb in IDENTITY_STEPS else "serviceId"
    usual = ["administrator", "member"] if given.get(changed) == "elsewhere" else ["operator"]
    return Operation(draw(_mostly(usual, ["administrator", "member"])), verb, given, makes)


@st.composite
def _which(draw: Draw, world: World) -> Given:
    living = [name for name, each in world.credentials.items() if world.status(each) in {"ACTIVE", "RETIRING"}]
    return {"credentialId": draw(_mostly(living or _all(world.credentials), _all(world.credentials)))}


def _keeper(world: World, given: Given) -> st.SearchStrategy[str]:
    if given["credentialId"] == "elsewhere":  # where others would be let
        return st.sampled_from(["administrator", "auditor", *MEMBERS])
    owner = _owner(world.credentials.get(given["credentialId"]))
    return _mostly([owner, "administrator", "operator"], ["auditor", "stranger", *MEMBERS])


def _owner(credential: Credential | None) -> str:
    return credential.owner if credential else "member"


def _is_active(world: World, service: str, identity: str) -> bool:
    return world.service_status(service) == world.identity_status(identity) == "ACTIVE"


def _fitting(world: World, verb: str) -> list[str]:
    fro, _ = IDENTITY_STEPS[verb]
    return [name for name in world.identities if world.identity_status(name) in fro]


def _all(things: Mapping[str, Any]) -> list[str]:
    return [*things, "elsewhere", "nowhere"]


def _policy(given: Given) -> tuple[str, Given]:
    return "updateCredentialPolicy", given


def _mostly(usual: Sequence[Any], odd: Sequence[Any]) -> st.SearchStrategy[Any]:
    """One of the usual, about nine times of ten."""
    return st.integers(0, 9).flatmap(lambda tenth: st.sampled_from(odd if tenth == 9 else usual))


def _instants(world: World) -> st.SearchStrategy[Any]:
    return _mostly([world.now + wait for wait in _WAITS], [world.now + wait for wait in _PAST])


@st.composite
def _retry_key(draw: Draw) -> Given:
    key = draw(st.sampled_from(_RETRY_KEYS))
    return {"idempotencyKey": key} if key else {}


@st.composite
def _expiry(draw: Draw, world: World) -> Given:
    kind = draw(st.sampled_from(["default", "default", "months", "at", *(["never"] if world.policy.never else [])]))
    match draw(_mostly([kind], ["never"])):
        case "months":
            return {"expiry": {"months": draw(_mostly([1, 2, 12, 13, 1200], [0, 1201]))}}
        case "at":
            return {"expiry": {"at": draw(_instants(world))}}
        case "never":
            return {"expiry": {"never": draw(_mostly([True], [False]))}}
    return {}
