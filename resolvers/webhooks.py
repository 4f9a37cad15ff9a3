"""Where an account wants to be told of events: Standard Webhooks (https://www.standardwebhooks.com)."""

import secrets
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from auth.crypto.keyring import Purpose
from auth.crypto.secret import Secret
from auth.permissions import Permission
from auth.policy import authorize
from models.account import Account
from models.database import locked, transaction
from models.ids import Kind, new_id, row_id
from models.webhook import WebhookDelivery, WebhookEndpoint
from resolvers.accounts import account_in_reach
from resolvers.audit import EventType, record
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, not_found, refuse
from resolvers.webhook_events import WebhookEventType
from resolvers.webhook_targets import TargetRefused, check_url, host_of

MOST_ENDPOINTS = 10


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
    try:
        check_url(url, caller.deployment.webhook_allowed_networks)
    except TargetRefused as refused:
        raise refuse(ErrorCode.INVALID, f"This can't be used: {refused}.", "url") from None
    if not event_types:
        raise refuse(ErrorCode.REQUIRED, "Name at least one type of event.", "event_types")
    account = await account_in_reach(scope, account_id)
    secret = Secret(f"whsec_{b64encode(secrets.token_bytes(32)).decode()}")
    key = caller.deployment.keyring.symmetric_key(Purpose.SEALING, caller.now)
    endpoint_id = new_id(caller.now)
    async with transaction():
        # Of two requests for the last free place, one waits.
        await locked(Account.filter(id=account.id)).get()
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
        await WebhookDelivery.filter(endpoint_id=endpoint.id).delete()
        await _record(caller, EventType.WEBHOOK_REMOVED, endpoint, "removed")


def sealing_context(endpoint_id: UUID) -> str:
    """What an endpoint's sealed secret is bound to."""
    return f"sealkey webhook secret {endpoint_id}"


async def _record(caller: Caller, event_type: EventType, endpoint: WebhookEndpoint, done: str) -> None:
    await record(
        caller,
        event_type,
        f"The webhook endpoint {host_of(endpoint.url)} was {done}",
        account_id=endpoint.account_id,
        subject=(Kind.WEBHOOK_ENDPOINT, endpoint.id),
    )
