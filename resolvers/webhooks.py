"""Telling an account's own server what happened: Standard Webhooks (https://www.standardwebhooks.com).

A message is written in the transaction of what it tells of, so it is sent if and only if that happened; it is then
sent until the endpoint takes it or there is no hope left.
"""

import secrets
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import orjson

from auth.crypto.keyring import Purpose
from auth.crypto.secret import Secret
from auth.permissions import Permission
from auth.policy import authorize
from models.credential import WITH_PARTIES, Credential
from models.database import locked, transaction
from models.ids import Kind, global_id, new_id, row_id
from models.webhook import WebhookDelivery, WebhookEndpoint
from resolvers.accounts import account_in_reach
from resolvers.audit import EventType, record
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, not_found, refuse

MOST_ENDPOINTS = 10


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


@dataclass(frozen=True)
class CreatedEndpoint:
    """A new endpoint, and the secret its messages are signed with, handed over this once."""

    endpoint: WebhookEndpoint
    signing_secret: Secret


async def create_webhook_endpoint(
    caller: Caller, *, account_id: str | None, url: str, event_types: Sequence[WebhookEventType]
) -> CreatedEndpoint:
    """An address to be told of events of these types. Raises Denied, and Refused (REQUIRED, INVALID, NOT_FOUND,
    LIMIT_REACHED)."""
    scope = authorize(caller.principal, Permission.MANAGE_WEBHOOKS)
    _check_url(url)
    if not event_types:
        raise refuse(ErrorCode.REQUIRED, "Name at least one type of event.", "event_types")
    account = await account_in_reach(scope, account_id)
    secret = Secret(f"whsec_{b64encode(secrets.token_bytes(32)).decode()}")
    key = caller.deployment.keyring.symmetric_key(Purpose.SEALING)
    endpoint_id = new_id(caller.now)
    async with transaction():
        if await WebhookEndpoint.filter(account_id=account.id, removed_at__isnull=True).count() >= MOST_ENDPOINTS:
            raise refuse(ErrorCode.LIMIT_REACHED, f"There are {MOST_ENDPOINTS} endpoints already. Remove one first.")
        endpoint = await WebhookEndpoint.create(
            id=endpoint_id,
            account=account,
            url=url,
            sealed_secret=key.seal(secret.reveal().encode(), sealing_context(endpoint_id)),
            sealing_key_id=key.id,
            event_types=" ".join(sorted(set(event_types))),
            created_at=caller.now,
        )
        await _record(caller, EventType.WEBHOOK_CREATED, endpoint, "created")
    return CreatedEndpoint(endpoint, secret)


async def remove_webhook_endpoint(caller: Caller, *, endpoint_id: str) -> None:
    """Nothing more is sent there. Raises Denied, and Refused (NOT_FOUND)."""
    scope = authorize(caller.principal, Permission.MANAGE_WEBHOOKS)
    async with transaction():
        within = {} if scope.account_id is None else {"account_id": scope.account_id}
        id_ = row_id(Kind.WEBHOOK_ENDPOINT, endpoint_id) or UUID(int=0)
        endpoint = await locked(WebhookEndpoint.filter(id=id_, removed_at__isnull=True, **within)).get_or_none()
        if endpoint is None:
            raise not_found("endpoint_id")
        endpoint.removed_at = caller.now
        await endpoint.save(update_fields=["removed_at"])
        await WebhookDelivery.filter(endpoint_id=endpoint.id, done_at__isnull=True).update(done_at=caller.now)
        await _record(caller, EventType.WEBHOOK_REMOVED, endpoint, "removed")


def sealing_context(endpoint_id: UUID) -> str:
    """What an endpoint's sealed secret is bound to."""
    return f"sealkey webhook secret {endpoint_id}"


async def announce(caller: Caller, event_type: WebhookEventType, credential: Credential) -> None:
    """Tells the account's endpoints of something that happened to a credential, in the transaction of it."""
    endpoints = await subscribed(credential.account_id, event_type)
    await enqueue(caller, endpoints, event_type, describe(credential, caller))


async def announce_blocked(caller: Caller, account_id: UUID, **of: object) -> None:
    """Tells of the credentials (those with `of`) that a change has just blocked, or unblocked: those that only one
    thing keeps out now, which must be the change, or nothing."""
    blocked = await subscribed(account_id, WebhookEventType.CREDENTIAL_BLOCKED)
    unblocked = await subscribed(account_id, WebhookEventType.CREDENTIAL_UNBLOCKED)
    if not blocked and not unblocked:
        return
    living = Credential.filter(account_id=account_id, revoked_at__isnull=True, expires_at__gt=caller.now, **of)
    async for credential in living.select_related(*WITH_PARTIES):
        match credential.blockers(caller.now):
            case []:
                await enqueue(caller, unblocked, WebhookEventType.CREDENTIAL_UNBLOCKED, describe(credential, caller))
            case [_]:
                await enqueue(caller, blocked, WebhookEventType.CREDENTIAL_BLOCKED, describe(credential, caller))


async def subscribed(account_id: UUID, event_type: WebhookEventType) -> list[WebhookEndpoint]:
    """The account's endpoints that want to be told of such events."""
    endpoints = await WebhookEndpoint.filter(account_id=account_id, removed_at__isnull=True)
    return [endpoint for endpoint in endpoints if event_type in endpoint.event_types.split()]


async def enqueue(
    caller: Caller, endpoints: Sequence[WebhookEndpoint], event_type: WebhookEventType, data: dict[str, Any]
) -> None:
    """Writes a message for each endpoint, to be sent once the transaction has ended well."""
    body = orjson.dumps({"type": event_type.value, "timestamp": caller.now.isoformat(), "data": data}).decode()
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
    return {
        "credentialId": global_id(Kind.CREDENTIAL, credential.id),
        "name": credential.name,
        "status": credential.status(caller.now).value,
        "blockers": [blocker.value for blocker in credential.blockers(caller.now)],
        "serviceId": global_id(Kind.SERVICE, credential.service_id),
        "identityId": global_id(Kind.IDENTITY, credential.identity_id),
        "ownerId": global_id(Kind.USER, credential.owner_id),
    }


def _check_url(url: str) -> None:
    parts = urlsplit(url) if len(url) <= 2000 and url.isascii() and url.isprintable() else None
    if parts is None or parts.scheme not in {"https", "http"} or not parts.hostname or parts.username or parts.fragment:
        raise refuse(ErrorCode.INVALID, "An address like https://hooks.example/sealkey, please.", "url")


async def _record(caller: Caller, event_type: EventType, endpoint: WebhookEndpoint, done: str) -> None:
    await record(
        caller,
        event_type,
        f"The webhook endpoint {urlsplit(endpoint.url).hostname} was {done}",
        account_id=endpoint.account_id,
        subject=(Kind.WEBHOOK_ENDPOINT, endpoint.id),
    )
