"""Sending what is to be told: signed, retried with growing pauses, and never into the provider's own network."""

import asyncio
import hmac
import socket
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import urlsplit, urlunsplit

import httpx

from auth.crypto.secret import Secret
from models.database import transaction
from models.ids import Kind
from models.webhook import WebhookDelivery, WebhookEndpoint
from resolvers.audit import EventType, record
from resolvers.caller import Caller
from resolvers.webhooks import sealing_context

# The pauses that Standard Webhooks suggests; after the last one there is no hope left.
_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400))
# Longer than a try can take: another process leaves the message alone meanwhile, and takes it over afterwards.
_LEASE = timedelta(seconds=60)
_TIMEOUT_SECONDS = 10
_AT_ONCE = 20

Networks = tuple[IPv4Network | IPv6Network, ...]


class TargetRefused(Exception):
    """The endpoint lies where nothing is sent; the message says why."""


@dataclass(frozen=True)
class Target:
    """An endpoint as it is connected to: by the very address that was checked, so that a name that changes its
    meaning meanwhile is of no use."""

    url: str
    host: str
    server_name: str


async def deliver_due(caller: Caller, allowed_networks: Networks) -> int:
    """Sends what is due; how many it tried. `allowed_networks` may be sent to although they are not public."""
    due = WebhookDelivery.filter(done_at__isnull=True, next_attempt_at__lte=caller.now)
    deliveries = await due.order_by("next_attempt_at").limit(_AT_ONCE).select_related("endpoint")
    taken = [delivery for delivery in deliveries if await _take(delivery, caller)]
    await asyncio.gather(*(_deliver(caller, delivery, allowed_networks) for delivery in taken))
    return len(taken)


async def _take(delivery: WebhookDelivery, caller: Caller) -> bool:
    """Of several processes that see a message due, one takes it."""
    mine = WebhookDelivery.filter(
        id=delivery.id, done_at__isnull=True, attempts=delivery.attempts, next_attempt_at__lte=caller.now
    )
    delivery.attempts += 1
    return bool(await mine.update(attempts=delivery.attempts, next_attempt_at=caller.now + _LEASE))


async def _deliver(caller: Caller, delivery: WebhookDelivery, allowed_networks: Networks) -> None:
    try:
        status = await _send(caller, delivery, allowed_networks)
        outcome = f"answered {status}"
        delivered = 200 <= status < 300
    except (httpx.HTTPError, TargetRefused, OSError) as error:
        outcome = str(error) if isinstance(error, TargetRefused) else type(error).__name__
        delivered = False
    given_up = not delivered and delivery.attempts > len(_PAUSES)
    async with transaction():
        rows = WebhookDelivery.filter(id=delivery.id, done_at__isnull=True)
        if delivered or given_up:
            await rows.update(done_at=caller.now)
        else:
            await rows.update(next_attempt_at=caller.now + _PAUSES[delivery.attempts - 1])
        event_type = EventType.WEBHOOK_DELIVERED if delivered else EventType.WEBHOOK_FAILED
        where, given_up_too = urlsplit(delivery.endpoint.url).hostname, ", given up" if given_up else ""
        await record(
            caller,
            event_type,
            f"{delivery.event_type} to {where}, attempt {delivery.attempts}: {outcome}{given_up_too}",
            account_id=delivery.endpoint.account_id,
            subject=(Kind.WEBHOOK_ENDPOINT, delivery.endpoint_id),
        )


async def _send(caller: Caller, delivery: WebhookDelivery, allowed_networks: Networks) -> int:
    target = await _resolve(delivery.endpoint.url, allowed_networks)
    body = delivery.body.encode()
    message_id, timestamp = f"msg_{delivery.id.hex}", str(int(caller.now.timestamp()))
    headers = {
        "Host": target.host,
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": sign(_secret(caller, delivery.endpoint), message_id, timestamp, body),
    }
    async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, follow_redirects=False, trust_env=False) as client:
        request = client.build_request(
            "POST", target.url, content=body, headers=headers, extensions={"sni_hostname": target.server_name}
        )
        # What is answered is not read: only the status counts, and the rest may be of any size.
        response = await client.send(request, stream=True)
        await response.aclose()
    return response.status_code


def sign(secret: Secret, message_id: str, timestamp: str, body: bytes) -> str:
    """The signature of Standard Webhooks: HMAC-SHA256 over id, timestamp and body with dots between them."""
    key = b64decode(secret.reveal().removeprefix("whsec_"))
    signed = b".".join([message_id.encode(), timestamp.encode(), body])
    return f"v1,{b64encode(hmac.digest(key, signed, 'sha256')).decode()}"


def _secret(caller: Caller, endpoint: WebhookEndpoint) -> Secret:
    key = caller.deployment.keyring.symmetric_keys[endpoint.sealing_key_id]
    return Secret(key.open(endpoint.sealed_secret, sealing_context(endpoint.id)).decode())


async def _resolve(url: str, allowed_networks: Networks) -> Target:
    """Raises TargetRefused, OSError."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    addresses = {ip_address(str(address[4][0])) for address in found}
    allowed = all(any(address in network for network in allowed_networks) for address in addresses)
    if not allowed and not all(address.is_global and not address.is_multicast for address in addresses):
        raise TargetRefused("refused: the address is not public")
    if not allowed and parts.scheme != "https":
        raise TargetRefused("refused: not https")
    address = min(addresses, key=str)
    host = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    return Target(urlunsplit((parts.scheme, host, parts.path or "/", parts.query, "")), parts.netloc, name)
