"""The main job: a new credential, its secret handed over this once."""

from collections.abc import Sequence

from auth.crypto.secret import Secret
from auth.permissions import Permission
from auth.policy import authorize
from models.account import Account
from models.credential import Credential, CredentialStatus
from models.database import transaction
from models.identity import Identity
from models.ids import Kind
from models.service import Service
from models.user import User
from resolvers.associations import check_associations
from resolvers.audit import EventType, record
from resolvers.caller import Caller
from resolvers.delivery import DeliveryRequest, accept_delivery
from resolvers.errors import ErrorCode, refuse
from resolvers.expiry import Expiry, expires_at
from resolvers.idempotency import claim, idempotently, keep, retry_of
from resolvers.networks import checked_networks
from resolvers.new_credential import (
    NAME_TAKEN,
    Generated,
    check_name,
    deliver_again,
    lock_parties,
    make_credential,
    packed,
    request_bytes,
)
from resolvers.reach import lock
from resolvers.unique import taken_if_violated
from resolvers.validation import check_credential_name, refuse_if_any
from resolvers.webhook_events import WebhookEventType, announce


async def generate_credential(
    caller: Caller,
    *,
    name: str,
    service_id: str,
    identity_id: str,
    delivery: DeliveryRequest,
    expiry: Expiry | None,
    allowed_networks: Sequence[str] | None = None,
    idempotency_key: Secret | None = None,
) -> Generated:
    """A new credential of the caller's. Everything that can be refused is refused before anything is made.

    Raises Denied, and Refused: INVALID, REQUIRED, NOT_FOUND, SERVICE_NOT_ACTIVE, IDENTITY_NOT_ACTIVE,
    IDENTITY_NOT_LINKED_TO_SERVICE, NOT_ALLOWED_BY_POLICY, LIMIT_REACHED, TAKEN, CONFLICT (the idempotency key), and
    the public key's own codes.
    """
    scope = authorize(caller.principal, Permission.GENERATE_CREDENTIALS)
    request = request_bytes(delivery, expiry, name, service_id, identity_id, allowed_networks)
    retry = retry_of(caller, idempotency_key, "generate", request)

    async def make() -> Generated:
        refuse_if_any(check_credential_name(name))
        networks = checked_networks(allowed_networks, "allowed_networks")
        with taken_if_violated("credentials_living_name", "name", NAME_TAKEN):
            async with transaction():
                await claim(caller, retry)
                account, owner = await lock_parties(scope)
                recipient = accept_delivery(delivery, account)
                end = expires_at(expiry, account, caller.now)
                # Held, so that neither is suspended between being looked at and the credential being there.
                service = await lock(Service, scope, service_id, "service_id")
                identity = await lock(Identity, scope, identity_id, "identity_id")
                await check_associations(service, identity, caller.now)
                await check_name(account.id, name)
                await _check_limit(caller, account, owner)
                parties = {"account": account, "owner": owner, "service": service, "identity": identity}
                wanted = Credential(**parties, name=name, allowed_networks=networks)
                made = await make_credential(caller, wanted, recipient=recipient, delivery=delivery, expires_at=end)
                await keep(retry, packed(made))
                await _tell(caller, made.credential, delivery)
        return made

    return await idempotently(caller, retry, make, deliver_again)


async def _tell(caller: Caller, made: Credential, delivery: DeliveryRequest) -> None:
    await announce(caller, WebhookEventType.CREDENTIAL_GENERATED, made)
    await record(
        caller,
        EventType.CREDENTIAL_GENERATED,
        f"Credential {made.name} was generated for service {made.service.name} and identity {made.identity.name},"
        f" its secret delivered by {delivery.method}",
        account_id=made.account_id,
        subject=(Kind.CREDENTIAL, made.id),
    )


async def _check_limit(caller: Caller, account: Account, owner: User) -> None:
    active = Credential.having_status(CredentialStatus.ACTIVE, caller.now)
    limit = account.max_active_credentials_per_user
    if await Credential.filter(active, owner_id=owner.id).count() >= limit:
        raise refuse(
            ErrorCode.LIMIT_REACHED,
            f"The account's policy allows {limit} active credentials for each user. Revoke one first.",
        )
