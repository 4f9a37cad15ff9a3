"""Who is asking: a person, in a session or by a token, or a machine."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Self
from uuid import UUID

from auth.permissions import NEED_API_ACCESS, ROLE_PERMISSIONS, Permission
from models.access_token import AccessToken
from models.user import Role, User


@dataclass(frozen=True)
class Principal:
    """Somebody or something that has shown who it is.

    user:       None for gateways, which are machines.
    account_id: None for operators, who belong to no account, and gateways that serve every account.
    granted:    what a token is good for; None where it is everything that the role allows.
    ends_at:    of an OpenID token, when it ends; the ends of all else are in the database.
    """

    role: Role
    account_id: UUID | None
    user: User | None
    session_id: UUID | None = None
    token_id: UUID | None = None
    granted: frozenset[Permission] | None = None
    ends_at: datetime | None = None

    @classmethod
    def of_user(cls, user: User, session_id: UUID | None = None) -> Self:
        """A person, signed in."""
        return cls(role=user.role, account_id=user.account_id, user=user, session_id=session_id)

    @classmethod
    def of_token(cls, token: AccessToken) -> Self:
        """Who a token speaks for; its user must have been loaded with it."""
        granted = _granted(token.permissions)
        if token.user is None:
            return cls(Role.GATEWAY, token.account_id, None, token_id=token.id, granted=granted)
        return cls(token.user.role, token.user.account_id, token.user, token_id=token.id, granted=granted)

    @property
    def user_id(self) -> UUID | None:
        return self.user.id if self.user else None

    @property
    def lacks_api_access(self) -> bool:
        return self.user is not None and self.role is Role.MEMBER and not self.user.api_access

    @cached_property
    def permissions(self) -> frozenset[Permission]:
        """What the role allows, less what API access would add where it is not granted, and of a token only what it
        was given."""
        held = ROLE_PERMISSIONS[self.role]
        if self.lacks_api_access:
            held -= NEED_API_ACCESS
        return held if self.granted is None else held & self.granted


@lru_cache(maxsize=256)  # a token's permissions are some of a few, and each request asks
def _granted(names: str) -> frozenset[Permission]:
    return frozenset(map(Permission, names.split()))
