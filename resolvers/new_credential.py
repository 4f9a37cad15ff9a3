"""What generating and rotating have in common: everything is refused first, then made, then handed over."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from auth.bearer import is_active
from auth.crypto.credential_format import generate_api_key, generate_api_secret
from auth.crypto.keyring import Purpose
from auth.crypto.public_keys import RecipientKey
from auth.crypto.secret_hash import hash_secret
from auth.policy import Scope, Unauthenticated, authorize
from auth.principal import Principal
from models.account import Account
from models.credential import WITH_PARTIES, Credential
from models.database import locked, transaction
from models.ids import Kind, new_id
from models.user import User
from resolvers.audit import EventType, record
from resolvers.caller import Caller
from resolvers.delivery import Delivery, DeliveryRequest, deliver, pack, unpack
from resolvers.errors import ErrorCode, refuse
from resolvers.expiry import Expiry

NAME_TAKEN = "The account has a credential of this name that is neither revoked nor rotated."


@dataclass(frozen=True)
class Generated:
    """A new credential, the one it was made in the place of, if any, and its secret."""

    credential: Credential
    delivery: Delivery
    predecessor: Credential | None = None


async def lock_parties(scope: Scope) -> tuple[Account, User]:
    """The account and the owner, held until the transaction ends: of two requests for the last free place, one waits.
    What was changed since the request came in counts: the policy, a suspension, the owner's role and access."""
    account = await locked(Account.filter(id=scope.account_id)).get()
    owner = await locked(User.filter(id=scope.owner_id)).get()
    owner.account = account
    if not is_active(owner):
        raise Unauthenticated
    authorize(Principal.of_user(owner), scope.permission)
    return account, owner


async def check_name(account_id: UUID, name: str) -> None:
    """Raises Refused (TAKEN)."""
    living = Credential.filter(account_id=account_id, name=name, revoked_at__isnull=True, rotated_at__isnull=True)
    if await living.exists():
        raise refuse(ErrorCode.TAKEN, NAME_TAKEN, "name")


async def make_credential(
    caller: Caller,
    parties: Credential,
    *,
    recipient: RecipientKey | None,
    delivery: DeliveryRequest,
    expires_at: datetime,
) -> Generated:
    """Gives an unsaved credential, which has its name and associations, a key and a secret, and saves it."""
    key = caller.deployment.keyring.symmetric_key(Purpose.CREDENTIAL_HASHING, caller.now)
    secret = generate_api_secret(caller.deployment.key_prefix)
    credential = parties
    credential.id = new_id(caller.now)
    credential.api_key = generate_api_key(caller.deployment.key_prefix)
    credential.secret_hash = hash_secret(key, credential.api_key, secret)
    credential.hashing_key_id = key.id
    credential.delivery_method = delivery.method
    credential.public_key_fingerprint = recipient.fingerprint if recipient else None
    credential.created_at = caller.now
    credential.expires_at = expires_at
    await credential.save(force_create=True)
    handed_over = deliver(credential.name, credential.api_key, secret, recipient, delivery.format)
    return Generated(credential, handed_over)


def request_bytes(delivery: DeliveryRequest, expiry: Expiry | None, *others: str | int | Sequence[str] | None) -> bytes:
    """All that was asked for, to tell an equal request by."""
    key = delivery.public_key.reveal() if delivery.public_key else None
    end = [expiry.months, expiry.at, expiry.never] if expiry else None
    return orjson.dumps([delivery.method, key, delivery.format, end, *others])


def packed(generated: Generated) -> bytes:
    """What to keep for a retry."""
    predecessor_id = str(generated.predecessor.id) if generated.predecessor else None
    return orjson.dumps([str(generated.credential.id), predecessor_id, pack(generated.delivery)])


async def deliver_again(caller: Caller, answer: bytes) -> Generated:
    """What was kept: the same secret, and the credentials as they are now. That it is handed over again is recorded,
    as each time is."""
    credential_id, predecessor_id, delivery = orjson.loads(answer)
    credential = await Credential.get(id=credential_id).select_related(*WITH_PARTIES)
    predecessor = await Credential.get_or_none(id=predecessor_id).select_related(*WITH_PARTIES)
    async with transaction():
        await record(
            caller,
            EventType.CREDENTIAL_DELIVERED_AGAIN,
            f"The secret of credential {credential.name} was delivered again, to a retry",
            account_id=credential.account_id,
            subject=(Kind.CREDENTIAL, credential.id),
        )
    return Generated(credential, unpack(delivery), predecessor)
