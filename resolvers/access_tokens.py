"""What becomes of access tokens after they are issued: checked, introspected, revoked."""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from auth.crypto.access_token import Claims, read_access_token
from auth.crypto.secret import Secret
from auth.permissions import Permission
from auth.policy import authorize
from models.check_facts import CredentialFacts, read_facts
from models.database import transaction
from models.ids import Kind
from models.revoked_token import RevokedToken
from resolvers.audit import EventType, lock_chain, record
from resolvers.caller import Caller
from resolvers.check_credential import Verdict, authenticate, is_usable, judge
from resolvers.errors import ErrorCode, refuse
from resolvers.throttling import LOGIN, throttled


@dataclass(frozen=True)
class Introspection:
    """A token that is good right now, and what it says."""

    claims: Claims
    known: CredentialFacts
    is_remembered: bool = False


async def verify_access_token(
    caller: Caller, token: Secret, *, service: str | None, client_address: str | None
) -> Verdict:
    """What a gateway asks about an access token. Raises Denied."""
    scope = authorize(caller.principal, Permission.VERIFY_CREDENTIALS)
    found = await _read(caller, token)
    known, from_memory = (found.known, found.is_remembered) if found else (None, False)
    return judge(caller.deployment, scope, known, service, client_address, caller.now, from_memory=from_memory)


async def introspect(caller: Caller, token: Secret) -> Introspection | None:
    """RFC 7662: None where a token is not active, whatever the reason. Raises Denied."""
    scope = authorize(caller.principal, Permission.VERIFY_CREDENTIALS)
    found = await _read(caller, token)
    if found is None or scope.account_id not in (None, found.known.account_id):
        return None
    return found if is_usable(found.known, caller.now) else None


async def revoke_access_token(caller: Caller, *, api_key: str, api_secret: Secret, token: Secret) -> None:
    """RFC 7009: a client ends a token of its own; any other, or a text that is no token, is let be. Raises Throttled,
    and Refused (INVALID_CREDENTIALS)."""
    async with throttled(caller, LOGIN, api_key):
        found = await authenticate(caller.deployment, api_key, api_secret)
        if found is None:
            raise refuse(ErrorCode.INVALID_CREDENTIALS, "The API key or the API secret is not right.")
    claims = _claims(caller, token)
    if claims is None or claims.client_id != api_key:
        return
    expires_at = datetime.fromtimestamp(claims.expires_at, UTC)
    async with transaction():
        # Of two at once one waits here for the other, and finds it revoked then.
        await lock_chain(found.account_id)
        if await RevokedToken.exists(id=claims.token_id):
            return
        await RevokedToken.create(id=claims.token_id, expires_at=expires_at)
        await record(
            caller,
            EventType.ACCESS_TOKEN_REVOKED,
            f"An access token of credential {found.name} was revoked by its client",
            account_id=found.account_id,
            subject=(Kind.CREDENTIAL, found.row_id),
        )
    await caller.deployment.memory.settle()


async def forget_revoked_tokens(now: datetime) -> None:
    """Removes those that would have expired anyway."""
    await RevokedToken.filter(expires_at__lte=now).delete()


async def _read(caller: Caller, token: Secret) -> Introspection | None:
    """A token of ours that has neither expired nor been revoked, and whose credential still is for the service that
    the token was issued for."""
    found = await _living(caller, token)
    if found is None or found.claims.scope not in ("", found.known.service.code):
        return None
    return found


async def _living(caller: Caller, token: Secret) -> Introspection | None:
    """What a token says, unless it was revoked, and its credential; remembered, or read from it and looked up."""
    deployment, memory = caller.deployment, caller.deployment.memory
    token_hash, epoch = sha256(token.reveal().encode(errors="surrogateescape")).digest(), memory.epoch
    remembered = memory.find_token(token_hash)
    if remembered is not None:
        return (
            Introspection(*remembered, is_remembered=True)
            if remembered[0].holds(deployment.keyring, caller.now)
            else None
        )
    claims = _claims(caller, token)
    if claims is None or await RevokedToken.exists(id=claims.token_id):
        return None
    read = await read_facts(claims.client_id, memory.find_parties)
    if read is None:
        return None
    known, _ = read
    memory.remember_token(token_hash, claims, known, epoch)
    return Introspection(claims, known)


def _claims(caller: Caller, token: Secret) -> Claims | None:
    deployment = caller.deployment
    return read_access_token(deployment.keyring, token, issuer=deployment.issuer, now=caller.now)
