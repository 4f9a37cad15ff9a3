"""What happened to credentials, as the audit log has it.

An account's chain is written by one transaction at a time, which holds the chain's head until it ends: whoever sees an
event sees every earlier one of that account. So reading on from the last event seen leaves nothing out, and finds what
happened to a credential in the order in which it happened, whichever processes did it.

That a change of a service, an identity, a user or an account blocked or unblocked credentials is in the log once, and
is worked out here for each of them. What follows from the clock alone is no event.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from functools import reduce
from operator import or_
from time import monotonic
from typing import NamedTuple, Self
from uuid import UUID

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from auth.bearer import SessionRules
from auth.permissions import Permission
from auth.policy import Scope
from models.audit import AuditEvent
from models.credential import Credential, CredentialBlocker
from models.ids import Kind, global_id, parse_global_id
from models.user import Role
from resolvers.audit import EventType
from resolvers.reach import in_reach
from resolvers.watching import CredentialChange, Heads, Watches, read_heads

BLOCKED = "credential.blocked"
UNBLOCKED = "credential.unblocked"
OwnersOf = Callable[[UUID], set[UUID] | None]
"""Whose credentials of an account are asked about; None: everybody's."""

_EVENTS_AT_ONCE = 5_000
_ROWS_AT_ONCE = 500
_CHAINS_AT_ONCE = 100
# Who is still here is asked again in the middle of telling, if that takes longer.
_DECIDED_SECONDS = 0.25
# Whom a change is told, each one's own scope decides.
_ALL = Scope(Permission.READ_CREDENTIALS, None, None)


class _Cause(NamedTuple):
    """An event that blocks or unblocks (None: either) the credentials of a party, and for what reason."""

    party: str
    blocker: CredentialBlocker
    blocks: bool | None


_B = CredentialBlocker
_CAUSES: Mapping[str, _Cause] = {
    EventType.ACCOUNT_SUSPENDED: _Cause("account", _B.ACCOUNT_SUSPENDED, True),
    EventType.ACCOUNT_REINSTATED: _Cause("account", _B.ACCOUNT_SUSPENDED, False),
    EventType.USER_API_ACCESS_REMOVED: _Cause("owner", _B.OWNER_ACCESS_REMOVED, True),
    EventType.USER_API_ACCESS_GRANTED: _Cause("owner", _B.OWNER_ACCESS_REMOVED, False),
    EventType.USER_ROLE_SET: _Cause("owner", _B.OWNER_ACCESS_REMOVED, None),
    EventType.USER_DEACTIVATED: _Cause("owner", _B.OWNER_DEACTIVATED, True),
    EventType.USER_REACTIVATED: _Cause("owner", _B.OWNER_DEACTIVATED, False),
    EventType.IDENTITY_SUSPENDED: _Cause("identity", _B.IDENTITY_NOT_ACTIVE, True),
    EventType.IDENTITY_REINSTATED: _Cause("identity", _B.IDENTITY_NOT_ACTIVE, False),
    EventType.IDENTITY_APPROVED: _Cause("identity", _B.IDENTITY_NOT_ACTIVE, False),
    EventType.SERVICE_SUSPENDED: _Cause("service", _B.SERVICE_SUSPENDED, True),
    EventType.SERVICE_RESUMED: _Cause("service", _B.SERVICE_SUSPENDED, False),
    EventType.SERVICE_REOPENED: _Cause("service", _B.SERVICE_EXPIRED, False),
    EventType.SERVICE_CANCELLED: _Cause("service", _B.SERVICE_CANCELLED, True),
}
_OF_CREDENTIALS = {
    EventType.CREDENTIAL_GENERATED,
    EventType.CREDENTIAL_RETIRED,
    EventType.CREDENTIAL_ROTATED,
    EventType.CREDENTIAL_REASSOCIATED,
    EventType.CREDENTIAL_REVOKED,
}
_TOLD = [*_OF_CREDENTIALS, *_CAUSES]


async def follow(watches: Watches, now: datetime, rules: SessionRules) -> None:
    """Tells all who watch what has happened since the last time, and ends the watches of who is no longer here.

    The statements are the same however many watch: for the heads of their accounts' chains, for the events since, for
    who of them is still here, and for the credentials. Who is found to be here then was so when it had happened. Raises
    what the database's driver raises; what was not told then is told the next time.
    """
    async with watches.reading_on() as seen:
        if not watches:
            watches.behind = 0
            return
        heads = await read_heads(watches.accounts)
        events, upto = await _events_after(seen, heads)
        watches.behind = sum(max(head - upto.get(id_, seen.get(id_, 0)), 0) for id_, head in heads.items())
        await watches.decide(now, rules)
        decided = monotonic()
        async for event, changes in _changes_in(events, now, watches.owners_of):
            # Should the rest of it not be read, it is told again, whole.
            seen[event.chain_id] = event.sequence - 1
            if monotonic() - decided > _DECIDED_SECONDS:
                await watches.decide(now, rules)
                decided = monotonic()
            for change in changes:
                watches.tell(change)
            await asyncio.sleep(0)  # so that those who are quick can take it
        seen.update(upto)


async def _events_after(seen: Heads, heads: Heads) -> tuple[list[AuditEvent], Heads]:
    """What happened to credentials after what was seen, and up to where that goes: where much happened, not all at
    once."""
    upto, room = Heads(), _EVENTS_AT_ONCE
    for id_, head in heads.items():
        since = seen.get(id_, 0)
        if taken := min(max(head - since, 0), room):
            upto[id_], room = since + taken, room - taken
    spans = [Q(chain_id=id_, sequence__gt=seen.get(id_, 0), sequence__lte=last) for id_, last in upto.items()]
    events: list[AuditEvent] = []
    for start in range(0, len(spans), _CHAINS_AT_ONCE):
        of_some = reduce(or_, spans[start : start + _CHAINS_AT_ONCE])
        events += await AuditEvent.filter(of_some, type__in=_TOLD).order_by("chain_id", "sequence")
    return events, upto


async def _changes_in(
    events: Sequence[AuditEvent], now: datetime, owners_of: OwnersOf
) -> AsyncIterator[tuple[AuditEvent, list[CredentialChange]]]:
    """What each of these events means for credentials, some at a time. One statement for all that are about a
    credential itself, and for each other event two for every few hundred credentials."""
    named = {id_ for event in events if (id_ := _credential_id(event))}
    rows = {row.id: row for row in await in_reach(Credential, _ALL).filter(id__in=named)} if named else {}
    for event in events:
        if id_ := _credential_id(event):
            yield event, [_change(event, rows[id_], event.type, now)]
        else:
            async for some in _living_of(event, now, owners_of(event.chain_id)):
                later = await _Later.than(event)
                told = [(row, type_) for row in some if (type_ := _blocked_or_unblocked(event, later, row, now))]
                yield (
                    event,
                    [CredentialChange(event.sequence, row, type_, event.occurred_at, now) for row, type_ in told],
                )


def _change(event: AuditEvent, row: Credential, event_type: str, now: datetime) -> CredentialChange:
    return CredentialChange(event.sequence, row, event_type, event.occurred_at, now)


def _credential_id(event: AuditEvent) -> UUID | None:
    kind, id_ = _subject(event)
    return id_ if kind is Kind.CREDENTIAL else None


def _subject(event: AuditEvent) -> tuple[Kind, UUID]:
    named = parse_global_id(event.subject_id or "")
    assert named is not None  # noqa: S101  (events of these types have one)
    return named


async def _living_of(event: AuditEvent, now: datetime, owners: set[UUID] | None) -> AsyncIterator[list[Credential]]:
    """The credentials, neither revoked nor expired, of what an event is about, some at a time."""
    _, party_id = _subject(event)
    rows = in_reach(Credential, _ALL).filter(
        **{"revoked_at__isnull": True, "expires_at__gt": now, f"{_CAUSES[event.type].party}_id": party_id}
    )
    if owners is not None:
        rows = rows.filter(owner_id__in=owners)
    async for some in _pages(rows):
        yield some


class _Later(NamedTuple):
    """What came after an event in its account, up to when the rows were read, the newest first: type and subject."""

    events: list[tuple[str, str]]

    @classmethod
    async def than(cls, event: AuditEvent) -> Self:
        """Ask once the rows were read."""
        later = AuditEvent.filter(chain_id=event.chain_id, sequence__gt=event.sequence, type__in=_TOLD)
        return cls(await later.order_by("-sequence").values_list("type", "subject_id"))

    def brought(self, row: Credential, party: str) -> bool:
        """Whether a credential was made, or moved to this party, only then."""
        types = {EventType.CREDENTIAL_GENERATED, EventType.CREDENTIAL_ROTATED}
        if party in {"service", "identity"}:
            types.add(EventType.CREDENTIAL_REASSOCIATED)
        return any(type_ in types and id_ == global_id(Kind.CREDENTIAL, row.id) for type_, id_ in self.events)

    def undone(self, row: Credential, now: datetime) -> set[CredentialBlocker]:
        """What stood in a credential's way before."""
        blockers, parties = set(row.blockers(now)), _parties(row)
        for type_, id_ in self.events:
            cause = _CAUSES.get(type_)
            if cause and cause.blocks is not None and id_ == parties[cause.party]:
                blockers = blockers - {cause.blocker} if cause.blocks else blockers | {cause.blocker}
        return blockers


def _parties(row: Credential) -> dict[str, str]:
    return {
        "account": global_id(Kind.ACCOUNT, row.account_id),
        "owner": global_id(Kind.USER, row.owner_id),
        "identity": global_id(Kind.IDENTITY, row.identity_id),
        "service": global_id(Kind.SERVICE, row.service_id),
    }


async def _pages(rows: QuerySet[Credential]) -> AsyncIterator[list[Credential]]:
    page = await rows.order_by("id").limit(_ROWS_AT_ONCE)
    while page:
        yield page
        page = (
            await rows.filter(id__gt=page[-1].id).order_by("id").limit(_ROWS_AT_ONCE)
            if len(page) == _ROWS_AT_ONCE
            else []
        )


def _blocked_or_unblocked(event: AuditEvent, later: _Later, row: Credential, now: datetime) -> str | None:
    """What an event did to a credential; None where it was blocked for other reasons before and after."""
    cause = _CAUSES[event.type]
    blockers = later.undone(row, now)
    if blockers - {cause.blocker} or later.brought(row, cause.party):
        return None
    if cause.blocks is None:
        return BLOCKED if blockers else UNBLOCKED
    if cause.blocker is _B.OWNER_ACCESS_REMOVED and row.owner.role is not Role.MEMBER:
        return None  # to whom API access means nothing
    return BLOCKED if cause.blocks else UNBLOCKED
