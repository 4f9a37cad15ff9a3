"""Who is asking."""

from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from auth.permissions import NEED_API_ACCESS, ROLE_PERMISSIONS, Permission
from models.user import Role, User


@dataclass(frozen=True)
class Principal:
    """A signed-in user, and the session that says so."""

    user: User
    session_id: UUID

    @property
    def role(self) -> Role:
        return self.user.role

    @property
    def account_id(self) -> UUID | None:
        """None for operators, who belong to no account."""
        return self.user.account_id

    @property
    def lacks_api_access(self) -> bool:
        return self.role is Role.MEMBER and not self.user.api_access

    @cached_property
    def permissions(self) -> frozenset[Permission]:
        """What the role allows, less what API access would add where it is not granted."""
        held = ROLE_PERMISSIONS[self.role]
        return held - NEED_API_ACCESS if self.lacks_api_access else held
