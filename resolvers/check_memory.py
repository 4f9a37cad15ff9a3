"""What a process remembers of credentials, so that checking them again costs no statement; and of who asks.

Facts are remembered, not verdicts, and judged by the clock each time. What is remembered is believed only while the
epoch (see models.check_epoch) was asked within the last moment; a change seen there drops what it concerns, and a
process that can't ask believes nothing and asks the database for each check.

A credential is found by the SHA-256 of its key and secret together, so by those alone who show both: to find it is to
have compared the secret. It is 256 random bits, which nobody guesses from a hash.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from time import monotonic
from typing import Any, TypeVar, cast

from auth.bearer import Known
from auth.crypto.access_token import Claims
from auth.policy import Scope
from auth.principal import Principal
from models.access_token import AccessToken
from models.check_epoch import PEOPLE, Epoch, changes_since, current_epoch
from models.check_facts import CredentialFacts, Parties, PartyFacts
from models.database import ahead
from models.failures import is_unavailable
from models.ids import Kind

# How long after the epoch was asked what is remembered is believed: less than the second that is promised.
BELIEVED_SECONDS = 0.9
# What fits into 100 MB, whoever the credentials belong to.
MOST_CREDENTIALS = 101_000
_MOST_PARTIES = 2 * MOST_CREDENTIALS
_MOST_GATEWAYS = 1_000
_MOST_PEOPLE = 10_000
_MOST_GONE = 1_000
_MOST_TOKENS = 10_000
_CHANGES_AT_ONCE = 1_000

Party = TypeVar("Party", bound=PartyFacts)


@dataclass(slots=True)
class Gateway:
    """A gateway's token, with what decides whether it works; whom it stands for and how far that reaches; and until
    when there is nothing to be asked about it: it works, and its use has been noted."""

    token: AccessToken
    principal: Principal
    scope: Scope
    works_from: datetime
    works_until: datetime

    def is_known_to_work(self, now: datetime) -> bool:
        return self.works_from <= now < self.works_until


class CheckMemory:
    """Bounded; what was not asked about for the longest time goes first. Only what has shown its right secret gets
    in, so guesses can't fill it."""

    def __init__(self, seconds: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._credentials: OrderedDict[bytes, CredentialFacts] = OrderedDict()
        # Credentials that have changed since they were remembered: not looked for among all of them each time.
        self._gone: set[bytes] = set()
        self._parties: dict[bytes, PartyFacts] = {}
        self._gateways: OrderedDict[str, Gateway] = OrderedDict()
        self._people: OrderedDict[str, Known] = OrderedDict()
        self._tokens: OrderedDict[bytes, tuple[Claims, CredentialFacts]] = OrderedDict()
        self._epoch, self._server = -1, ""
        self._believed_until = -1.0
        self._in_doubt_since = -1.0
        self._confirmed_at = seconds()
        self.hits = self.misses = 0
        """How often a credential was looked for here and found, or not."""

    @property
    def epoch(self) -> int:
        """The epoch of what is remembered. Note it before reading the database, and hand it over with what was read."""
        return self._epoch

    def __len__(self) -> int:
        """Credentials that are remembered."""
        return len(self._credentials)

    @property
    def unconfirmed_seconds(self) -> float:
        """How long ago the epoch was last asked for."""
        return self._seconds() - self._confirmed_at

    def is_believed(self) -> bool:
        return self._seconds() < self._believed_until

    def find(self, shown: bytes) -> CredentialFacts | None:
        """What is remembered of whose key and secret were shown (see `hash_shown`), if nothing of it has changed and
        it may be believed."""
        found = self._credentials.get(shown)
        if found is None or self._seconds() >= self._believed_until or not self._is_current(found):
            self.misses += 1
            return None
        self.hits += 1
        self._credentials.move_to_end(shown)
        return found

    def find_parties(self, account: bytes, owner: bytes, identity: bytes, service: bytes) -> Parties | None:
        """What is remembered of them by their ids, if it is all of it and may be believed."""
        find = self._parties.get
        found = find(account), find(owner), find(identity), find(service)
        return cast(Parties, found) if None not in found and self.is_believed() else None

    def remember(self, shown: bytes, facts: CredentialFacts, read_at_epoch: int) -> None:
        """Remembers what was read from the database, unless something has changed since."""
        if read_at_epoch != self._epoch:
            return
        self._share_parties(facts)
        self._credentials[shown] = facts
        self._gone.discard(facts.id)
        if len(self._credentials) > MOST_CREDENTIALS:
            self._credentials.popitem(last=False)

    def find_gateway(self, token_hash: str) -> Gateway | None:
        return self._gateways.get(token_hash) if self.is_believed() else None

    def remember_gateway(self, token_hash: str, gateway: Gateway, read_at_epoch: int) -> None:
        if read_at_epoch != self._epoch:
            return
        self._gateways[token_hash] = gateway
        if len(self._gateways) > _MOST_GATEWAYS:
            self._gateways.popitem(last=False)

    def find_person(self, token_hash: str, now: datetime) -> Principal | None:
        """Whom a session's or personal token stands for, where that need not be asked."""
        known = self._people.get(token_hash)
        is_known = known is not None and known.since <= now < known.until and self.is_believed()
        return known.principal if known is not None and is_known else None

    def remember_person(self, token_hash: str, known: Known, read_at_epoch: int) -> None:
        if read_at_epoch != self._epoch:
            return
        self._people[token_hash] = known
        if len(self._people) > _MOST_PEOPLE:
            self._people.popitem(last=False)

    def find_token(self, token_hash: bytes) -> tuple[Claims, CredentialFacts] | None:
        """What an access token says that was signed by us and has not been revoked, and whose credential's; it may have
        expired since."""
        found = self._tokens.get(token_hash)
        return found if found is not None and self.is_believed() and self._is_current(found[1]) else None

    def remember_token(self, token_hash: bytes, claims: Claims, facts: CredentialFacts, read_at_epoch: int) -> None:
        if read_at_epoch != self._epoch:
            return
        self._share_parties(facts)
        self._tokens[token_hash] = claims, facts
        if len(self._tokens) > _MOST_TOKENS:
            self._tokens.popitem(last=False)

    async def refresh(self, *, waits_for_others: bool = True) -> None:
        """Asks for the epoch and drops what has changed. Raises what the database's driver raises."""
        using = None if waits_for_others else await ahead()
        asked_at, known = self._seconds(), self._epoch
        epoch = await current_epoch(using)
        if epoch.server != self._server or epoch.value < known:
            # What is remembered was read where changes are counted otherwise.
            self.forget()
            self._epoch, self._server = -1, epoch.server
        if epoch.value != self._epoch:
            await self._catch_up(epoch, using)
        if asked_at > self._in_doubt_since:
            self._confirmed_at = max(self._confirmed_at, asked_at)
            self._believed_until = max(self._believed_until, asked_at + BELIEVED_SECONDS)

    async def settle(self) -> None:
        """After a change of this process's own and before it is answered: nothing older is believed from now on. Where
        the database can't be asked, nothing is believed at all, and the change was made nevertheless."""
        try:
            await self.refresh()
        except BaseException as error:
            self._believed_until, self._in_doubt_since = -1.0, self._seconds()
            if not is_unavailable(error):
                raise

    async def _catch_up(self, epoch: Epoch, using: Any) -> None:
        changes = await changes_since(self._epoch, _CHANGES_AT_ONCE, using) if self._epoch >= 0 else []
        if epoch.server != self._server:
            return  # another has found a new one meanwhile
        is_whole = len(changes) >= epoch.value - self._epoch and len(changes) < _CHANGES_AT_ONCE
        if not is_whole:
            self.forget()
        for change in changes:
            self._drop(change.subject_id)
        # Another catching up may have got further meanwhile.
        self._epoch = max(self._epoch, epoch.value, *(change.epoch for change in changes))

    def _drop(self, subject_id: str) -> None:
        id_ = subject_id.encode()
        if party := self._parties.pop(id_, None):
            party.is_current = False
        kind = subject_id.partition("_")[0]
        if kind == Kind.CREDENTIAL:
            self._gone.add(id_)
            self._tokens.clear()
            if len(self._gone) > _MOST_GONE:
                self._sweep()
        if kind in {Kind.ACCOUNT, Kind.ACCESS_TOKEN, Kind.USER, PEOPLE}:
            self._gateways.clear()
            self._people.clear()

    def _share_parties(self, facts: CredentialFacts) -> None:
        if len(self._parties) >= _MOST_PARTIES:
            self.forget()
        facts.account, facts.owner = self._shared(facts.account), self._shared(facts.owner)
        facts.identity, facts.service = self._shared(facts.identity), self._shared(facts.service)

    def _shared(self, party: Party) -> Party:
        """The one object for these facts; what was remembered of the same party and is otherwise now is outdated."""
        kept = self._parties.get(party.id)
        if kept is party or kept == party:
            return kept
        if kept is not None:
            kept.is_current = False
        self._parties[party.id] = party
        return party

    def _sweep(self) -> None:
        for shown in [shown for shown, facts in self._credentials.items() if facts.id in self._gone]:
            del self._credentials[shown]
        self._gone.clear()

    def _is_current(self, facts: CredentialFacts) -> bool:
        people = facts.account.is_current and facts.owner.is_current
        return people and facts.identity.is_current and facts.service.is_current and facts.id not in self._gone

    def forget(self) -> None:
        """Forgets everything."""
        self._credentials.clear()
        self._gone.clear()
        self._parties.clear()
        self._gateways.clear()
        self._people.clear()
        self._tokens.clear()


def hash_shown(key_and_secret: bytes) -> bytes:
    """What credentials are found by: of `key:secret`, as in HTTP's Basic scheme. No key or secret has a colon in it, so
    nothing else is the same."""
    return sha256(key_and_secret).digest()
