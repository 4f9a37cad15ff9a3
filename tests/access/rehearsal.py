"""What a mutation needs in order to succeed: something new to do it to, or somebody new to do it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.access.api import Field, variables
from tests.access.stage import COLUMNS, IN_A_MONTH, ROOM, WEBHOOK, Stage
from tests.support.server import Client
from tests.support.world import PASSWORD


@dataclass(frozen=True)
class Performer:
    """Who tries it; and the same person signed in, where credentials must be theirs."""

    client: Client
    member: Client | None = None


Prepare = Callable[[Stage, Performer], dict[str, Any]]


def rehearsed(stage: Stage, field: Field, column: str) -> tuple[Client, dict[str, Any]]:
    """Somebody of a column, and variables with which a mutation has no reason to fail but who asks."""
    client, person = stage.clients[column], COLUMNS[column]
    if person and field.name in _DONE_BY_SOMEBODY_NEW:
        client = stage.person(*person)
    performer = Performer(client, client if column == "member" else None)
    return client, prepared(stage, field, performer)


def prepared(stage: Stage, field: Field, performer: Performer) -> dict[str, Any]:
    """The variables alone."""
    given = variables(field.definition, stage.value_of)
    if prepare := _PREPARE.get(field.name):
        given["input"] |= prepare(stage, performer)
    return given


# These end the sessions of who does them, or leave them with as many credentials as the policy allows.
_DONE_BY_SOMEBODY_NEW = {
    *("signOut", "signOutEverywhere", "changePassword"),
    *("generateCredential", "rotateCredential", "setAllowedNetworks"),
    *("reassociateCredential", "revokeCredential", "revealApiKey"),
}


def _user(*, role: str = "MEMBER", api_access: bool = False, deactivated: bool = False) -> Prepare:
    def prepare(stage: Stage, _performer: Performer) -> dict[str, Any]:
        id_ = stage.invite(role, api_access, stage.play.alder)["user"]["id"]
        if deactivated:
            stage.operator.do("deactivateUser", "user { id }", userId=id_)
        return {"userId": id_}

    return prepare


def _account(*, suspended: bool = False) -> Prepare:
    def prepare(stage: Stage, _performer: Performer) -> dict[str, Any]:
        id_ = stage.operator.do("createAccount", "account { id }", name=stage.unique("account"))["account"]["id"]
        if suspended:
            stage.operator.do("suspendAccount", "account { id }", accountId=id_)
        return {"accountId": id_}

    return prepare


def _identity(*steps: str) -> Prepare:
    def prepare(stage: Stage, _performer: Performer) -> dict[str, Any]:
        new = {"accountId": stage.play.alder.id, "name": stage.unique("identity"), "kind": "DOMAIN"}
        id_ = stage.operator.do("submitIdentity", "identity { id }", **new)["identity"]["id"]
        for step in steps:
            stage.operator.do(step, "identity { id }", identityId=id_)
        return {"identityId": id_}

    return prepare


def _service(*steps: str, linked: bool = False) -> Prepare:
    def prepare(stage: Stage, _performer: Performer) -> dict[str, Any]:
        alder = stage.play.alder
        name = stage.unique("service")
        identities = [alder.identities["active"]] if linked else []
        new = {"accountId": alder.id, "name": name, "code": name, "identityIds": identities}
        id_ = stage.operator.do("createService", "service { id }", **new)["service"]["id"]
        for step in steps:
            stage.operator.do(step, "service { id }", serviceId=id_)
        return {"serviceId": id_}

    return prepare


def _credential(**beside: str) -> Prepare:
    """Of who will do it where that is a member, else of a member who is new."""

    def prepare(stage: Stage, performer: Performer) -> dict[str, Any]:
        owner = performer.member or stage.person("MEMBER", api_access=True)
        made = stage.credential(owner, stage.play.alder, stage.unique("credential"))
        services = {name: stage.play.alder.services[service] for name, service in beside.items()}
        return {"credentialId": made["credential"]["id"], **services}

    return prepare


def _endpoint(stage: Stage, _performer: Performer) -> dict[str, Any]:
    made = stage.operator.do("createWebhookEndpoint", "endpoint { id }", accountId=stage.play.alder.id, **WEBHOOK)
    return {"endpointId": made["endpoint"]["id"]}


def _in_this_account(stage: Stage, _performer: Performer) -> dict[str, Any]:
    return {"accountId": stage.play.alder.id}


def _own_permission(_stage: Stage, performer: Performer) -> dict[str, Any]:
    return {"permissions": performer.client.data("{ viewer { permissions } }")["permissions"][:1]}


def _own_token(stage: Stage, performer: Performer) -> dict[str, Any]:
    new = {"name": "script", "expiresAt": IN_A_MONTH, **_own_permission(stage, performer)}
    created = performer.client.do("createPersonalAccessToken", "tokenId", **new)
    return {"tokenId": created["tokenId"]}


def _invitation(stage: Stage, _performer: Performer) -> dict[str, Any]:
    return {"invitationToken": stage.invite("AUDITOR", account=stage.play.alder)["invitationToken"]}


_PREPARE: dict[str, Prepare] = {
    "signIn": lambda stage, _performer: {"email": stage.mine.colleague.email, "password": PASSWORD},
    "acceptInvitation": _invitation,
    "createPersonalAccessToken": _own_permission,
    "revokePersonalAccessToken": _own_token,
    "suspendAccount": _account(),
    "reinstateAccount": _account(suspended=True),
    "updateCredentialPolicy": lambda _stage, _performer: ROOM,
    "createWebhookEndpoint": _in_this_account,
    "removeWebhookEndpoint": _endpoint,
    "createUser": _in_this_account,
    "renewInvitation": _user(),
    "setUserRole": _user(role="AUDITOR"),
    "grantApiAccess": _user(),
    "removeApiAccess": _user(api_access=True),
    "deactivateUser": _user(),
    "reactivateUser": _user(deactivated=True),
    "submitIdentity": _in_this_account,
    "approveIdentity": _identity(),
    "rejectIdentity": _identity(),
    "suspendIdentity": _identity("approveIdentity"),
    "reinstateIdentity": _identity("approveIdentity", "suspendIdentity"),
    "renewService": _service(),
    "suspendService": _service(),
    "resumeService": _service("suspendService"),
    "cancelService": _service(),
    "linkIdentityToService": _service(),
    "unlinkIdentityFromService": _service(linked=True),
    "rotateCredential": _credential(),
    "setAllowedNetworks": _credential(),
    "reassociateCredential": _credential(serviceId="timestamps"),
    "revokeCredential": _credential(),
    "revealApiKey": _credential(),
}
