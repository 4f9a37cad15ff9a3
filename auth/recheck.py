"""Asking again, for many at once, whether those who showed who they are are still here, and as what.

For connections that stay open: over them nobody sends a token again.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from tortoise.queryset import QuerySet

from auth.bearer import SessionRules, living_sessions, living_tokens
from auth.principal import Principal
from models.access_token import AccessToken
from models.account import AccountStatus
from models.user import Role, Session, User, UserStatus


class _Facts(NamedTuple):
    role: Role
    status: UserStatus
    api_access: bool
    account_status: AccountStatus | None

    @property
    def is_active(self) -> bool:
        return self.status is UserStatus.ACTIVE and self.account_status in {None, AccountStatus.ACTIVE}


async def recheck(principals: Sequence[Principal], now: datetime, rules: SessionRules) -> list[Principal | None]:
    """These people as they are now, in this order; None for who is no longer here. At most a statement for all
    sessions, one for all tokens, one for all whom an OpenID provider vouched for, and one for each whose rights have
    changed. Being asked about is no use of a session or token."""
    facts = {
        **await _facts(living_sessions(now, rules), "user__", {each.session_id for each in principals}),
        **await _facts(living_tokens(now), "user__", {each.token_id for each in principals}),
        **await _facts(User.all(), "", {each.user_id for each in principals if _is_vouched_for(each)}),
    }
    return [await _as_now(each, facts.get(_shown_by(each)), now) for each in principals]


def _is_vouched_for(principal: Principal) -> bool:
    return not (principal.session_id or principal.token_id)


def _shown_by(principal: Principal) -> UUID | None:
    return principal.session_id or principal.token_id or principal.user_id


async def _facts(
    rows: QuerySet[Session] | QuerySet[AccessToken] | QuerySet[User], way: str, ids: set[UUID | None]
) -> dict[UUID | None, _Facts]:
    """By id, what is now of the user of each of these rows."""
    asked = ids - {None}
    if not asked:
        return {}
    columns = [f"{way}{name}" for name in ("role", "status", "api_access", "account__status")]
    found: list[Any] = await rows.filter(id__in=list(asked)).values_list("id", *columns)
    return {
        id_: _Facts(Role(role), UserStatus(status), bool(api_access), AccountStatus(account) if account else None)
        for id_, role, status, api_access, account in found
        if role is not None  # a gateway has no user
    }


async def _as_now(principal: Principal, facts: _Facts | None, now: datetime) -> Principal | None:
    has_ended = principal.ends_at is not None and principal.ends_at <= now
    if has_ended or facts is None or not facts.is_active or principal.user is None:
        return None
    if (principal.user.role, principal.user.api_access) == (facts.role, facts.api_access):
        return principal
    user = await User.get(id=principal.user.id).select_related("account")
    return replace(principal, role=user.role, user=user)
