"""Submitting and vetting identities."""

from collections.abc import Collection
from copy import copy
from datetime import datetime

from auth.permissions import Permission
from auth.policy import authorize
from models.database import transaction
from models.identity import Identity, IdentityKind, IdentityStatus
from models.ids import Kind, new_id
from models.instants import NEVER, to_millisecond
from resolvers.accounts import account_in_reach
from resolvers.audit import EventType, record
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, refuse
from resolvers.reach import lock
from resolvers.validation import check_text, refuse_if_any
from resolvers.webhook_announcements import announce_blocked


async def submit_identity(caller: Caller, *, account_id: str | None, name: str, kind: IdentityKind) -> Identity:
    """A new identity, to be vetted by the provider. Raises Refused (REQUIRED, INVALID, NOT_FOUND)."""
    scope = authorize(caller.principal, Permission.SUBMIT_IDENTITIES)
    refuse_if_any(check_text(name, "name"))
    account = await account_in_reach(scope, account_id)
    async with transaction():
        identity = await Identity.create(
            id=new_id(caller.now), account=account, name=name, kind=kind, created_at=caller.now
        )
        await _record(caller, EventType.IDENTITY_SUBMITTED, identity, "submitted")
    return identity


async def approve_identity(caller: Caller, *, identity_id: str, valid_until: datetime | None) -> Identity:
    """Lets an identity be used, until an instant or without end. One that has expired is approved again, which renews
    it. Raises Refused (NOT_FOUND, INVALID, CONFLICT)."""
    end = to_millisecond(valid_until) if valid_until else NEVER
    if end <= caller.now:
        authorize(caller.principal, Permission.VET_IDENTITIES)
        raise refuse(ErrorCode.INVALID, "This instant is past.", "valid_until")
    return await _decide(
        caller,
        identity_id,
        EventType.IDENTITY_APPROVED,
        "approved",
        fro={IdentityStatus.PENDING_VETTING, IdentityStatus.EXPIRED},
        to=IdentityStatus.ACTIVE,
        valid_until=end,
    )


async def reject_identity(caller: Caller, *, identity_id: str, reason: str | None) -> Identity:
    """Refuses a submitted identity, for good. Raises Refused (NOT_FOUND, INVALID, CONFLICT)."""
    return await _decide(
        caller,
        identity_id,
        EventType.IDENTITY_REJECTED,
        "rejected",
        fro={IdentityStatus.PENDING_VETTING},
        to=IdentityStatus.REJECTED,
        reason=reason,
    )


async def suspend_identity(caller: Caller, *, identity_id: str, reason: str | None) -> Identity:
    """Blocks an active identity's credentials until it is reinstated. Raises Refused (NOT_FOUND, INVALID, CONFLICT)."""
    return await _decide(
        caller,
        identity_id,
        EventType.IDENTITY_SUSPENDED,
        "suspended",
        fro={IdentityStatus.ACTIVE},
        to=IdentityStatus.SUSPENDED,
        reason=reason,
    )


async def reinstate_identity(caller: Caller, *, identity_id: str, reason: str | None) -> Identity:
    """Lifts a suspension. Raises Refused (NOT_FOUND, INVALID, CONFLICT)."""
    return await _decide(
        caller,
        identity_id,
        EventType.IDENTITY_REINSTATED,
        "reinstated",
        fro={IdentityStatus.SUSPENDED},
        to=IdentityStatus.ACTIVE,
        reason=reason,
    )


async def _decide(
    caller: Caller,
    identity_id: str,
    event_type: EventType,
    done: str,
    *,
    fro: Collection[IdentityStatus],
    to: IdentityStatus,
    reason: str | None = None,
    valid_until: datetime | None = None,
) -> Identity:
    """One step of an identity's life: from one of these statuses to that one."""
    scope = authorize(caller.principal, Permission.VET_IDENTITIES)
    refuse_if_any(check_text(reason, "reason") if reason is not None else ())
    async with transaction():
        identity = await lock(Identity, scope, identity_id, "identity_id")
        status = identity.status(caller.now)
        if status not in fro:
            raise refuse(ErrorCode.CONFLICT, f"An identity that is {status} can't be {done}.", "identity_id")
        before = copy(identity)
        identity.decision = to
        identity.valid_until = valid_until or identity.valid_until
        await identity.save(update_fields=["decision", "valid_until"])
        await announce_blocked(caller, identity.account_id, "identity", before, identity)
        await _record(caller, event_type, identity, done, reason)
    return identity


async def _record(
    caller: Caller, event_type: EventType, identity: Identity, done: str, reason: str | None = None
) -> None:
    await record(
        caller,
        event_type,
        f"Identity {identity.name} was {done}" + (f": {reason}" if reason else ""),
        account_id=identity.account_id,
        subject=(Kind.IDENTITY, identity.id),
    )
