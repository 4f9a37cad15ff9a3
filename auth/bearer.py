"""Looking up whom a bearer token stands for: a session, a personal access token or a gateway token."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from tortoise.queryset import QuerySet

from auth.crypto.secret import Secret
from auth.opaque_token import TokenPurpose, hash_token, purpose_of
from auth.principal import Principal
from models.access_token import AccessToken
from models.account import Account, AccountStatus
from models.failures import is_unavailable
from models.rows import find
from models.user import Session, User, UserStatus

# When a token was last used is known to the minute, and costs a write only that often.
_A_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class SessionRules:
    """How long a session lasts at most, and without being used."""

    lifetime: timedelta
    idle: timedelta


class Known(NamedTuple):
    """Whom a token stands for, from now on and until when that need not be looked up again, unless a row changes."""

    principal: Principal
    since: datetime
    until: datetime


async def find_principal(token: Secret, now: datetime, rules: SessionRules) -> Known | None:
    """The principal of a live session or token of an active user whose account is not suspended, else None. One
    statement, and once a minute another."""
    match purpose_of(token):
        case TokenPurpose.SESSION:
            return await _of_session(token, now, rules)
        case TokenPurpose.PERSONAL | TokenPurpose.GATEWAY:
            return await _of_access_token(token, now)
    return None


async def _of_session(token: Secret, now: datetime, rules: SessionRules) -> Known | None:
    session = await find(Session, "token_hash", hash_token(token), "user__account")
    if session is None or not _is_living(session, now, rules) or not is_active(session.user):
        return None
    seen_at = session.last_seen_at
    if seen_at <= now - _A_MINUTE:
        await _note(Session.filter(id=session.id), "last_seen_at", now)
        seen_at = now
    return Known(Principal.of_user(session.user, session.id), now, min(session.expires_at, seen_at + _A_MINUTE))


def living_sessions(now: datetime, rules: SessionRules) -> QuerySet[Session]:
    """Sessions that have neither ended nor lain idle for too long."""
    return Session.filter(ended_at__isnull=True, expires_at__gt=now, last_seen_at__gt=now - rules.idle)


def _is_living(session: Session, now: datetime, rules: SessionRules) -> bool:
    """The same rule as `living_sessions`, for a row."""
    return session.ended_at is None and session.expires_at > now and session.last_seen_at > now - rules.idle


def living_tokens(now: datetime) -> QuerySet[AccessToken]:
    """The same rule as `AccessToken.works`, for the database."""
    return AccessToken.filter(revoked_at__isnull=True, expires_at__gt=now)


async def find_access_token(token_hash: str) -> AccessToken | None:
    """A token's row, with what decides whether it works."""
    return await find(AccessToken, "token_hash", token_hash, "account", "user__account")


async def _of_access_token(token: Secret, now: datetime) -> Known | None:
    found = await find_access_token(hash_token(token))
    until = await works_until(found, now) if found else None
    return Known(Principal.of_token(found), now, until) if found and until else None


async def works_until(token: AccessToken, now: datetime) -> datetime | None:
    """Until when a token, loaded with whom it speaks for, may be used without being looked at again, unless a row
    changes; None where it may not be used now: it works while its user is active in an account that is not suspended.
    That it was used is noted."""
    if not token.works(now) or not _account_is_active(token.account):
        return None
    if token.user is not None and not is_active(token.user):
        return None
    used_at = token.last_used_at
    if used_at <= now - _A_MINUTE:
        await _note(AccessToken.filter(id=token.id), "last_used_at", now)
        used_at = now
    return min(token.expires_at, used_at + _A_MINUTE)


def is_active(user: User) -> bool:
    """Whether a user, loaded with the account, may be here at all."""
    return user.status is UserStatus.ACTIVE and _account_is_active(user.account)


def _account_is_active(account: Account | None) -> bool:
    return account is None or account.status is AccountStatus.ACTIVE


async def _note(rows: QuerySet[Session] | QuerySet[AccessToken], column: str, now: datetime) -> None:
    """Unless nothing can be written now, as on a full disk: that keeps neither people nor gateways from asking."""
    try:
        await rows.filter(**{f"{column}__lt": now}).update(**{column: now})
    except Exception as error:
        if not is_unavailable(error):
            raise
