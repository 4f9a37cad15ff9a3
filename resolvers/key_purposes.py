"""What the server's keys are for, by their purpose, and what of a deployment still needs one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tortoise.queryset import QuerySet

from auth.crypto.keyring import Purpose, purpose_of
from models.audit import AuditEvent
from models.credential import Credential
from models.webhook import WebhookEndpoint
from resolvers.wording import counted


@dataclass(frozen=True)
class Use:
    """What a key is used for: what it does; what was made with it and can't do without it, by its name and by the rows
    that a key's id and the time choose; and, where that keeps the key from being retired, what is to be said of it."""

    verb: str
    made: str = ""
    rows: Callable[[str, datetime], QuerySet[Any]] | None = None
    advice: str = ""


_USES = {
    Purpose.CREDENTIAL_HASHING: Use(
        "hash",
        "credential",
        lambda key_id, now: Credential.filter(hashing_key_id=key_id, revoked_at__isnull=True, expires_at__gt=now),
        ", not used since a newer one came into use. Each use takes one to the newest key; owners can rotate or revoke "
        "the others. After a leak, --force revokes them all.",
    ),
    Purpose.AUDIT_HASHING: Use(
        "hash",
        "audit event",
        lambda key_id, _: AuditEvent.filter(hashing_key_id=key_id),
        ", which nobody could verify without it: it stays, and makes nothing new.",
    ),
    Purpose.SEALING: Use(
        "seal",
        "webhook endpoint",
        lambda key_id, _: WebhookEndpoint.filter(sealing_key_id=key_id, removed_at__isnull=True),
        ": a running server seals them under the newest key within some minutes. Start one, and try again.",
    ),
    # What these sign ends by itself, or is kept by others.
    Purpose.TOKEN_SIGNING: Use("sign"),
    Purpose.CHECKPOINT_SIGNING: Use("sign"),
}


_UNKNOWN = Use("hash")


def use_of(key_id: str) -> Use:
    """By the purpose that an id names."""
    purpose = purpose_of(key_id)
    return _USES[purpose] if purpose else _UNKNOWN


async def what_needs(key_id: str, now: datetime) -> str:
    """How many credentials that are neither revoked nor expired, webhook endpoints that were not removed, or audit
    events can't do without a key; empty where nothing needs it."""
    use = use_of(key_id)
    number = await use.rows(key_id, now).count() if use.rows else 0
    return counted(number, use.made) if number else ""
