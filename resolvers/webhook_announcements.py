"""Messages of the credentials that a change of an account, a user, an identity or a service blocks or unblocks.

In the transaction of the change it is only written down that it happened, whatever the number of credentials, since
others wait until that ends. What it means for each of them is worked out afterwards, some at a time, and as it was
then: what has been changed since is undone in thought.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, TypeAlias, cast
from uuid import UUID

from models.account import Account, AccountStatus
from models.credential import WITH_PARTIES, Credential, CredentialBlocker, CredentialState, blockers_of
from models.database import let_others_write, locked, transaction
from models.identity import Identity, IdentityStatus
from models.instants import LONG_AGO, NEVER
from models.service import Service
from models.user import Role, User, UserStatus
from models.webhook import WebhookAnnouncement, WebhookDelivery
from resolvers.caller import Caller
from resolvers.webhook_events import WebhookEventType, describe, message, subscribed

Party: TypeAlias = Account | User | Identity | Service

# Others who write wait for as long as these take.
_CREDENTIALS_AT_ONCE = 100
_NOTHING_BLOCKS = {
    "revoked_at": None,
    "expires_at": NEVER,
    "account": SimpleNamespace(status=AccountStatus.ACTIVE),
    "owner": SimpleNamespace(role=Role.MEMBER, api_access=True, status=UserStatus.ACTIVE),
    "identity": SimpleNamespace(status=lambda _now: IdentityStatus.ACTIVE),
    "service": SimpleNamespace(starts_at=LONG_AGO, expires_at=NEVER, suspended_at=None, cancelled_at=None),
}


async def announce_blocked(caller: Caller, account_id: UUID, party: str, before: Party, after: Party) -> None:
    """Writes down that a change has blocked or unblocked the credentials of a party ("account", "owner", "identity",
    "service"), in the transaction of it, if it has and anybody wants to be told."""
    was, blockers = _blockers(party, before, caller.now), _blockers(party, after, caller.now)
    # Both types: to tell of one, changes of the other kind that came since must be known.
    if bool(was) is bool(blockers) or not (
        await subscribed(account_id, WebhookEventType.CREDENTIAL_BLOCKED)
        or await subscribed(account_id, WebhookEventType.CREDENTIAL_UNBLOCKED)
    ):
        return
    await WebhookAnnouncement.create(
        account_id=account_id,
        party=party,
        party_id=after.id,
        blockers=" ".join(blockers),
        occurred_at=caller.now,
    )


async def write_announced(caller: Caller, is_over: Callable[[], bool] = lambda: False) -> None:
    """Writes the messages of all that was announced, some of each account in turn, and of an account one change after
    the other, until that is done or `is_over`. Any number of processes may."""
    while accounts := await WebhookAnnouncement.all().distinct().values_list("account_id", flat=True):
        for account_id in accounts:
            if is_over():
                return
            if await _write_some(caller, cast(UUID, account_id)):
                await let_others_write()


async def announced_since(now: datetime) -> timedelta:
    """For how long what was announced first has waited."""
    oldest = await WebhookAnnouncement.all().order_by("id").first()
    return now - oldest.occurred_at if oldest else timedelta(0)


async def _write_some(caller: Caller, account_id: UUID) -> bool:
    """Goes on with an announcement of an account; whether there was one. Of several processes one does, with all others
    held: what is told of each depends on which of them are still to be told."""
    async with transaction():
        of_account = WebhookAnnouncement.filter(account_id=account_id).order_by("id")
        waiting = await locked(of_account)
        if not waiting:
            return False
        # Ids are given before the transactions end: one that comes late to the others may have an earlier one.
        first = next((each for each in waiting if each.told_upto), waiting[0])
        credentials = await _credentials(first)
        # Afterwards, so that nothing that the rows show is left out.
        others = await of_account.exclude(id=first.id)
        blocks_next = {(each.party, each.party_id): bool(each.blockers) for each in reversed(others)}
        told = [each for each in credentials if not _is_blocked_otherwise(each, first, blocks_next)]
        await WebhookDelivery.bulk_create(await _messages(first, told))
        if len(credentials) < _CREDENTIALS_AT_ONCE:
            await first.delete()
        else:
            first.told_upto = credentials[-1].id
            await first.save(update_fields=["told_upto"])
        return True


async def _messages(announced: WebhookAnnouncement, credentials: Sequence[Credential]) -> list[WebhookDelivery]:
    """To the endpoints that there were then."""
    type_, at = _type(announced.blockers), announced.occurred_at
    endpoints = [each for each in await subscribed(announced.account_id, type_) if each.created_at <= at]
    told = [{**describe(credential, at), "blockers": announced.blockers.split()} for credential in credentials]
    return [message(endpoint, type_, at, data) for data in told for endpoint in endpoints]


async def _credentials(announced: WebhookAnnouncement) -> list[Credential]:
    """Those next in turn of what the party has, neither ended then nor revoked since."""
    at = announced.occurred_at
    of_party = {"account_id": announced.account_id, f"{announced.party}_id": announced.party_id}
    living = Credential.filter(revoked_at__isnull=True, expires_at__gt=at, created_at__lte=at, **of_party)
    if announced.told_upto:
        living = living.filter(id__gt=announced.told_upto)
    return await living.order_by("id").limit(_CREDENTIALS_AT_ONCE).select_related(*WITH_PARTIES)


def _is_blocked_otherwise(
    credential: Credential, announced: WebhookAnnouncement, blocks_next: Mapping[tuple[str, UUID], bool]
) -> bool:
    """Whether anything but the party kept it out then. Of a party that was changed since, what came next tells: what
    blocks from then on did not before."""
    for party in WITH_PARTIES:
        row: Party = getattr(credential, party)
        next_ = blocks_next.get((party, row.id))
        blocked = _blockers(party, row, announced.occurred_at) if next_ is None else not next_
        if blocked and party != announced.party:
            return True
    return False


def _blockers(party: str, row: Party, now: datetime) -> list[CredentialBlocker]:
    """Those of a party alone."""
    state: Any = SimpleNamespace(**{**_NOTHING_BLOCKS, party: row})
    return list(blockers_of(cast(CredentialState, state), now))


def _type(blockers: object) -> WebhookEventType:
    return WebhookEventType.CREDENTIAL_BLOCKED if blockers else WebhookEventType.CREDENTIAL_UNBLOCKED
