"""What becomes of a credential after it is generated."""

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from tortoise.expressions import Q

from auth.permissions import Permission
from auth.policy import Scope, authorize
from models.credential import WITH_PARTIES, Credential, CredentialStatus, RevocationReason
from models.database import locked, transaction
from models.identity import Identity
from models.ids import Kind
from models.service import Service
from models.user import User
from resolvers.associations import check_identity, check_link, check_service
from resolvers.audit import EventType, Happened, record_all
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, refuse
from resolvers.networks import checked_networks
from resolvers.reach import load, lock
from resolvers.webhook_events import WebhookEventType, announce

_READ_AT_ONCE = 1_000


async def reassociate_credential(
    caller: Caller, *, credential_id: str, service_id: str | None, identity_id: str | None
) -> Credential:
    """Moves an active credential to another active service, another active identity, or both; key and secret stay.

    Raises Refused: NOT_FOUND, REQUIRED, CONFLICT, CREDENTIAL_NOT_ACTIVE, SERVICE_NOT_ACTIVE, IDENTITY_NOT_ACTIVE,
    IDENTITY_NOT_LINKED_TO_SERVICE.
    """
    scope = authorize(caller.principal, Permission.MANAGE_ALL_CREDENTIALS, Permission.MANAGE_OWN_CREDENTIALS)
    if service_id is None and identity_id is None:
        raise refuse(ErrorCode.REQUIRED, "Say which service or which identity it should move to.")
    async with transaction():
        credential = await lock(Credential, scope, credential_id, "credential_id")
        check_active(credential, caller)
        within = Scope(scope.permission, credential.account_id, None)
        service, identity = credential.service, credential.identity
        if service_id is not None:
            service = await lock(Service, within, service_id, "service_id")
            check_service(service, caller.now, "service_id")
        if identity_id is not None:
            identity = await lock(Identity, within, identity_id, "identity_id")
            check_identity(identity, caller.now, "identity_id")
        if (service.id, identity.id) == (credential.service_id, credential.identity_id):
            raise refuse(ErrorCode.CONFLICT, "The credential has this service and identity already.")
        await check_link(service, identity, "service_id" if identity_id is None else "identity_id")
        credential.service, credential.identity = service, identity
        await credential.save(update_fields=["service_id", "identity_id"])
        await announce(caller, WebhookEventType.CREDENTIAL_REASSOCIATED, credential)
        await _record(
            caller,
            EventType.CREDENTIAL_REASSOCIATED,
            credential,
            f"moved to service {service.name} and identity {identity.name}",
        )
    return credential


async def revoke_credential(
    caller: Caller, *, credential_id: str, reason: RevocationReason, lineage: bool = False
) -> Credential:
    """Ends a credential, at once and for good; with `lineage`, for a compromise, also those it was made in the place
    of and those made in its place. Raises Refused (NOT_FOUND, ALREADY_REVOKED)."""
    scope = authorize(caller.principal, Permission.MANAGE_ALL_CREDENTIALS, Permission.MANAGE_OWN_CREDENTIALS)
    async with transaction():
        hold = _lock_lineage if lineage else _lock_one
        credential, *relatives = await hold(scope, credential_id)
        living = [each for each in (credential, *relatives) if each.revoked_at is None]
        if not living:
            raise refuse(ErrorCode.ALREADY_REVOKED, "This credential was revoked before.", "credential_id")
        await _revoke(caller, living, reason)
    return credential


async def revoke_hashed_under(caller: Caller, key_id: str) -> int:
    """Revokes the living credentials whose secret is hashed under a key of the server's that leaked or was lost:
    whoever has that key and can write to the database could give them secrets. How many there were."""
    # One after the other: who holds the chains of several accounts could wait in a circle with others.
    due = Credential.filter(hashing_key_id=key_id, revoked_at__isnull=True, expires_at__gt=caller.now)
    number, last = 0, UUID(int=0)
    while ids := await due.filter(id__gt=last).order_by("id").limit(_READ_AT_ONCE).values_list("id", flat=True):
        for last in cast(list[UUID], ids):
            async with transaction():
                if await locked(due.filter(id=last)).get_or_none():
                    credential = await Credential.get(id=last).select_related(*WITH_PARTIES)
                    await _revoke(caller, [credential], RevocationReason.KEY_COMPROMISE)
                    number += 1
    return number


async def _revoke(caller: Caller, credentials: Sequence[Credential], reason: RevocationReason) -> None:
    """Credentials of one account."""
    for credential in credentials:
        credential.revoked_at, credential.revocation_reason = caller.now, reason
        await credential.save(update_fields=["revoked_at", "revocation_reason"])
        await announce(caller, WebhookEventType.CREDENTIAL_REVOKED, credential)
    happened = [_happened(EventType.CREDENTIAL_REVOKED, credential, f"revoked: {reason}") for credential in credentials]
    await record_all(caller, happened, account_id=credentials[0].account_id)


async def set_allowed_networks(caller: Caller, *, credential_id: str, networks: Sequence[str]) -> Credential:
    """Keeps an active or retiring credential to networks from now on; an empty list lets it in from everywhere.
    Raises Refused (NOT_FOUND, INVALID, CREDENTIAL_NOT_ACTIVE)."""
    scope = authorize(caller.principal, Permission.MANAGE_ALL_CREDENTIALS, Permission.MANAGE_OWN_CREDENTIALS)
    wanted = checked_networks(networks, "networks")
    async with transaction():
        credential = await lock(Credential, scope, credential_id, "credential_id")
        status = credential.status(caller.now)
        if status not in {CredentialStatus.ACTIVE, CredentialStatus.RETIRING}:
            raise refuse(ErrorCode.CREDENTIAL_NOT_ACTIVE, f"This credential is {status}.", "credential_id")
        credential.allowed_networks = wanted
        await credential.save(update_fields=["allowed_networks"])
        where = wanted.replace(" ", ", ") or "everywhere"
        await _record(caller, EventType.CREDENTIAL_NETWORKS_SET, credential, f"allowed from {where}")
    return credential


async def _lock_one(scope: Scope, credential_id: str) -> list[Credential]:
    return [await lock(Credential, scope, credential_id, "credential_id")]


async def _lock_lineage(scope: Scope, credential_id: str) -> list[Credential]:
    """A credential and then its predecessors and successors, held.

    The owner is held first, as by who rotates, so that no successor is made meanwhile that would be left out. Then
    all are held in one order, so that two who revoke a lineage wait for each other and not in a circle.
    """
    named = await load(Credential, scope, credential_id, "credential_id")
    await locked(User.filter(id=named.owner_id)).get()
    ids, found = {named.id}, {named.id}
    while found:
        beside = await Credential.filter(Q(predecessor_id__in=found) | Q(id__in=found))
        found = {id_ for row in beside for id_ in (row.id, row.predecessor_id) if id_ is not None} - ids
        ids |= found
    lineage = Credential.filter(id__in=ids).order_by("id")
    # Held first, then read with what belongs to them: an outer join can't be held.
    await locked(lineage)
    rows = await lineage.select_related(*WITH_PARTIES)
    return sorted(rows, key=lambda row: row.id != named.id)


async def reveal_api_key(caller: Caller, *, credential_id: str) -> str:
    """The whole API key of one's own credential; each time is recorded. Raises Refused (NOT_FOUND)."""
    scope = authorize(caller.principal, Permission.MANAGE_OWN_CREDENTIALS)
    async with transaction():
        credential = await load(Credential, scope, credential_id, "credential_id")
        await _record(caller, EventType.CREDENTIAL_VIEWED, credential, "viewed: its API key was shown")
    return credential.api_key


def check_active(credential: Credential, caller: Caller) -> None:
    """Raises Refused (CREDENTIAL_NOT_ACTIVE)."""
    status = credential.status(caller.now)
    if status is not CredentialStatus.ACTIVE:
        raise refuse(
            ErrorCode.CREDENTIAL_NOT_ACTIVE, f"This credential is {status}; it must be ACTIVE.", "credential_id"
        )


async def _record(caller: Caller, event_type: EventType, credential: Credential, done: str) -> None:
    await record_all(caller, [_happened(event_type, credential, done)], account_id=credential.account_id)


def _happened(event_type: EventType, credential: Credential, done: str) -> Happened:
    return Happened(event_type, f"Credential {credential.name} was {done}", (Kind.CREDENTIAL, credential.id))
