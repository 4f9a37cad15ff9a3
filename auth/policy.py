"""The one gate: every use case asks it first, and gets a scope or a reasoned denial.

Denied               the gate said no
  Unauthenticated    nobody is signed in
  Forbidden          the role lacks the permission
    ApiAccessRemoved the role has it, but only with API access, which an administrator can grant
"""

from dataclasses import dataclass
from uuid import UUID

from auth.permissions import ROLE_PERMISSIONS, Permission
from auth.principal import Principal
from models.user import Role, User


class Denied(Exception):
    """The gate said no; the message says why, for the one who asked."""


class Unauthenticated(Denied):
    """Nobody is signed in, or the session has ended."""

    def __init__(self) -> None:
        super().__init__("Sign in first: send the session token as Authorization: Bearer <token>.")


class Forbidden(Denied):
    """Signed in, but the role does not have the permission."""


class ApiAccessRemoved(Forbidden):
    """A member without API access asked for what needs it."""

    def __init__(self) -> None:
        super().__init__("API access has not been granted to you. An administrator of your account can grant it.")


@dataclass(frozen=True)
class Scope:
    """Proof that the gate was asked, and how far the answer reaches. Rows are loaded through a scope, so that what
    lies outside it is not there.

    account_id: the only account in reach; None for every account.
    owner_id:   the only user whose credentials are in reach; None for everyone's.
    """

    permission: Permission
    account_id: UUID | None
    owner_id: UUID | None


def authorize(principal: Principal | None, *permissions: Permission) -> Scope:
    """The scope of the first of these permissions that the principal has. Raises Denied."""
    if principal is None:
        raise Unauthenticated
    for permission in permissions:
        if permission in principal.permissions:
            return _scope(principal, permission)
    raise _denial(principal, permissions)


def require_user(principal: Principal | None) -> User:
    """For what every person may do: see who they are. Raises Unauthenticated, and Forbidden for gateways."""
    if principal is None:
        raise Unauthenticated
    if principal.user is None:
        raise Forbidden("A gateway's token checks credentials and does nothing else.")
    return principal.user


def require_person(principal: Principal | None) -> User:
    """For what a person does with their own hands: change a password, make a token. Raises Unauthenticated, and
    Forbidden where a token asks, so that a leaked token can't be made into more."""
    user = require_user(principal)
    if principal is not None and principal.token_id is not None:
        raise Forbidden("This takes a signed-in person; a token can't do it.")
    return user


def _scope(principal: Principal, permission: Permission) -> Scope:
    only_own = principal.role is Role.MEMBER
    return Scope(permission, principal.account_id, principal.user_id if only_own else None)


def _denial(principal: Principal, permissions: tuple[Permission, ...]) -> Denied:
    wanted = ROLE_PERMISSIONS[principal.role].intersection(permissions)
    needed = " or ".join(permissions)
    if not wanted:
        return Forbidden(f"This needs the permission {needed}, which your role does not have.")
    if principal.granted is not None and not wanted & principal.granted:
        return Forbidden(f"This needs the permission {needed}, which this token was not given.")
    return ApiAccessRemoved()
