"""Messages for an account's own server: what is told, and when.

A message is written in the transaction of what it tells of, so it is sent if and only if that happened; it is then
sent until the endpoint takes it or there is no hope left (see `resolvers.webhook_delivery`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson

from models.credential import Credential
from models.ids import Kind, global_id, new_id
from models.instants import write_instant
from models.webhook import WebhookDelivery, WebhookEndpoint
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
    await enqueue(caller, endpoints, event_type, describe(credential, caller.now))


async def subscribed(account_id: UUID, event_type: WebhookEventType) -> list[WebhookEndpoint]:
    """The account's endpoints that want to be told of such events."""
    endpoints = await WebhookEndpoint.filter(WebhookEndpoint.living(), account_id=account_id)
    return [endpoint for endpoint in endpoints if event_type in endpoint.event_types.split()]


async def enqueue(
    caller: Caller, endpoints: Sequence[WebhookEndpoint], event_type: WebhookEventType, data: Mapping[str, Any]
) -> None:
    """Writes a message for each endpoint, to be sent once the transaction has ended well."""
    for endpoint in endpoints:
        await message(endpoint, event_type, caller.now, data).save(force_create=True)


def message(
    endpoint: WebhookEndpoint, event_type: WebhookEventType, at: datetime, data: Mapping[str, Any]
) -> WebhookDelivery:
    """Of what happened at an instant; to be sent at once."""
    told = {"type": event_type.value, "timestamp": write_instant(at), "data": data}
    return WebhookDelivery(
        id=new_id(at),
        endpoint=endpoint,
        event_type=event_type.value,
        body=orjson.dumps(told).decode(),
        created_at=at,
        next_attempt_at=at,
    )


def describe(credential: Credential, now: datetime) -> dict[str, Any]:
    """A credential in a message: nothing that could not be shown to everybody in the account."""
    predecessor_id = credential.predecessor_id
    return {
        "credentialId": global_id(Kind.CREDENTIAL, credential.id),
        "name": credential.name,
        "status": credential.status(now).value,
        "blockers": [blocker.value for blocker in credential.blockers(now)],
        "serviceId": global_id(Kind.SERVICE, credential.service_id),
        "identityId": global_id(Kind.IDENTITY, credential.identity_id),
        "ownerId": global_id(Kind.USER, credential.owner_id),
        "predecessorId": global_id(Kind.CREDENTIAL, predecessor_id) if predecessor_id else None,
    }
