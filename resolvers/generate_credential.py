"""The main job: a new credential, its secret handed over this once."""

from dataclasses import dataclass

from auth.crypto.credential_format import generate_api_key, generate_api_secret
from auth.crypto.keyring import Purpose
from auth.crypto.secret_hash import hash_secret
from auth.permissions import Permission
from auth.policy import ApiAccessRemoved, Scope, authorize
from models.account import Account
from models.credential import Credential, CredentialStatus
from models.database import locked, transaction
from models.identity import Identity
from models.ids import Kind, new_id
from models.service import Service
from models.user import User
from resolvers.associations import check_associations
from resolvers.audit import EventType, record
from resolvers.caller import Caller
from resolvers.delivery import Delivery, DeliveryRequest, accept_delivery, deliver
from resolvers.errors import ErrorCode, refuse
from resolvers.expiry import Expiry, expires_at
from resolvers.reach import lock
from resolvers.unique import taken_if_violated
from resolvers.validation import check_credential_name, refuse_if_any

_NAME_TAKEN = "The account has a credential of this name that is not revoked."


@dataclass(frozen=True)
class Generated:
    credential: Credential
    delivery: Delivery


async def generate_credential(
    caller: Caller,
    *,
    name: str,
    service_id: str,
    identity_id: str,
    delivery: DeliveryRequest,
    expiry: Expiry | None,
) -> Generated:
    """A new credential of the caller's. Everything that can be refused is refused before anything is made.

    Raises Refused: INVALID, REQUIRED, NOT_FOUND, SERVICE_NOT_ACTIVE, IDENTITY_NOT_ACTIVE,
    IDENTITY_NOT_LINKED_TO_SERVICE, NOT_ALLOWED_BY_POLICY, LIMIT_REACHED, TAKEN, and the public key's own codes.
    """
    scope = authorize(caller.principal, Permission.GENERATE_CREDENTIALS)
    refuse_if_any(check_credential_name(name))
    account = await Account.get(id=scope.account_id)
    recipient = accept_delivery(delivery, account)
    end = expires_at(expiry, account, caller.now)
    with taken_if_violated("credentials_living_name", "name", _NAME_TAKEN):
        async with transaction():
            owner = await _lock_owner(scope)
            # Held, so that neither is suspended between being looked at and the credential being there.
            service = await lock(Service, scope, service_id, "service_id")
            identity = await lock(Identity, scope, identity_id, "identity_id")
            await check_associations(service, identity, caller.now)
            await _check_name(account, name)
            await _check_limit(caller, account, owner)
            key = caller.deployment.keyring.hashing_key(Purpose.CREDENTIAL_HASHING)
            api_key = generate_api_key(caller.deployment.key_prefix)
            secret = generate_api_secret(caller.deployment.key_prefix)
            credential = await Credential.create(
                id=new_id(caller.now),
                account=account,
                owner=owner,
                service=service,
                identity=identity,
                name=name,
                api_key=api_key,
                secret_hash=hash_secret(key, api_key, secret),
                hashing_key_id=key.id,
                delivery_method=delivery.method,
                public_key_fingerprint=recipient.fingerprint if recipient else None,
                created_at=caller.now,
                expires_at=end,
            )
            handed_over = deliver(name, api_key, secret, recipient, delivery.format)
            await record(
                caller,
                EventType.CREDENTIAL_GENERATED,
                f"Credential {name} was generated for service {service.name} and identity {identity.name},"
                f" its secret delivered by {delivery.method}",
                account_id=account.id,
                subject=(Kind.CREDENTIAL, credential.id),
            )
    return Generated(credential, handed_over)


async def _lock_owner(scope: Scope) -> User:
    """The owner's row, held until the transaction ends: of two requests for the last free place, one waits. API
    access removed since the request came in counts."""
    owner = await locked(User.filter(id=scope.owner_id)).get()
    if not owner.api_access:
        raise ApiAccessRemoved
    return owner


async def _check_name(account: Account, name: str) -> None:
    if await Credential.exists(account_id=account.id, name=name, revoked_at__isnull=True):
        raise refuse(ErrorCode.TAKEN, _NAME_TAKEN, "name")


async def _check_limit(caller: Caller, account: Account, owner: User) -> None:
    active = Credential.having_status(CredentialStatus.ACTIVE, caller.now)
    limit = account.max_active_credentials_per_user
    if await Credential.filter(active, owner_id=owner.id).count() >= limit:
        raise refuse(
            ErrorCode.LIMIT_REACHED,
            f"You hold {limit} active credentials, as many as the account's policy allows. Revoke one first.",
        )
