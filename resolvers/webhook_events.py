"""Messages for an account's own server: what is told, and when.

A message is written in the transaction of what it tells of, so it is sent if and only if that happened; it is then
sent until the endpoint takes it or there is no hope left (see `resolvers.webhook_delivery`).
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson

from models.account import Account
from models.credential import WITH_PARTIES, Credential
from models.identity import Identity
from models.ids import Kind, global_id, new_id
from models.instants import write_instant
from models.service import Service
from models.user import User
from models.webhook import WebhookDelivery, WebhookEndpoint
from resolvers.audit import lock_chain
from resolvers.caller import Caller


class WebhookEventType(StrEnum):
    """What an endpoint can be told of."""

    CREDENTIAL_GENERATED = "credential.generated"
    CREDENTIAL_ROTATED = "credential.rotated"
    CREDENTIAL_REASSOCIATED = "credential.reassociated"
    CREDENTIAL_REVOKED = "credential.revoked"
    CREDENTIAL_BLOCKED = "credential.blocked"
    CREDENTIAL_UNBLOCKED = "credential.unblocked"
    CREDENTIAL_EXPIRING = "credential.expiring"
    SERVICE_ENDING = "service.ending"


async def announce(caller: Caller, event_type: WebhookEventType, credential: Credential) -> None:
    """Tells the account's endpoints of something that happened to a credential, in the transaction of it."""
    endpoints = await subscribed(credential.account_id, event_type)
    await enqueue(caller, endpoints, event_type, describe(credential, caller))


async def announce_blocked(caller: Caller, account_id: UUID, **before: Account | User | Identity | Service) -> None:
    """Tells of the credentials that a change has just blocked or unblocked, and not of those that were blocked before
    and still are. `before` is what was changed as it was then: `service=…`, `identity=…`, `owner=…`, `account=…`."""
    blocked = await subscribed(account_id, WebhookEventType.CREDENTIAL_BLOCKED)
    unblocked = await subscribed(account_id, WebhookEventType.CREDENTIAL_UNBLOCKED)
    if not blocked and not unblocked:
        return
    # Of two changes at once, neither would see what the other is about to do.
    await lock_chain(account_id)
    of = {"account_id": account_id, **{f"{role}_id": row.id for role, row in before.items()}}
    living = Credential.filter(revoked_at__isnull=True, expires_at__gt=caller.now, **of)
    async for credential in living.select_related(*WITH_PARTIES):
        told = describe(credential, caller)
        usable = not credential.blockers(caller.now)
        for role, row in before.items():
            setattr(credential, role, row)
        match not credential.blockers(caller.now), usable:
            case True, False:
                await enqueue(caller, blocked, WebhookEventType.CREDENTIAL_BLOCKED, told)
            case False, True:
                await enqueue(caller, unblocked, WebhookEventType.CREDENTIAL_UNBLOCKED, told)


async def subscribed(account_id: UUID, event_type: WebhookEventType) -> list[WebhookEndpoint]:
    """The account's endpoints that want to be told of such events."""
    endpoints = await WebhookEndpoint.filter(WebhookEndpoint.living(), account_id=account_id)
    return [endpoint for endpoint in endpoints if event_type in endpoint.event_types.split()]


async def enqueue(
    caller: Caller, endpoints: Sequence[WebhookEndpoint], event_type: WebhookEventType, data: Mapping[str, Any]
) -> None:
    """Writes a message for each endpoint, to be sent once the transaction has ended well."""
    message = {"type": event_type.value, "timestamp": write_instant(caller.now), "data": data}
    body = orjson.dumps(message).decode()
    for endpoint in endpoints:
        await WebhookDelivery.create(
            id=new_id(caller.now),
            endpoint=endpoint,
            event_type=event_type.value,
            body=body,
            created_at=caller.now,
            next_attempt_at=caller.now,
        )


def describe(credential: Credential, caller: Caller) -> dict[str, Any]:
    """A credential in a message: nothing that could not be shown to everybody in the account."""
    predecessor_id = credential.predecessor_id
    return {
        "credentialId": global_id(Kind.CREDENTIAL, credential.id),
        "name": credential.name,
        "status": credential.status(caller.now).value,
        "blockers": [blocker.value for blocker in credential.blockers(caller.now)],
        "serviceId": global_id(Kind.SERVICE, credential.service_id),
        "identityId": global_id(Kind.IDENTITY, credential.identity_id),
        "ownerId": global_id(Kind.USER, credential.owner_id),
        "predecessorId": global_id(Kind.CREDENTIAL, predecessor_id) if predecessor_id else None,
    }
