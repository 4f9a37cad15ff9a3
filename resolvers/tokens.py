"""Personal access tokens, for one's own scripts, and gateway tokens, for machines that check credentials."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from auth.crypto.secret import Secret
from auth.opaque_token import TokenPurpose, generate_token, hash_token
from auth.permissions import Permission
from auth.policy import Denied, Unauthenticated, authorize, require_person
from models.access_token import AccessToken, AccessTokenKind
from models.account import Account
from models.audit import DEPLOYMENT_CHAIN, AuditChain
from models.database import locked, transaction
from models.ids import Kind, new_id, row_id
from models.instants import to_millisecond
from models.user import User, UserStatus
from resolvers.audit import EventType, record
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, not_found, refuse
from resolvers.reach import load
from resolvers.validation import check_text, refuse_if_any

LONGEST_PERSONAL = timedelta(days=366)
LONGEST_GATEWAY = timedelta(days=5 * 366)
MOST_AT_ONCE = 50


@dataclass(frozen=True)
class CreatedToken:
    """A new token, handed over this once."""

    token: Secret
    row: AccessToken


async def create_personal_access_token(
    caller: Caller, *, name: str, permissions: Sequence[Permission], expires_at: datetime
) -> CreatedToken:
    """A token that does some of what its owner may do, until it expires. Only a signed-in person can make one.
    Raises Denied, and Refused (REQUIRED, INVALID, NOT_ALLOWED_BY_POLICY, LIMIT_REACHED)."""
    user = require_person(caller.principal)
    refuse_if_any(check_text(name, "name", maximum=64))
    _check_end(caller, expires_at, LONGEST_PERSONAL)
    held = caller.principal.permissions if caller.principal else frozenset()
    if not permissions:
        raise refuse(ErrorCode.REQUIRED, "Name at least one permission.", "permissions")
    if beyond := sorted(set(permissions) - held):
        message = f"You can't give what you don't have: {', '.join(beyond)}."
        raise refuse(ErrorCode.NOT_ALLOWED_BY_POLICY, message, "permissions")
    async with transaction():
        # Deactivated meanwhile, whoever asks has nothing left to make a token with.
        if (await locked(User.filter(id=user.id)).get()).status is not UserStatus.ACTIVE:
            raise Unauthenticated
        return await _create(
            caller,
            AccessTokenKind.PERSONAL,
            name=name,
            account_id=user.account_id,
            user_id=user.id,
            permissions=permissions,
            expires_at=expires_at,
        )


async def create_gateway_token(
    caller: Caller, *, account_id: str | None, name: str, expires_at: datetime
) -> CreatedToken:
    """A token with which a machine may check credentials, of an account or, where an operator names none, of all.
    Raises Denied, and Refused (REQUIRED, INVALID, NOT_FOUND, LIMIT_REACHED)."""
    scope = authorize(caller.principal, Permission.MANAGE_GATEWAYS)
    require_person(caller.principal)
    refuse_if_any(check_text(name, "name", maximum=64))
    _check_end(caller, expires_at, LONGEST_GATEWAY)
    serves = scope.account_id
    if account_id is not None:
        serves = (await load(Account, scope, account_id, "account_id")).id
    async with transaction():
        # Whoever else makes one for the same account, or for all, waits: two can't both take the last place.
        await locked(AuditChain.filter(id=serves or DEPLOYMENT_CHAIN)).get()
        return await _create(
            caller,
            AccessTokenKind.GATEWAY,
            name=name,
            account_id=serves,
            user_id=None,
            permissions=[Permission.VERIFY_CREDENTIALS],
            expires_at=expires_at,
        )


async def revoke_access_token(caller: Caller, *, token_id: str) -> None:
    """Ends one of one's own tokens, or a gateway's, at once. Raises Denied, and Refused (NOT_FOUND,
    ALREADY_REVOKED)."""
    require_person(caller.principal)
    async with transaction():
        id_ = row_id(Kind.ACCESS_TOKEN, token_id)
        token = await locked(tokens_in_reach(caller, Permission.MANAGE_GATEWAYS)).get_or_none(id=id_ or UUID(int=0))
        if token is None:
            raise not_found("token_id")
        if token.revoked_at:
            raise refuse(ErrorCode.ALREADY_REVOKED, "This token was revoked before.", "token_id")
        token.revoked_at = caller.now
        await token.save(update_fields=["revoked_at"])
        await _record(caller, EventType.TOKEN_REVOKED, token, "revoked")


def tokens_in_reach(caller: Caller, permission: Permission) -> QuerySet[AccessToken]:
    """One's own personal tokens and, for who has this permission, the gateways'. Raises Denied."""
    mine = Q(user_id=require_person(caller.principal).id)
    try:
        scope = authorize(caller.principal, permission)
    except Denied:
        return AccessToken.filter(mine)
    gateways = Q(kind=AccessTokenKind.GATEWAY)
    if scope.account_id is not None:
        gateways &= Q(account_id=scope.account_id)
    return AccessToken.filter(mine | gateways)


def _check_end(caller: Caller, expires_at: datetime, longest: timedelta) -> None:
    if not caller.now < expires_at <= caller.now + longest:
        raise refuse(ErrorCode.INVALID, f"An instant within the next {longest.days} days, please.", "expires_at")


async def _create(
    caller: Caller,
    kind: AccessTokenKind,
    *,
    name: str,
    account_id: UUID | None,
    user_id: UUID | None,
    permissions: Sequence[Permission],
    expires_at: datetime,
) -> CreatedToken:
    living = AccessToken.filter(kind=kind, revoked_at__isnull=True, expires_at__gt=caller.now)
    if await living.filter(account_id=account_id, user_id=user_id).count() >= MOST_AT_ONCE:
        raise refuse(ErrorCode.LIMIT_REACHED, f"There are {MOST_AT_ONCE} tokens already. Revoke one first.")
    purpose = TokenPurpose.PERSONAL if kind is AccessTokenKind.PERSONAL else TokenPurpose.GATEWAY
    secret = generate_token(purpose)
    token = await AccessToken.create(
        id=new_id(caller.now),
        kind=kind,
        account_id=account_id,
        user_id=user_id,
        name=name,
        token_hash=hash_token(secret),
        permissions=" ".join(sorted(set(permissions))),
        created_at=caller.now,
        expires_at=to_millisecond(expires_at),
    )
    await _record(caller, EventType.TOKEN_CREATED, token, f"created for {token.permissions}")
    return CreatedToken(secret, token)


async def _record(caller: Caller, event_type: EventType, token: AccessToken, done: str) -> None:
    await record(
        caller,
        event_type,
        f"The {token.kind.value.lower()} token {token.name} was {done}",
        account_id=token.account_id,
        subject=(Kind.ACCESS_TOKEN, token.id),
    )
