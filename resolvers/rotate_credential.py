"""A successor with the same name and associations, while the old one retires."""

from dataclasses import replace
from datetime import timedelta

from auth.crypto.secret import Secret
from auth.permissions import Permission
from auth.policy import authorize
from models.credential import Credential
from models.database import transaction
from models.ids import Kind
from resolvers.associations import check_associations
from resolvers.audit import EventType, Happened, record_all
from resolvers.caller import Caller
from resolvers.credentials import check_active
from resolvers.delivery import DeliveryRequest, accept_delivery
from resolvers.errors import ErrorCode, refuse
from resolvers.expiry import Expiry, expires_at
from resolvers.idempotency import claim, idempotently, keep, retry_of
from resolvers.new_credential import Generated, deliver_again, lock_parties, make_credential, packed, request_bytes
from resolvers.reach import lock
from resolvers.webhook_events import WebhookEventType, announce

LONGEST_GRACE_HOURS = 720


async def rotate_credential(
    caller: Caller,
    *,
    credential_id: str,
    delivery: DeliveryRequest,
    expiry: Expiry | None,
    grace_hours: int,
    idempotency_key: Secret | None = None,
) -> Generated:
    """A successor of one's own active credential, which nothing blocks. The old one works on until the grace period
    or its own life ends, whichever is first; it does not count against the limit.

    Raises Denied, and Refused: INVALID, REQUIRED, NOT_FOUND, CREDENTIAL_NOT_ACTIVE, SERVICE_NOT_ACTIVE,
    IDENTITY_NOT_ACTIVE, IDENTITY_NOT_LINKED_TO_SERVICE, NOT_ALLOWED_BY_POLICY, CONFLICT (the idempotency key), and
    the public key's own codes.
    """
    scope = authorize(caller.principal, Permission.MANAGE_OWN_CREDENTIALS)
    request = request_bytes(delivery, expiry, credential_id, grace_hours)
    retry = retry_of(caller, idempotency_key, "rotate", request)

    async def make() -> Generated:
        if not 0 <= grace_hours <= LONGEST_GRACE_HOURS:
            raise refuse(ErrorCode.INVALID, f"Between 0 and {LONGEST_GRACE_HOURS} hours, please.", "grace_hours")
        async with transaction():
            await claim(caller, retry)
            account, _ = await lock_parties(scope)
            recipient = accept_delivery(delivery, account)
            end = expires_at(expiry, account, caller.now)
            old = await lock(Credential, scope, credential_id, "credential_id")
            check_active(old, caller)
            await check_associations(old.service, old.identity, caller.now, fields=False)
            # First of all the old one gives up its name.
            old.rotated_at = caller.now
            old.expires_at = min(old.expires_at, caller.now + timedelta(hours=grace_hours))
            await old.save(update_fields=["rotated_at", "expires_at"])
            made = await make_credential(
                caller, _successor_of(old), recipient=recipient, delivery=delivery, expires_at=end
            )
            made = replace(made, predecessor=old)
            await keep(retry, packed(made))
            await _tell(caller, old, made.credential, delivery, grace_hours)
        return made

    return await idempotently(caller, retry, make, deliver_again)


def _successor_of(old: Credential) -> Credential:
    return Credential(
        account=old.account,
        owner=old.owner,
        service=old.service,
        identity=old.identity,
        name=old.name,
        allowed_networks=old.allowed_networks,
        predecessor_id=old.id,
    )


async def _tell(caller: Caller, old: Credential, made: Credential, delivery: DeliveryRequest, grace_hours: int) -> None:
    await announce(caller, WebhookEventType.CREDENTIAL_ROTATED, made)
    retired = f"Credential {old.name} retires until {old.expires_at.isoformat()}"
    rotated = (
        f"Credential {old.name} was rotated with {grace_hours} hours of grace,"
        f" the new secret delivered by {delivery.method}"
    )
    happened = [
        Happened(EventType.CREDENTIAL_RETIRED, retired, (Kind.CREDENTIAL, old.id)),
        Happened(EventType.CREDENTIAL_ROTATED, rotated, (Kind.CREDENTIAL, made.id)),
    ]
    await record_all(caller, happened, account_id=old.account_id)
