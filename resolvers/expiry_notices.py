"""Telling of ends before they come: 30, 7 and 1 days."""

from collections.abc import AsyncIterator, Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tortoise.queryset import QuerySet

from models.credential import WITH_PARTIES, Credential
from models.database import transaction
from models.ids import Kind, global_id
from models.instants import write_instant
from models.service import Service
from models.webhook import ExpiryNotice, WebhookEndpoint
from resolvers.caller import Caller
from resolvers.errors import Refused
from resolvers.unique import taken_if_violated
from resolvers.webhook_events import WebhookEventType, describe, enqueue, subscribed

DAYS_BEFORE = (1, 7, 30)
# In one go: the rest is told a minute later, and whoever wants to stop the server need not wait for all of it.
MOST_AT_ONCE = 500

Notice = tuple[str, int, datetime]
Ending = tuple[WebhookEventType, Notice, dict[str, Any]]


async def announce_ends(caller: Caller) -> None:
    """Tells every endpoint that wants to know of credentials and services whose end is near, once for each number of
    days. What comes within several at once is told of once, for the nearest."""
    living = WebhookEndpoint.filter(WebhookEndpoint.living())
    account_ids = await living.distinct().values_list("account_id", flat=True)
    horizon = caller.now + timedelta(days=max(DAYS_BEFORE))
    remembered = ExpiryNotice.filter(expires_at__gt=caller.now)
    told = {*await remembered.values_list("subject_id", "days", "expires_at")}
    most = len(told) + MOST_AT_ONCE
    for account_id in map(UUID, map(str, account_ids)):
        for find_ending in (_credentials_ending, _services_ending):
            async for event_type, notice, data in find_ending(caller, account_id, horizon, told):
                if len(told) >= most:
                    return
                told.add(notice)
                await _announce(caller, account_id, event_type, notice, data)


async def forget_notices(now: datetime) -> None:
    """Removes the memory of ends that have come."""
    await ExpiryNotice.filter(expires_at__lte=now).delete()


async def _credentials_ending(
    caller: Caller, account_id: UUID, horizon: datetime, told: Collection[Notice]
) -> AsyncIterator[Ending]:
    event_type = WebhookEventType.CREDENTIAL_EXPIRING
    if not await subscribed(account_id, event_type):
        return
    ending = Credential.filter(
        account_id=account_id, revoked_at__isnull=True, expires_at__gt=caller.now, expires_at__lte=horizon
    )
    async for id_, notice in _untold(caller, ending, Kind.CREDENTIAL, told):
        if credential := await ending.select_related(*WITH_PARTIES).get_or_none(id=id_):
            yield event_type, notice, describe(credential, caller.now)


async def _services_ending(
    caller: Caller, account_id: UUID, horizon: datetime, told: Collection[Notice]
) -> AsyncIterator[Ending]:
    event_type = WebhookEventType.SERVICE_ENDING
    if not await subscribed(account_id, event_type):
        return
    ending = Service.filter(
        account_id=account_id, cancelled_at__isnull=True, expires_at__gt=caller.now, expires_at__lte=horizon
    )
    async for id_, notice in _untold(caller, ending, Kind.SERVICE, told):
        if service := await ending.get_or_none(id=id_):
            yield event_type, notice, {"serviceId": notice[0], "name": service.name, "code": service.code}


async def _untold(
    caller: Caller, ending: QuerySet[Any], kind: Kind, told: Collection[Notice]
) -> AsyncIterator[tuple[UUID, Notice]]:
    """What is to be told of: of the rest, which can be thousands and comes by each minute, no row is loaded."""
    for id_, expires_at in await ending.values_list("id", "expires_at"):
        notice = _notice(caller, global_id(kind, id_), expires_at)
        if notice not in told:
            yield id_, notice


def _notice(caller: Caller, subject_id: str, expires_at: datetime) -> Notice:
    days = next(days for days in DAYS_BEFORE if expires_at <= caller.now + timedelta(days=days))
    return subject_id, days, expires_at


async def _announce(
    caller: Caller, account_id: UUID, event_type: WebhookEventType, notice: Notice, data: dict[str, Any]
) -> None:
    subject_id, days, expires_at = notice
    try:
        with taken_if_violated("expiry_notices_pkey", "days", "told"):
            async with transaction():
                await ExpiryNotice.create(subject_id=subject_id, days=days, expires_at=expires_at)
                told = {**data, "expiresAt": write_instant(expires_at), "days": days}
                await enqueue(caller, await subscribed(account_id, event_type), event_type, told)
    except Refused:
        return  # Another process was a moment faster.
