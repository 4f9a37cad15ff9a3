"""Those who watch credentials in this process, and what waits to be taken by each."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from auth.bearer import SessionRules
from auth.permissions import Permission
from auth.policy import Denied, Scope, authorize
from auth.principal import Principal
from auth.recheck import recheck
from models.audit import DEPLOYMENT_CHAIN, AuditChain
from models.credential import Credential
from resolvers.reach import reaches
from resolvers.wording import counted

Heads = dict[UUID, int]
"""The sequence of an event in each account's chain."""


@dataclass(frozen=True, eq=False)
class CredentialChange:
    """Something that happened to a credential, by an event of its account; the row is as it was at `read_at`, and may
    have changed between."""

    sequence: int
    credential: Credential
    event_type: str
    occurred_at: datetime
    read_at: datetime


class TooManyWatches(Exception):
    """There is no place for another one; the message says where."""


class FellBehind(Exception):
    """Who watches did not take what was told as fast as it happened."""

    def __init__(self) -> None:
        super().__init__("More happened than you took, so some of it was lost. Subscribe again, then read credentials.")


@dataclass(frozen=True)
class WatchLimits:
    """Of one process: how many may watch, how many times one user may, and how many changes may wait for each."""

    in_all: int = 2_000
    per_user: int = 50
    waiting: int = 1_000


class Watch:
    """What one who watches is told, in order. Ends with Denied where they may no longer be told, with FellBehind where
    they were too slow, and without either when the server stops."""

    def __init__(self, principal: Principal, scope: Scope, since: Heads, most_waiting: int) -> None:
        self.principal, self.scope = principal, scope
        self._since = since
        self._waiting: deque[CredentialChange] = deque()
        self._most_waiting = most_waiting
        self._news = asyncio.Event()
        self._is_over = False
        self._reason: Exception | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CredentialChange:
        while not self._waiting:
            if self._is_over:
                raise self._reason or StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()

    def decide(self, principal: Principal | None) -> None:
        """Takes whom they are now, None where nobody any more: what they may be told from now on follows from it."""
        if principal is self.principal:
            return
        try:
            self.scope = authorize(principal, Permission.READ_CREDENTIALS)
        except Denied as denied:
            self.end(denied)
        else:
            self.principal = principal or self.principal

    def tell(self, change: CredentialChange) -> None:
        is_news = change.sequence > self._since.get(change.credential.account_id, 0)
        if self._is_over or not is_news or not reaches(self.scope, change.credential):
            return
        if len(self._waiting) < self._most_waiting:
            self._waiting.append(change)
            self._news.set()
        else:
            self.end(FellBehind())

    def end(self, reason: Exception | None) -> None:
        """With a reason at once, without one after what waits."""
        if reason is not None:
            self._waiting.clear()
        if not self._is_over:
            self._is_over, self._reason = True, reason
            self._news.set()


class Watches:
    """Everybody who watches in this process."""

    def __init__(self, limits: WatchLimits = WatchLimits()) -> None:
        self._limits = limits
        self._watches: set[Watch] = set()
        self._per_user: Counter[UUID | None] = Counter()
        # Of the accounts that somebody watches, or of all: up to where they have been told.
        self._seen: Heads = {}
        self._is_closed = False
        self.behind = 0
        """Events of their accounts that were there when these were last read on, and are still to be told."""
        # One reads on at a time, and nobody begins to watch meanwhile.
        self._reading = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._watches)

    async def begin(self, principal: Principal | None) -> Watch:
        """Told from now on of what happens to the credentials that these may read. `leave` it in the end. Raises
        Denied, TooManyWatches."""
        scope = authorize(principal, Permission.READ_CREDENTIALS)
        assert principal is not None  # noqa: S101  (it has a permission)
        async with self._reading:
            self._check_room(principal)
            since = await read_heads(None if scope.account_id is None else {scope.account_id})
            self._seen = since | self._seen
            watch = Watch(principal, scope, since, self._limits.waiting)
            if self._is_closed:
                watch.end(None)
            self._watches.add(watch)
            self._per_user[principal.user_id] += 1
        return watch

    def leave(self, watch: Watch) -> None:
        if watch in self._watches:
            self._watches.remove(watch)
            self._per_user[watch.principal.user_id] -= 1

    @asynccontextmanager
    async def reading_on(self) -> AsyncIterator[Heads]:
        """Inside, one reads on from what has been told, which is what is handed over, to be kept up to date."""
        async with self._reading:
            accounts = self.accounts
            if accounts is not None:
                self._seen = {id_: sequence for id_, sequence in self._seen.items() if id_ in accounts}
            yield self._seen

    async def decide(self, now: datetime, rules: SessionRules) -> None:
        """Finds out who is still here, and what they may be told."""
        watches = list(self._watches)
        found = await recheck([watch.principal for watch in watches], now, rules)
        for watch, principal in zip(watches, found, strict=True):
            watch.decide(principal)

    def tell(self, change: CredentialChange) -> None:
        for watch in self._watches:
            watch.tell(change)

    @property
    def accounts(self) -> set[UUID] | None:
        """Those that somebody watches; None: all."""
        accounts = {watch.scope.account_id for watch in self._watches}
        return None if None in accounts else {each for each in accounts if each is not None}

    def owners_of(self, account_id: UUID) -> set[UUID] | None:
        """Whose credentials of an account somebody watches; None: everybody's."""
        scopes = [watch.scope for watch in self._watches if watch.scope.account_id in {None, account_id}]
        owners = {scope.owner_id for scope in scopes}
        return None if None in owners else {each for each in owners if each is not None}

    def close(self) -> None:
        """Ends all once they have taken what waits for them, also who begins from now on: the server stops."""
        self._is_closed = True
        for watch in self._watches:
            watch.end(None)

    def _check_room(self, principal: Principal) -> None:
        self._per_user += Counter()  # drops those at nought
        if len(self._watches) >= self._limits.in_all:
            raise TooManyWatches("This server has no room for another subscription now. Try again in a moment.")
        if self._per_user[principal.user_id] >= self._limits.per_user:
            raise TooManyWatches(f"You have {counted(self._limits.per_user, 'subscription')} here. End one first.")


async def read_heads(account_ids: set[UUID] | None) -> Heads:
    """The newest event of each of these accounts, or of all. One statement."""
    chains = AuditChain.exclude(id=DEPLOYMENT_CHAIN)
    if account_ids is not None:
        chains = AuditChain.filter(id__in=account_ids)
    return dict(await chains.values_list("id", "sequence"))
