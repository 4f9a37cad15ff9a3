"""Telling of ends before they come: 30, 7 and 1 days."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from models.credential import WITH_PARTIES, Credential
from models.database import transaction
from models.ids import Kind, global_id
from models.service import Service
from models.webhook import ExpiryNotice, WebhookEndpoint
from resolvers.caller import Caller
from resolvers.errors import Refused
from resolvers.unique import taken_if_violated
from resolvers.webhooks import WebhookEventType, describe, enqueue, subscribed

DAYS_BEFORE = (1, 7, 30)


async def announce_ends(caller: Caller) -> None:
    """Tells every endpoint that wants to know of credentials and services whose end is near, once for each number of
    days. What comes within several at once is told of once, for the nearest."""
    account_ids = await WebhookEndpoint.filter(removed_at__isnull=True).distinct().values_list("account_id", flat=True)
    horizon = caller.now + timedelta(days=max(DAYS_BEFORE))
    for account_id in account_ids:
        await _announce_credentials(caller, UUID(str(account_id)), horizon)
        await _announce_services(caller, UUID(str(account_id)), horizon)


async def _announce_credentials(caller: Caller, account_id: UUID, horizon: datetime) -> None:
    if not await subscribed(account_id, WebhookEventType.CREDENTIAL_EXPIRING):
        return
    ending = Credential.filter(
        account_id=account_id, revoked_at__isnull=True, expires_at__gt=caller.now, expires_at__lte=horizon
    )
    async for credential in ending.select_related(*WITH_PARTIES):
        subject_id = global_id(Kind.CREDENTIAL, credential.id)
        data = describe(credential, caller)
        event_type = WebhookEventType.CREDENTIAL_EXPIRING
        await _announce(caller, account_id, event_type, subject_id, credential.expires_at, data)


async def _announce_services(caller: Caller, account_id: UUID, horizon: datetime) -> None:
    if not await subscribed(account_id, WebhookEventType.SERVICE_ENDING):
        return
    ending = Service.filter(
        account_id=account_id, cancelled_at__isnull=True, expires_at__gt=caller.now, expires_at__lte=horizon
    )
    async for service in ending:
        subject_id = global_id(Kind.SERVICE, service.id)
        data = {"serviceId": subject_id, "name": service.name, "code": service.code}
        event_type = WebhookEventType.SERVICE_ENDING
        await _announce(caller, account_id, event_type, subject_id, service.expires_at, data)


async def _announce(
    caller: Caller,
    account_id: UUID,
    event_type: WebhookEventType,
    subject_id: str,
    expires_at: datetime,
    data: Mapping[str, object],
) -> None:
    days = next(days for days in DAYS_BEFORE if expires_at <= caller.now + timedelta(days=days))
    if await ExpiryNotice.exists(subject_id=subject_id, days=days, expires_at=expires_at):
        return
    try:
        with taken_if_violated("expiry_notices_pkey", "days", "told"):
            async with transaction():
                await ExpiryNotice.create(subject_id=subject_id, days=days, expires_at=expires_at)
                told = {**data, "expiresAt": expires_at.isoformat(), "days": days}
                await enqueue(caller, await subscribed(account_id, event_type), event_type, told)
    except Refused:
        return  # Another process was a moment faster.
