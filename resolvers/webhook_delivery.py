"""Sending what is to be told: signed, retried with growing pauses, each try written down.

A message is taken before it is sent, and for a while nobody else takes it; should this process end meanwhile, another
one sends it again. So an endpoint gets each message at least once, under one id by which it can tell.

An endpoint that says it is gone (410), or that took nothing in all the time in which a message was tried, is disabled.
"""

import asyncio
import hmac
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from random import sample
from uuid import UUID

import httpx

from auth.crypto.secret import Secret
from models.database import locked, transaction
from models.ids import Kind
from models.instants import write_instant
from models.webhook import WebhookDelivery, WebhookEndpoint
from resolvers.audit import EventType, Happened, record_all
from resolvers.caller import Caller, Deployment
from resolvers.webhook_targets import TargetRefused, find_target, host_of
from resolvers.webhooks import sealing_context

# The pauses that Standard Webhooks suggests; after the last one there is no hope left.
_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400))
# From looking up the name to the first line of the answer, however slowly it all comes.
_TRY_SECONDS = 10
# Longer than a try: another process leaves the message alone meanwhile, and takes it over afterwards.
_LEASE = timedelta(seconds=60)
_ENDPOINTS_AT_ONCE = 30
_MESSAGES_AT_ONCE = 10  # of one endpoint
_GONE = 410


@dataclass(frozen=True)
class _Outcome:
    """What came of a try, in words; and how long the endpoint wants to be left alone."""

    told: str
    delivered: bool = False
    gone: bool = False
    wait: timedelta = timedelta(0)


class WebhookSender:
    """Sends what is due, each endpoint's messages apart from all others', so that a slow endpoint keeps nobody else
    waiting. `on_fault` is told of what could not be foreseen."""

    def __init__(self, deployment: Deployment, on_fault: Callable[[BaseException], object]) -> None:
        self._deployment = deployment
        self._on_fault = on_fault
        self._busy: dict[UUID, asyncio.Task[None]] = {}
        self._try_seconds: float = _TRY_SECONDS
        self._limits: set[asyncio.Timeout] = set()
        # The database is there for others too.
        self._writing = asyncio.Semaphore(2)

    @property
    def is_busy(self) -> bool:
        return bool(self._busy)

    async def start_due(self) -> int:
        """Begins with what is due and not under way; for how many endpoints."""
        due = WebhookDelivery.filter(next_attempt_at__lte=self._deployment.clock())
        found = await due.distinct().values_list("endpoint_id", flat=True)
        waiting = [id_ for id_ in map(_uuid, found) if id_ not in self._busy]
        # By lot, where there are too many: no number of slow ones can push the others aside for good.
        chosen = sample(waiting, min(len(waiting), _ENDPOINTS_AT_ONCE - len(self._busy)))
        for endpoint_id in chosen:
            self._busy[endpoint_id] = asyncio.create_task(self._serve(endpoint_id))
        return len(chosen)

    async def lag(self) -> timedelta:
        """For how long the message that has waited the longest is due."""
        now = self._deployment.clock()
        due = WebhookDelivery.filter(next_attempt_at__lte=now).order_by("next_attempt_at").limit(1)
        oldest = await due.values_list("next_attempt_at", flat=True)
        return now - _instant(oldest[0]) if oldest else timedelta(0)

    async def finish(self, within_seconds: float | None = None) -> None:
        """Waits for what is under way; with a limit, a try that takes longer from now on has failed."""
        if within_seconds is not None:
            self._try_seconds = within_seconds
            end = asyncio.get_running_loop().time() + within_seconds
            for limit in self._limits:
                if not limit.expired():
                    limit.reschedule(min(end, limit.when() or end))
        await asyncio.gather(*self._busy.values())

    async def _serve(self, endpoint_id: UUID) -> None:
        """One go at an endpoint: a few of its messages at once, the longest due first."""
        try:
            for outcome in await self._send_some(endpoint_id):
                if outcome is not None:
                    self._on_fault(outcome)
        except Exception as error:  # noqa: BLE001  (the database may be back the next time)
            self._on_fault(error)
        finally:
            del self._busy[endpoint_id]

    async def _send_some(self, endpoint_id: UUID) -> list[BaseException | None]:
        caller = Caller(None, None, self._deployment.clock(), self._deployment)
        waiting = WebhookDelivery.filter(endpoint_id=endpoint_id)
        if not await WebhookEndpoint.exists(WebhookEndpoint.living(), id=endpoint_id):
            # Written in the very moment in which it was removed or disabled.
            await waiting.delete()
            return []
        due = waiting.filter(next_attempt_at__lte=caller.now).order_by("next_attempt_at", "id")
        deliveries = await due.limit(_MESSAGES_AT_ONCE).select_related("endpoint")
        return await asyncio.gather(*(self._try(caller, delivery) for delivery in deliveries), return_exceptions=True)

    async def _try(self, caller: Caller, delivery: WebhookDelivery) -> None:
        async with self._writing:
            if not await _take(delivery, caller):
                return
        try:
            outcome = await self._send_in_time(caller, delivery)
        except TargetRefused as refused:
            outcome = _Outcome(f"not sent, {refused}")
        except Exception as error:  # noqa: BLE001  (whatever it is, no message is tried for ever)
            outcome = _Outcome(type(error).__name__)
        async with self._writing:
            await _write_down(replace(caller, now=self._deployment.clock()), delivery, outcome)

    async def _send_in_time(self, caller: Caller, delivery: WebhookDelivery) -> _Outcome:
        async with asyncio.timeout(self._try_seconds) as limit:
            self._limits.add(limit)
            try:
                return await _send(caller, delivery)
            finally:
                self._limits.discard(limit)


async def _take(delivery: WebhookDelivery, caller: Caller) -> bool:
    """Of several processes that see a message due, one takes it."""
    mine = WebhookDelivery.filter(id=delivery.id, attempts=delivery.attempts, next_attempt_at__lte=caller.now)
    delivery.attempts += 1
    return bool(await mine.update(attempts=delivery.attempts, next_attempt_at=caller.now + _LEASE))


async def _write_down(caller: Caller, delivery: WebhookDelivery, outcome: _Outcome) -> None:
    given_up = not outcome.delivered and (outcome.gone or delivery.attempts > len(_PAUSES))
    async with transaction():
        # Held first, as by who removes it, and by who writes down what came of another message.
        endpoint = await locked(WebhookEndpoint.filter(id=delivery.endpoint_id)).get()
        message = WebhookDelivery.filter(id=delivery.id)
        if outcome.delivered:
            endpoint.last_delivered_at = caller.now
            await endpoint.save(update_fields=["last_delivered_at"])
        if outcome.delivered or given_up:
            await message.delete()
        else:
            await _put_off(caller, delivery, outcome.wait)
        disabled = None
        if given_up and endpoint.disabled_at is None and endpoint.removed_at is None:
            disabled = await _disable_if_dead(caller, endpoint, delivery, outcome)
        host, given_up_too = host_of(endpoint.url), ", given up" if given_up else ""
        told = f"{delivery.event_type} to {host}, attempt {delivery.attempts}: {outcome.told}{given_up_too}"
        subject = (Kind.WEBHOOK_ENDPOINT, endpoint.id)
        event_type = EventType.WEBHOOK_DELIVERED if outcome.delivered else EventType.WEBHOOK_FAILED
        happened = [Happened(event_type, told, subject)]
        if disabled:
            happened.append(Happened(EventType.WEBHOOK_DISABLED, disabled, subject))
        await record_all(caller, happened, account_id=endpoint.account_id)


async def _put_off(caller: Caller, delivery: WebhookDelivery, wait: timedelta) -> None:
    """Until the next pause is over; of all that waits for the endpoint nothing is sent before it wants to be asked."""
    # Unless this process was held up for so long that another one has taken the message over.
    mine = WebhookDelivery.filter(id=delivery.id, attempts=delivery.attempts)
    await mine.update(next_attempt_at=caller.now + max(wait, _PAUSES[delivery.attempts - 1]))
    if wait:
        sooner = WebhookDelivery.filter(endpoint_id=delivery.endpoint_id, next_attempt_at__lt=caller.now + wait)
        await sooner.update(next_attempt_at=caller.now + wait)


async def _disable_if_dead(
    caller: Caller, endpoint: WebhookEndpoint, delivery: WebhookDelivery, outcome: _Outcome
) -> str | None:
    """One that answered 410, or took nothing since a message was written that is given up now. Answers what to
    record."""
    if not outcome.gone and endpoint.last_delivered_at and endpoint.last_delivered_at >= delivery.created_at:
        return None
    endpoint.disabled_at = caller.now
    await endpoint.save(update_fields=["disabled_at"])
    await WebhookDelivery.filter(endpoint_id=endpoint.id).delete()
    why = "it is gone" if outcome.gone else f"it took nothing since {write_instant(delivery.created_at)}"
    return f"The webhook endpoint {host_of(endpoint.url)} was disabled: {why}"


async def _send(caller: Caller, delivery: WebhookDelivery) -> _Outcome:
    """What the endpoint answers. Raises TargetRefused, and what httpx raises."""
    networks = caller.deployment.webhook_allowed_networks
    target = await find_target(delivery.endpoint.url, networks, delivery.attempts - 1)
    body = delivery.body.encode()
    message_id, timestamp = f"msg_{delivery.id.hex}", str(int(caller.now.timestamp()))
    headers = {
        "Host": target.host_header,
        "User-Agent": "Sealkey",
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": sign(_secret(caller, delivery.endpoint), message_id, timestamp, body),
    }
    # A client for each message: a connection to an address that two endpoints share belongs to one of the names.
    async with httpx.AsyncClient(verify=_trust(), timeout=None, follow_redirects=False, trust_env=False) as client:  # noqa: S113
        request = client.build_request(
            "POST", target.url, content=body, headers=headers, extensions={"sni_hostname": target.server_name}
        )
        # What is answered is not read: only the status and the headers count, and the rest may be of any size.
        response = await client.send(request, stream=True)
        await response.aclose()
    return _Outcome(
        f"answered {response.status_code}",
        delivered=response.is_success,
        gone=response.status_code == _GONE,
        wait=_retry_after(response, caller.now),
    )


def _retry_after(response: httpx.Response, now: datetime) -> timedelta:
    """How long the endpoint wants to be left alone (RFC 9110, 10.2.3), up to the longest pause."""
    text = response.headers.get("Retry-After", "")
    try:
        seconds = int(text) if text.isdecimal() else (_utc(parsedate_to_datetime(text)) - now).total_seconds()
    except ValueError:
        return timedelta(0)
    return timedelta(seconds=min(max(seconds, 0), _PAUSES[-1].total_seconds()))


def _utc(instant: datetime) -> datetime:
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


@cache
def _trust() -> ssl.SSLContext:
    """Loading the authorities takes long enough to be done once. SSL_CERT_FILE and SSL_CERT_DIR name others."""
    return httpx.create_ssl_context()


def sign(secret: Secret, message_id: str, timestamp: str, body: bytes) -> str:
    """The signature of Standard Webhooks: HMAC-SHA256 over id, timestamp and body with dots between them."""
    key = b64decode(secret.reveal().removeprefix("whsec_"))
    signed = b".".join([message_id.encode(), timestamp.encode(), body])
    return f"v1,{b64encode(hmac.digest(key, signed, 'sha256')).decode()}"


def _secret(caller: Caller, endpoint: WebhookEndpoint) -> Secret:
    key = caller.deployment.keyring.symmetric_keys[endpoint.sealing_key_id]
    return Secret(key.open(endpoint.sealed_secret, sealing_context(endpoint.id)).decode())


def _instant(value: object) -> datetime:
    assert isinstance(value, datetime)  # noqa: S101  (a column of instants)
    return value


def _uuid(value: object) -> UUID:
    return UUID(str(value))
