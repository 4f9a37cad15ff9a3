"""Accounts: the provider's customers."""

from copy import copy

from auth.permissions import Permission
from auth.policy import Scope, authorize
from models.account import Account, AccountStatus
from models.database import transaction
from models.ids import Kind, new_id
from resolvers.audit import EventType, record, start_chain
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, refuse
from resolvers.policy import keep_within
from resolvers.reach import load, lock
from resolvers.unique import taken_if_violated
from resolvers.validation import check_text, refuse_if_any
from resolvers.webhook_announcements import announce_blocked


async def create_account(caller: Caller, *, name: str) -> Account:
    """A new customer, with the default policy as far as it is within the provider's bounds. Raises Refused (REQUIRED,
    INVALID, TAKEN)."""
    authorize(caller.principal, Permission.MANAGE_ACCOUNTS)
    refuse_if_any(check_text(name, "name"))
    with taken_if_violated("accounts_name", "name", "There is an account of this name."):
        async with transaction():
            account = Account(id=new_id(caller.now), name=name, created_at=caller.now)
            keep_within(account, caller.deployment.policy_bounds)
            await account.save(force_create=True)
            await start_chain(account.id)
            await record(
                caller,
                EventType.ACCOUNT_CREATED,
                f"Account {name} was created",
                account_id=account.id,
                subject=(Kind.ACCOUNT, account.id),
            )
    return account


async def suspend_account(caller: Caller, *, account_id: str) -> Account:
    """Nobody of the account signs in and none of its credentials is let in, until it is reinstated.
    Raises Refused (NOT_FOUND, CONFLICT)."""
    return await _set_status(caller, account_id, AccountStatus.SUSPENDED, EventType.ACCOUNT_SUSPENDED)


async def reinstate_account(caller: Caller, *, account_id: str) -> Account:
    """Lifts a suspension. Raises Refused (NOT_FOUND, CONFLICT)."""
    return await _set_status(caller, account_id, AccountStatus.ACTIVE, EventType.ACCOUNT_REINSTATED)


async def account_in_reach(scope: Scope, account_id: str | None) -> Account:
    """The account that new things belong to: the caller's own, or the one an operator names. Raises Refused
    (REQUIRED, NOT_FOUND)."""
    if account_id is not None:
        return await load(Account, scope, account_id, "account_id")
    if scope.account_id is None:
        raise refuse(ErrorCode.REQUIRED, "Say which account.", "account_id")
    return await Account.get(id=scope.account_id)


async def _set_status(caller: Caller, account_id: str, status: AccountStatus, event_type: EventType) -> Account:
    scope = authorize(caller.principal, Permission.MANAGE_ACCOUNTS)
    async with transaction():
        account = await lock(Account, scope, account_id, "account_id")
        if account.status is status:
            raise refuse(ErrorCode.CONFLICT, f"This account is {status} already.", "account_id")
        before = copy(account)
        account.status = status
        await account.save(update_fields=["status"])
        await announce_blocked(caller, account.id, "account", before, account)
        await record(
            caller,
            event_type,
            f"Account {account.name} was {'suspended' if status is AccountStatus.SUSPENDED else 'reinstated'}",
            account_id=account.id,
            subject=(Kind.ACCOUNT, account.id),
        )
    return account
