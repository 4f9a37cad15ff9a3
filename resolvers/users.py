"""The people of an account, and the provider's own."""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from datetime import datetime

from auth.crypto.secret import Secret
from auth.opaque_token import TokenPurpose, generate_token, hash_token
from auth.passwords import hash_password
from auth.permissions import Permission
from auth.policy import Scope, authorize, require_person
from models.access_token import AccessToken
from models.account import Account
from models.database import locked, transaction
from models.ids import Kind, new_id
from models.user import Invitation, Role, User, UserStatus
from resolvers.accounts import account_in_reach
from resolvers.audit import EventType, record
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, refuse
from resolvers.reach import load, lock
from resolvers.sessions import end_invitations, end_sessions
from resolvers.unique import taken_if_violated
from resolvers.validation import check_email, check_password, check_text, normal_email, refuse_if_any
from resolvers.webhook_announcements import announce_blocked

Change = Callable[[User], None]


@dataclass(frozen=True)
class Invited:
    """A user who has not been here yet, and the token to set a first password with, handed over this once."""

    user: User
    invitation_token: Secret


async def create_user(
    caller: Caller, *, account_id: str | None, email: str, display_name: str, role: Role, api_access: bool
) -> Invited:
    """A new user who can't sign in until the invitation is accepted.

    Administrators add to their own account, operators to the one they name, or, naming none, operators like
    themselves. Only a signed-in person does: the invitation is a way in, for whoever has it, and outlives a token.
    Raises Denied, and Refused (REQUIRED, INVALID, NOT_FOUND, TAKEN).
    """
    scope = authorize(caller.principal, Permission.MANAGE_USERS)
    require_person(caller.principal)
    email = normal_email(email)
    refuse_if_any(check_email(email), check_text(display_name, "display_name"))
    account = await _account_for(scope, account_id, role)
    with taken_if_violated("users_email", "email", "There is a user with this address."):
        async with transaction():
            user = await User.create(
                id=new_id(caller.now),
                account=account,
                email=email,
                display_name=display_name,
                role=role,
                api_access=api_access,
                created_at=caller.now,
            )
            token = await _invite(caller, user)
            await _record_created(caller, user)
    return Invited(user, token)


async def renew_invitation(caller: Caller, *, user_id: str) -> Invited:
    """Another invitation in the place of one that was lost or has expired; that one is good no longer. Raises Denied,
    and Refused (NOT_FOUND, CONFLICT: who is deactivated, or signs in already)."""
    scope = authorize(caller.principal, Permission.MANAGE_USERS)
    require_person(caller.principal)
    async with transaction():
        user = await lock(User, scope, user_id, "user_id")
        if user.status is not UserStatus.ACTIVE:
            raise refuse(ErrorCode.CONFLICT, "This user is deactivated.", "user_id")
        if user.password_hash is not None or user.oidc_subject is not None:
            raise refuse(ErrorCode.CONFLICT, "This user can sign in already.", "user_id")
        await end_invitations(user, caller.now)
        token = await _invite(caller, user)
        await record(
            caller,
            EventType.INVITATION_RENEWED,
            f"User {user.email} was invited again",
            account_id=user.account_id,
            subject=(Kind.USER, user.id),
        )
    return Invited(user, token)


def confirm_operator(*, email: str, display_name: str, password: Secret | None) -> None:
    """Raises Refused (INVALID) for what no operator can be made of, before anything is asked, a password included."""
    checked = check_password(password.reveal()) if password else ()
    refuse_if_any(check_email(normal_email(email)), checked, check_text(display_name, "display_name"))


async def create_operator(caller: Caller, *, email: str, display_name: str, password: Secret) -> User:
    """A user of the provider's own staff, from the command line: whoever can run it holds the server anyway.
    Raises Refused (INVALID, TAKEN)."""
    confirm_operator(email=email, display_name=display_name, password=password)
    email = normal_email(email)
    password_hash = await hash_password(password)
    with taken_if_violated("users_email", "email", "There is a user with this address."):
        async with transaction():
            user = await User.create(
                id=new_id(caller.now),
                email=email,
                display_name=display_name,
                role=Role.OPERATOR,
                password_hash=password_hash,
                created_at=caller.now,
            )
            await _record_created(caller, user)
    return user


async def set_user_role(caller: Caller, *, user_id: str, role: Role) -> User:
    """What a user is from now on; only a signed-in person says. Raises Denied, and Refused (NOT_FOUND, INVALID,
    CONFLICT: one's own role, the same role, the last administrator)."""
    authorize(caller.principal, Permission.MANAGE_USERS)
    require_person(caller.principal)

    def change(user: User) -> None:
        if Role.OPERATOR in (role, user.role) or role is Role.GATEWAY:
            raise refuse(ErrorCode.INVALID, "The role must be ADMINISTRATOR, MEMBER or AUDITOR.", "role")
        if user.role is role:
            raise refuse(ErrorCode.CONFLICT, f"This user is {role} already.", "role")
        user.role = role

    return await _change(caller, user_id, EventType.USER_ROLE_SET, f"made {role}", change)


async def grant_api_access(caller: Caller, *, user_id: str) -> User:
    """Lets a member have credentials; those there are work again. Raises Refused (NOT_FOUND, CONFLICT)."""
    return await _set_api_access(caller, user_id, EventType.USER_API_ACCESS_GRANTED, granted=True)


async def remove_api_access(caller: Caller, *, user_id: str) -> User:
    """Blocks a member's credentials until access is granted again. Raises Refused (NOT_FOUND, CONFLICT)."""
    return await _set_api_access(caller, user_id, EventType.USER_API_ACCESS_REMOVED, granted=False)


async def deactivate_user(caller: Caller, *, user_id: str) -> User:
    """Ends a user's sessions and tokens at once, and blocks the credentials. Raises Refused (NOT_FOUND, CONFLICT)."""

    def change(user: User) -> None:
        if user.status is UserStatus.DEACTIVATED:
            raise refuse(ErrorCode.CONFLICT, "This user is deactivated already.", "user_id")
        user.status = UserStatus.DEACTIVATED

    return await _change(caller, user_id, EventType.USER_DEACTIVATED, "deactivated", change)


async def reactivate_user(caller: Caller, *, user_id: str) -> User:
    """Lets a user sign in again; sessions and tokens stay ended. Raises Refused (NOT_FOUND, CONFLICT)."""

    def change(user: User) -> None:
        if user.status is UserStatus.ACTIVE:
            raise refuse(ErrorCode.CONFLICT, "This user is not deactivated.", "user_id")
        user.status = UserStatus.ACTIVE

    return await _change(caller, user_id, EventType.USER_REACTIVATED, "reactivated", change)


async def _invite(caller: Caller, user: User) -> Secret:
    token = generate_token(TokenPurpose.INVITATION)
    await Invitation.create(
        id=new_id(caller.now),
        user=user,
        token_hash=hash_token(token),
        created_at=caller.now,
        expires_at=caller.now + caller.deployment.invitation_lifetime,
    )
    return token


async def _set_api_access(caller: Caller, user_id: str, event_type: EventType, *, granted: bool) -> User:
    def change(user: User) -> None:
        if user.role is Role.OPERATOR:
            raise refuse(ErrorCode.INVALID, "Operators have no credentials.", "user_id")
        if user.api_access is granted:
            state = "has" if granted else "does not have"
            raise refuse(ErrorCode.CONFLICT, f"This user {state} API access already.", "user_id")
        user.api_access = granted

    return await _change(caller, user_id, event_type, "granted API access" if granted else "denied API access", change)


async def _change(caller: Caller, user_id: str, event_type: EventType, done: str, change: Change) -> User:
    """One change of a user by somebody else, that leaves an administrator (or operator) to manage the others."""
    scope = authorize(caller.principal, Permission.MANAGE_USERS)
    async with transaction():
        peers = await _lock_peers(await load(User, scope, user_id, "user_id"))
        user = await lock(User, scope, user_id, "user_id")
        if caller.principal and user.id == caller.principal.user_id:
            raise refuse(ErrorCode.CONFLICT, "Nobody does this to themselves: ask another administrator.", "user_id")
        was_the_last = [peer.id for peer in peers] == [user.id]
        before = copy(user)
        change(user)
        if was_the_last and (user.role is not before.role or user.status is not UserStatus.ACTIVE):
            raise refuse(
                ErrorCode.CONFLICT, f"This is the last active {before.role}: make another one first.", "user_id"
            )
        await user.save(update_fields=["role", "status", "api_access"])
        if user.status is UserStatus.DEACTIVATED:
            await _end_everything(user, caller.now)
        if user.account_id is not None:
            await announce_blocked(caller, user.account_id, "owner", before, user)
        await record(
            caller,
            event_type,
            f"User {user.email} was {done}",
            account_id=user.account_id,
            subject=(Kind.USER, user.id),
        )
    return user


async def _lock_peers(user: User) -> list[User]:
    """Those who could manage in the user's place, held in one order so that two changes at once wait for each other:
    the active administrators of the account, or the active operators."""
    role = Role.OPERATOR if user.account_id is None else Role.ADMINISTRATOR
    peers = User.filter(account_id=user.account_id, role=role, status=UserStatus.ACTIVE).order_by("id")
    return await locked(peers)


async def _end_everything(user: User, now: datetime) -> None:
    await end_sessions(user, now)
    await AccessToken.filter(user_id=user.id, revoked_at__isnull=True).update(revoked_at=now)


async def _account_for(scope: Scope, account_id: str | None, role: Role) -> Account | None:
    if role is Role.GATEWAY:
        raise refuse(ErrorCode.INVALID, "Gateways are machines: they get a token, not a user.", "role")
    if role is Role.OPERATOR:
        if scope.account_id is not None:
            raise refuse(ErrorCode.INVALID, "Only an operator can add an operator.", "role")
        if account_id is not None:
            raise refuse(ErrorCode.INVALID, "Operators belong to no account: leave this out.", "account_id")
        return None
    return await account_in_reach(scope, account_id)


async def _record_created(caller: Caller, user: User) -> None:
    await record(
        caller,
        EventType.USER_CREATED,
        f"User {user.email} was created as {user.role}",
        account_id=user.account_id,
        subject=(Kind.USER, user.id),
    )
