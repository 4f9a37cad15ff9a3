"""What still needs a key of the server's."""

from datetime import datetime

from auth.crypto.keyring import Purpose, purpose_of
from models.audit import AuditEvent
from models.credential import Credential
from models.webhook import WebhookEndpoint
from resolvers.wording import counted


async def count_needs(key_id: str, now: datetime) -> int:
    """How many rows can't do without a key: credentials that are neither revoked nor expired, webhook endpoints that
    were not removed, and audit events."""
    match purpose_of(key_id):
        case Purpose.CREDENTIAL_HASHING:
            return await Credential.filter(hashing_key_id=key_id, revoked_at__isnull=True, expires_at__gt=now).count()
        case Purpose.SEALING:
            return await WebhookEndpoint.filter(sealing_key_id=key_id, removed_at__isnull=True).count()
        case Purpose.AUDIT_HASHING:
            return await AuditEvent.filter(hashing_key_id=key_id).count()
    return 0


async def what_needs(key_id: str, now: datetime) -> str:
    """The same in words; empty where nothing does."""
    number = await count_needs(key_id, now)
    return counted(number, _noun(key_id)) if number else ""


def _noun(key_id: str) -> str:
    match purpose_of(key_id):
        case Purpose.CREDENTIAL_HASHING:
            return "credential"
        case Purpose.SEALING:
            return "webhook endpoint"
    return "audit event"
