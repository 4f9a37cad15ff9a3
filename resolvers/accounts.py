"""Accounts and the people in them."""

from dataclasses import dataclass

from auth.crypto.secret import Secret
from auth.opaque_token import generate_token, hash_token
from auth.passwords import hash_password
from auth.permissions import Permission
from auth.policy import Scope, authorize
from models.account import Account
from models.database import transaction
from models.ids import Kind, new_id
from models.user import Invitation, Role, User
from resolvers.audit import EventType, record, start_chain
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, refuse
from resolvers.reach import load
from resolvers.unique import taken_if_violated
from resolvers.validation import check_email, check_password, check_text, normal_email, refuse_if_any


@dataclass(frozen=True)
class Invited:
    """A new user, and the token to set a first password with, handed over this once."""

    user: User
    invitation_token: Secret


async def create_account(caller: Caller, *, name: str) -> Account:
    """A new customer, with the default policy. Raises Refused (REQUIRED, INVALID, TAKEN)."""
    authorize(caller.principal, Permission.MANAGE_ACCOUNTS)
    refuse_if_any(check_text(name, "name"))
    with taken_if_violated("accounts_name", "name", "There is an account of this name."):
        async with transaction():
            account = await Account.create(id=new_id(caller.now), name=name, created_at=caller.now)
            await start_chain(account.id)
            await record(
                caller,
                EventType.ACCOUNT_CREATED,
                f"Account {name} was created",
                account_id=account.id,
                subject=(Kind.ACCOUNT, account.id),
            )
    return account


async def create_user(
    caller: Caller, *, account_id: str | None, email: str, display_name: str, role: Role, api_access: bool
) -> Invited:
    """A new user who can't sign in until the invitation is accepted.

    Administrators add to their own account, operators to the one they name, or, naming none, operators like
    themselves. Raises Refused (REQUIRED, INVALID, NOT_FOUND, TAKEN).
    """
    scope = authorize(caller.principal, Permission.MANAGE_USERS)
    email = normal_email(email)
    refuse_if_any(check_email(email), check_text(display_name, "display_name"))
    account = await _account_for(scope, account_id, role)
    token = generate_token("invitation")
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
            await Invitation.create(
                id=new_id(caller.now),
                user=user,
                token_hash=hash_token(token),
                created_at=caller.now,
                expires_at=caller.now + caller.deployment.invitation_lifetime,
            )
            await _record_created(caller, user)
    return Invited(user, token)


async def create_operator(caller: Caller, *, email: str, display_name: str, password: Secret) -> User:
    """A user of the provider's own staff, from the command line: whoever can run it holds the server anyway.
    Raises Refused (INVALID, TAKEN)."""
    email = normal_email(email)
    refuse_if_any(check_email(email), check_password(password.reveal()), check_text(display_name, "display_name"))
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


async def account_in_reach(scope: Scope, account_id: str | None) -> Account:
    """The account that new things belong to: the caller's own, or the one an operator names. Raises Refused
    (REQUIRED, NOT_FOUND)."""
    if account_id is not None:
        return await load(Account, scope, account_id, "account_id")
    if scope.account_id is None:
        raise refuse(ErrorCode.REQUIRED, "Say which account.", "account_id")
    return await Account.get(id=scope.account_id)


async def _record_created(caller: Caller, user: User) -> None:
    await record(
        caller,
        EventType.USER_CREATED,
        f"User {user.email} was created as {user.role}",
        account_id=user.account_id,
        subject=(Kind.USER, user.id),
    )
