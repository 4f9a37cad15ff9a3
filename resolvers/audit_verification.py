"""Walks a chain of audit events from its beginning, and names the first that is not as it was written.

Whoever lacks the key can't make an event's hash. So an event that fits where it stands is genuine, and so is the one
before it, whose hash it covers. Of what does not fit, the events that come later tell what was done.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from auth.crypto.merkle_tree import MerkleTree
from auth.crypto.signed_note import Checkpoint
from models import audit_log
from models.audit_log import EventRow, HeadRow, Mark
from resolvers.audit_hash import EventHasher

# So many events may have been cut out and the head renumbered too, and it is told from an alteration.
_LONGEST_GUESSED_CUT = 100
_ALTERED = "its hash is not that of what is in it"


class FaultKind(StrEnum):
    """What was done to a chain."""

    ALTERED = "altered"
    """What is in an event is not what was hashed: it was altered, or the whole of it forged."""
    REMOVED = "removed"
    INSERTED = "inserted"
    REORDERED = "reordered"
    """The event that belongs here stands elsewhere."""
    TRUNCATED = "truncated"
    """The newest events are gone."""
    HEAD_ALTERED = "head altered"
    REWRITTEN = "rewritten"
    """Everything adds up, and it is not what a checkpoint saw."""
    KEY_UNKNOWN = "key unknown"


@dataclass(frozen=True)
class Fault:
    """The first thing wrong with a chain.

    sequence: where it is, or would be.
    event_id: of the event that stands there; None where none does.
    """

    kind: FaultKind
    sequence: int
    event_id: str | None
    detail: str


@dataclass(frozen=True)
class Verified:
    """So many events fit, and what does not fit, if anything. The checkpoint is of those that do."""

    size: int
    root: bytes
    fault: Fault | None


class ChainLog(Protocol):
    """Where a chain is read."""

    @property
    def chain_id(self) -> str: ...

    async def events(self, after: Mark | None) -> Sequence[EventRow]:
        """The next page in the order of sequence and id; an empty one at the end."""

    async def head(self) -> HeadRow | None: ...


@dataclass(frozen=True)
class StoredChain:
    """A chain in the database."""

    chain_id: str

    async def events(self, after: Mark | None) -> Sequence[EventRow]:
        return await audit_log.read_events(self.chain_id, after)

    async def head(self) -> HeadRow | None:
        return next(iter(await audit_log.read_heads(self.chain_id)), None)


async def verify_chain(
    log: ChainLog,
    hasher: EventHasher,
    checkpoints: Sequence[Checkpoint] = (),
    *,
    wants_root: bool = False,
    progress: Callable[[int], object] = lambda _number: None,
) -> Verified:
    """Reads a chain to its end, which may move on meanwhile, in memory that does not grow with it. `progress` is told
    of so many events more; the root is computed where it is wanted or there are checkpoints."""
    walk = _Walk(log.chain_id, hasher, checkpoints, wants_root=wants_root)
    while True:
        page = await log.events(walk.mark)
        wrong = walk.take(page)
        progress(len(page))
        if walk.rewritten is not None:
            return walk.ended(walk.rewritten)
        if wrong is not None:
            return walk.ended(await _Diagnosis(log, walk, wrong).fault())
        # An event and its head are written at once, so a head that is read later is never behind.
        if not page or len(page) < audit_log.PAGE_SIZE:
            head = await log.head()
            if head is None or head.sequence <= walk.size or not await log.events(walk.mark):
                return walk.ended(_fault_at_the_end(walk, head))


class _Walk:
    """How far a chain was found to fit."""

    def __init__(
        self, chain_id: str, hasher: EventHasher, checkpoints: Sequence[Checkpoint], *, wants_root: bool
    ) -> None:
        self.size, self.previous = 0, ""
        self.mark: Mark | None = None
        self.rewritten: Fault | None = None
        self._chain_id, self._hasher = chain_id, hasher
        self._tree = MerkleTree() if wants_root or checkpoints else None
        self._awaited = sorted(checkpoints, key=lambda checkpoint: checkpoint.size)
        self._seen = 0
        self._compare()

    @property
    def awaited(self) -> Checkpoint | None:
        """The smallest checkpoint that the chain has not come to."""
        return self._awaited[0] if self._awaited else None

    def take(self, page: Sequence[EventRow]) -> EventRow | None:
        """Goes over further events; answers the first that does not fit."""
        for event in page:
            if not self.fits(event, self.size + 1, self.previous) or event.sequence != self.size + 1:
                return event
            self.size, self.previous, self.mark = event.sequence, event.hash, (event.sequence, event.id)
            if self._tree is not None:
                self._tree.append(bytes.fromhex(event.hash))
                if self._awaited and self._awaited[0].size == self.size:
                    self._compare()
                    if self.rewritten is not None:
                        return None
        return None

    def fits(self, event: EventRow, sequence: int, previous: str) -> bool:
        """Whether an event was written with this number, after one with this hash."""
        if event.sequence != sequence:
            event = event._replace(sequence=sequence)
        return self._hasher.hash(self._chain_id, event, previous) == event.hash

    def hash(self, event: EventRow) -> str | None:
        """What the hash of an event would be, next in the chain."""
        return self._hasher.hash(self._chain_id, event, self.previous)

    def is_known(self, event: EventRow) -> bool:
        return self._hasher.can_hash(event)

    def ended(self, fault: Fault | None) -> Verified:
        return Verified(self.size, self._tree.root() if self._tree else b"", fault)

    def _compare(self) -> None:
        while self._tree is not None and self._awaited and self._awaited[0].size == self.size:
            if self._awaited.pop(0).root != self._tree.root():
                since = f"after {self._seen:,}" if self._seen else "from the first on"
                told = f"the checkpoint of {self.size:,} events saw others: events were rewritten, {since}"
                self.rewritten = Fault(FaultKind.REWRITTEN, self._seen + 1, None, told)
                return
            self._seen = self.size


def _fault_at_the_end(walk: _Walk, head: HeadRow | None) -> Fault | None:
    """Whether the chain ends where its head and the checkpoints say."""
    last = walk.mark[1] if walk.mark else None
    if head is None:
        what = "is gone, and what it ended with can't be told" if walk.size else "and all that it had are gone"
        return Fault(FaultKind.HEAD_ALTERED, walk.size, last, f"the head of the chain {what}")
    if head.sequence > walk.size:
        told = f"the head of the chain says that there are {head.sequence:,} events"
        return Fault(FaultKind.TRUNCATED, walk.size + 1, None, told)
    if (head.sequence, head.hash) != (walk.size, walk.previous):
        told = f"the head of the chain says that it ends with event {head.sequence:,}, with another hash or number"
        return Fault(FaultKind.HEAD_ALTERED, walk.size, last, told)
    if walk.awaited is not None:
        told = f"the checkpoint saw {walk.awaited.size:,} events"
        return Fault(FaultKind.TRUNCATED, walk.size + 1, None, told)
    return None


class _Diagnosis:
    """What was done at the first event that does not fit, by what stands after it."""

    def __init__(self, log: ChainLog, walk: _Walk, event: EventRow) -> None:
        self._log, self._walk, self._event = log, walk, event
        self._next: EventRow | None = None
        self._last = event
        # The event that belongs here, if it stands somewhere else; and whether the one that stands here belongs there.
        self._rightful: EventRow | None = None
        self._belongs_elsewhere = False

    async def fault(self) -> Fault:
        event, place = self._event, self._walk.size + 1
        if not isinstance(event.sequence, int):
            return self._fault(FaultKind.ALTERED, place, "its number is none")
        if event.sequence == place:
            return await self._in_its_place(place)
        await self._look_further()
        if self._rightful is event or (self._rightful is not None and event.sequence > place):
            told = f"it belongs here and stands as number {self._rightful.sequence}"
            return Fault(FaultKind.REORDERED, place, self._rightful.id, told)
        return await self._gap(place) if event.sequence > place else self._extra(event.sequence)

    async def _in_its_place(self, place: int) -> Fault:
        """Of an event with the right number."""
        event = self._event
        if not self._walk.is_known(event):
            told = f"it names the key {event.hashing_key_id}, version {event.hash_version}, which is not known here"
            return self._fault(FaultKind.KEY_UNKNOWN, place, told)
        if await self._next_stands_for_it():
            return self._fault(FaultKind.ALTERED, place, _ALTERED)
        await self._look_further()
        if self._rightful or self._belongs_elsewhere:
            return self._extra(place)
        return await self._altered(place)

    async def _next_stands_for_it(self) -> bool:
        """Whether the next event, or the head, has the hash that the one here has, or ought to have by what is in it:
        then this is the one that was written here."""
        event = self._event
        hashes = {event.hash, self._walk.hash(event) or event.hash}
        async for following in self._later():
            number = event.sequence + 1
            return following.sequence == number and any(self._walk.fits(following, number, each) for each in hashes)
        head = await self._log.head()
        return head is not None and head.sequence == event.sequence and head.hash in hashes

    async def _look_further(self) -> None:
        walk, event = self._walk, self._event
        place, previous = walk.size + 1, walk.previous
        if event.sequence != place and walk.fits(event, place, previous):
            self._rightful = event
        async for later in self._later():
            self._next, self._last = self._next or later, later
            if self._rightful is None and walk.fits(later, place, previous):
                self._rightful = later
            if not self._belongs_elsewhere and isinstance(later.sequence, int):
                # As the one after that which stands here later, which may have moved on or back by one itself.
                at = {later.sequence, later.sequence + 1} | ({event.sequence + 1} if later is self._rightful else set())
                self._belongs_elsewhere = any(walk.fits(event, number, later.hash) for number in at)
            if self._rightful and self._belongs_elsewhere:
                return

    async def _later(self) -> AsyncIterator[EventRow]:
        mark: Mark = (self._event.sequence, self._event.id)
        while page := await self._log.events(mark):
            for event in page:
                yield event
            mark = (page[-1].sequence, page[-1].id)

    async def _gap(self, place: int) -> Fault:
        head = await self._log.head()
        if head is not None and (head.sequence, head.hash) == (self._walk.size, self._walk.previous):
            return self._extra(self._event.sequence)
        return Fault(FaultKind.REMOVED, place, None, _so_many_gone(self._event.sequence - place))

    def _extra(self, place: int) -> Fault:
        if not self._belongs_elsewhere:
            return self._fault(FaultKind.INSERTED, place, "no server wrote it here")
        return self._fault(FaultKind.REORDERED, place, "it belongs elsewhere in the chain")

    async def _altered(self, place: int) -> Fault:
        """Nothing that fits stands anywhere."""
        head = await self._log.head()
        if self._next is None and head is not None and head.sequence == place - 1:
            return self._fault(FaultKind.INSERTED, place, "no server wrote it here")
        cut = self._cut(head)
        if cut:
            return Fault(FaultKind.REMOVED, place, None, f"{_so_many_gone(cut)}, and those after were renumbered")
        return self._fault(FaultKind.ALTERED, place, _ALTERED)

    def _cut(self, head: HeadRow | None) -> int:
        """How many events were cut out here, where those after were renumbered. Then the hash of what stands here is
        right, and that of the next covers it, with another number."""
        event, following, last = self._event, self._next, self._last
        missing = head.sequence - last.sequence if head is not None and isinstance(last.sequence, int) else 0
        if following is None or not isinstance(following.sequence, int):
            return missing if head is not None and head.hash == event.hash else 0
        steps = [missing, *range(1, _LONGEST_GUESSED_CUT)] if missing > 0 else range(1, _LONGEST_GUESSED_CUT)
        return next((step for step in steps if self._walk.fits(following, following.sequence + step, event.hash)), 0)

    def _fault(self, kind: FaultKind, place: int, told: str) -> Fault:
        return Fault(kind, place, self._event.id, told)


def _so_many_gone(number: int) -> str:
    return "an event is gone" if number == 1 else f"{number:,} events are gone"
