"""Somebody who owns the database changes the audit log in every way there is, and each time it is found and named.

A chain is made by the real recorder. Then each change of one field of each event, each removal, swap, insertion,
truncation and change of the head is made on a copy of it in memory, and verified by the code that `sealkey audit
verify` runs. Some of each kind are also written into a real database, below its triggers, and found by the command.
"""

import asyncio
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from auth.crypto.keyring import Purpose
from auth.crypto.signed_note import Checkpoint
from models import audit_log
from models.audit_log import EventRow, HeadRow, Mark
from resolvers.audit_hash import EventHasher
from resolvers.audit_verification import Fault, FaultKind, verify_chain
from torture.campaign import CampaignFailed
from torture.chains import Made, SqliteDatabase, make_chain, on_each_engine

Events = list[EventRow]
Kinds = frozenset[FaultKind]

ALTERED, REMOVED, INSERTED, REORDERED = (
    frozenset({kind}) for kind in (FaultKind.ALTERED, FaultKind.REMOVED, FaultKind.INSERTED, FaultKind.REORDERED)
)
TRUNCATED, HEAD, REWRITTEN, KEY = (
    frozenset({kind})
    for kind in (FaultKind.TRUNCATED, FaultKind.HEAD_ALTERED, FaultKind.REWRITTEN, FaultKind.KEY_UNKNOWN)
)


@dataclass(frozen=True)
class Tampering:
    """A chain that was tampered with, and what must be said of it: one of these kinds, at this number."""

    name: str
    events: Events
    head: HeadRow | None
    kinds: Kinds
    sequence: int
    checkpoints: Sequence[Checkpoint] = ()


@dataclass(frozen=True)
class MemoryChain:
    """A chain as `verify_chain` reads it, from a list in the order of sequence and id."""

    chain_id: str
    rows: Events
    its_head: HeadRow | None

    async def events(self, after: Mark | None) -> Sequence[EventRow]:
        start = 0 if after is None else bisect_right(self.rows, after, key=lambda event: (event.sequence, event.id))
        return self.rows[start : start + audit_log.PAGE_SIZE]

    async def head(self) -> HeadRow | None:
        return self.its_head


def tamper(*, small: bool, engine: str | None = None) -> None:
    """Both engines, a chain of 1,000 events; small: 24, on SQLite where none is named."""
    on_each_engine(_tamper, small=small, engine=engine)


def _tamper(url: str, data_dir: Path, small: bool) -> None:
    engine, made, began = data_dir.name, make_chain(url, data_dir, 24 if small else 1_000), monotonic()
    counted = asyncio.run(_in_memory(made))
    total, seconds = sum(counted.values()), monotonic() - began
    print(f"{engine}: {total:,} tamperings of {len(made.events):,} events, all named, in {seconds:.0f} s")
    print("  " + ", ".join(f"{number:,} {name}" for name, number in sorted(counted.items())), flush=True)
    began = monotonic()
    number = _by_command(made, few=small)
    print(f"{engine}: {number:,} of them by the command on the database, in {monotonic() - began:.0f} s", flush=True)


class _Remembering(EventHasher):
    """Hashes what is new; of what nobody touched, the hash is known from the first time."""

    def __init__(self, made: Made) -> None:
        super().__init__(made.keyring.symmetric_keys)
        before = ["", *(event.hash for event in made.events)]
        hashes = (
            super(_Remembering, self).hash(made.chain_id, *pair) for pair in zip(made.events, before, strict=False)
        )
        self._known = dict(zip(zip(made.events, before, strict=False), hashes, strict=True))

    def hash(self, chain_id: str, event: EventRow, previous: str) -> str | None:
        return self._known.get((event, previous)) or super().hash(chain_id, event, previous)


async def _in_memory(made: Made) -> Counter[str]:
    await _is_sound(made)
    hasher = _Remembering(made)
    counted: Counter[str] = Counter()
    for tampering in tamperings(made):
        fault = await _verified(made, hasher, tampering)
        check(tampering, fault)
        counted[tampering.name.partition(":")[0]] += 1
    return counted


async def _is_sound(made: Made) -> None:
    chain = MemoryChain(made.chain_id, made.events, made.head)
    verified = await verify_chain(chain, made.hasher, [made.checkpoint(len(made.events))], wants_root=True)
    if verified.fault is not None:
        raise CampaignFailed(f"the chain that nobody touched: {verified.fault}")


async def _verified(made: Made, hasher: EventHasher, tampering: Tampering) -> Fault | None:
    rows = sorted(tampering.events, key=lambda event: (event.sequence, event.id))
    chain = MemoryChain(made.chain_id, rows, tampering.head)
    return (await verify_chain(chain, hasher, tampering.checkpoints)).fault


def check(tampering: Tampering, fault: Fault | None) -> None:
    """Raises CampaignFailed where a tampering was not found, or was named otherwise than it must be."""
    if fault is None:
        raise CampaignFailed(f"{tampering.name} was not found")
    if fault.kind not in tampering.kinds or fault.sequence != tampering.sequence:
        wanted = f"{' or '.join(sorted(tampering.kinds))} at {tampering.sequence}"
        raise CampaignFailed(f"{tampering.name} was named {fault}; it should have been {wanted}")


def tamperings(made: Made) -> Iterator[Tampering]:
    """Every one of them."""
    events, head = made.events, made.head
    for place in range(len(events)):
        yield from _changed(events, head, place)
        yield from _renumbered(events, head, place)
        yield from _removed(events, head, place)
        yield from _swapped(events, head, place)
        yield from _inserted(events, head, place)
        yield from _truncated(made, place)
        yield from _rewritten(made, place)
    yield from _appended(events, head)
    yield from _heads(events, head)


NOBODY, ELSEWHERE = "00000000-0000-4000-8000-000000000000", "ffffffff-ffff-4fff-bfff-ffffffffffff"


def _other_values(event: EventRow) -> Iterator[tuple[str, Any, Kinds]]:
    """Other values of each column, and what that is to be called."""
    first = "1" if event.hash[0] != "1" else "2"
    yield from (("id", value, ALTERED) for value in (NOBODY, ELSEWHERE))
    yield from (("type", value, ALTERED) for value in ("credential.revoked", f"{event.type}x", "", event.type.upper()))
    yield from (
        ("occurred_at", value, ALTERED) for value in ("2026-01-15T12:00:00.001000+00:00", "1970-01-01T00:00:00+00:00")
    )
    texts = {"actor_id": [NOBODY], "subject_id": ["", NOBODY], "source_ip": ["", "192.0.2.1"]}
    for column, others in texts.items():
        yield from ((column, value, ALTERED) for value in (None, *others) if value != getattr(event, column))
    yield from (
        ("summary", value, ALTERED) for value in ("", f"{event.summary} ", event.summary[1:], "Nothing happened")
    )
    yield from (("hashing_key_id", value, KEY) for value in ("audit-hashing-9", ""))
    yield "hashing_key_id", f"{Purpose.CREDENTIAL_HASHING}-1", ALTERED
    yield "hash_version", 1, ALTERED
    yield from (("hash_version", value, KEY) for value in (0, 3, -1))
    yield from (
        ("hash", value, ALTERED) for value in (first + event.hash[1:], event.hash[::-1], event.hash.upper(), "0" * 64)
    )


def _changed(events: Events, head: HeadRow, place: int) -> Iterator[Tampering]:
    for column, value, kinds in _other_values(events[place]):
        if value == getattr(events[place], column):
            continue
        changed = [*events]
        changed[place] = events[place]._replace(**{column: value})
        yield Tampering(f"{column} changed: to {value!r} in event {place + 1}", changed, head, kinds, place + 1)


def _renumbered(events: Events, head: HeadRow, place: int) -> Iterator[Tampering]:
    """Its number alone changed: to one that is free, and to its neighbours'."""
    number = place + 1
    for to in (len(events) + 5, 0, -7, number - 1, number + 1):
        if to == number or (to == len(events) + 1 and number == len(events)):
            continue
        changed = [*events]
        changed[place] = events[place]._replace(sequence=to)
        # What is numbered lower than any stands first.
        at = to if to < 1 and number > 1 else number
        yield Tampering(f"sequence changed: of {number} to {to}", changed, head, REORDERED, at)
    if number == len(events):
        changed = [*events[:-1], events[-1]._replace(sequence=number + 1)]
        yield Tampering(f"sequence changed: of {number} to {number + 1}", changed, head, REORDERED, number)


def _removed(events: Events, head: HeadRow, place: int) -> Iterator[Tampering]:
    number, is_last = place + 1, place + 1 == len(events)
    gap = [*events[:place], *events[place + 1 :]]
    closed = [*events[:place], *(event._replace(sequence=event.sequence - 1) for event in events[place + 1 :])]
    yield Tampering(f"removed: {number}", gap, head, TRUNCATED if is_last else REMOVED, number)
    if not is_last:
        yield Tampering(f"removed and renumbered: {number}", closed, head, REMOVED, number)
        # Of the last but one nothing is left that tells.
        kinds = REMOVED | ALTERED if number == len(events) - 1 else REMOVED
        lower = head._replace(sequence=head.sequence - 1)
        yield Tampering(f"removed and renumbered, the head too: {number}", closed, lower, kinds, number)
    if number + 2 < len(events):
        cut = [*events[:place], *(event._replace(sequence=event.sequence - 3) for event in events[place + 3 :])]
        yield Tampering(f"three removed and renumbered: {number}", cut, head, REMOVED, number)


def _swapped(events: Events, head: HeadRow, place: int) -> Iterator[Tampering]:
    """Each adjacent pair, and each with one further on; by their numbers, and by all but number and id."""
    for other in {place + 1, place + 2, (place * 7 + 11) % len(events), len(events) - 1}:
        if not place < other < len(events):
            continue
        named = f"{place + 1} and {other + 1}"
        one, two = events[place], events[other]
        swapped = [*events]
        swapped[place], swapped[other] = two._replace(sequence=one.sequence), one._replace(sequence=two.sequence)
        yield Tampering(f"swapped: {named}", swapped, head, REORDERED, place + 1)
        contents = [*events]
        contents[place] = two._replace(sequence=one.sequence, id=one.id)
        contents[other] = one._replace(sequence=two.sequence, id=two.id)
        yield Tampering(f"contents swapped: {named}", contents, head, ALTERED, place + 1)
        for name, order in (
            ("moved on", [*events[:place], *events[place + 1 : other + 1], one, *events[other + 1 :]]),
            ("moved back", [*events[:place], two, *events[place:other], *events[other + 1 :]]),
        ):
            moved = [event._replace(sequence=number) for number, event in enumerate(order, 1)]
            yield Tampering(f"{name}: {named}", moved, head, REORDERED, place + 1)


def _inserted(events: Events, head: HeadRow, place: int) -> Iterator[Tampering]:
    number, event = place + 1, events[place]
    for name, id_ in (("before it", NOBODY), ("after it", ELSEWHERE)):
        copy = event._replace(id=id_)
        yield Tampering(f"duplicate inserted: of {number}, {name}", [*events, copy], head, INSERTED, number)
    forged = event._replace(id=ELSEWHERE, summary="Nothing of the kind happened", hash="0" * 64)
    longer = head._replace(sequence=head.sequence + 1)
    rest = [after._replace(sequence=after.sequence + 1) for after in events[place:]]
    for name, extra in (("forged", forged), ("copy", event._replace(id=ELSEWHERE))):
        inserted = [*events[:place], extra, *rest]
        yield Tampering(f"{name} inserted: at {number}", inserted, longer, INSERTED, number)
        yield Tampering(f"{name} inserted, the head as it was: at {number}", inserted, head, INSERTED, number)


def _truncated(made: Made, place: int) -> Iterator[Tampering]:
    """After so many events; with the head as it was, and with one that fits and a checkpoint from before."""
    kept, number = made.events[:place], place + 1
    yield Tampering(f"truncated: after {place}", kept, made.head, TRUNCATED, number)
    fitting = made.head._replace(sequence=place, hash=kept[-1].hash if kept else "")
    for size in {number, len(made.events)}:
        checkpoint = made.checkpoint(size)
        yield Tampering(
            f"truncated with the head: after {place}, seen at {size}", kept, fitting, TRUNCATED, number, [checkpoint]
        )


def _rewritten(made: Made, place: int) -> Iterator[Tampering]:
    """By somebody who has the key: everything adds up, and checkpoints tell from where on it is other than it was."""
    number = place + 1
    if number % 10 != 1:  # each takes hashing all that comes after
        return
    events = [*made.events]
    events[place] = events[place]._replace(summary="Nothing of the kind happened")
    previous = events[place - 1].hash if place else ""
    for at in range(place, len(events)):
        previous = made.hasher.hash(made.chain_id, events[at], previous) or ""
        events[at] = events[at]._replace(hash=previous)
    head, middle = made.head._replace(hash=previous), len(events) // 2
    seen = [made.checkpoint(len(events)), made.checkpoint(middle)]
    since = middle + 1 if number > middle else 1
    yield Tampering(f"rewritten with the key: from {number} on", events, head, REWRITTEN, since, seen)


def _appended(events: Events, head: HeadRow) -> Iterator[Tampering]:
    number = len(events) + 1
    forged = events[-1]._replace(id=ELSEWHERE, sequence=number, hash="0" * 64)
    to_it = head._replace(sequence=number, hash=forged.hash)
    yield Tampering("forged appended: at the end", [*events, forged], head, INSERTED, number)
    yield Tampering("forged appended: with the head", [*events, forged], to_it, ALTERED, number)
    far = forged._replace(sequence=number + 10)
    yield Tampering("forged appended: far beyond the end", [*events, far], head, INSERTED, number + 10)
    first = forged._replace(sequence=-3)
    yield Tampering("forged appended: before the beginning", [first, *events], head, INSERTED, -3)


def _heads(events: Events, head: HeadRow) -> Iterator[Tampering]:
    number = len(events)
    yield Tampering("head changed: its hash", events, head._replace(hash="0" * 64), HEAD, number)
    yield Tampering("head changed: back by one", events, head._replace(sequence=number - 1), HEAD, number)
    back = head._replace(sequence=number - 1, hash=events[-2].hash)
    yield Tampering("head changed: back by one, with its hash", events, back, HEAD, number)
    yield Tampering("head changed: to nothing", events, head._replace(sequence=0, hash=""), HEAD, number)
    yield Tampering("head changed: on by one", events, head._replace(sequence=number + 1), TRUNCATED, number + 1)
    yield Tampering("head removed: ", events, None, HEAD, number)


def _by_command(made: Made, *, few: bool) -> int:
    """One or some of each kind, in the beginning, the middle and the end of the chain."""
    chosen: dict[str, list[Tampering]] = {}
    for tampering in tamperings(made):
        chosen.setdefault(tampering.name.partition(":")[0], []).append(tampering)
    number = 0
    for of_kind in chosen.values():
        places = {0, len(of_kind) // 2, len(of_kind) - 1} if not few else {len(of_kind) // 2}
        for place in sorted(places):
            _check_command(made, of_kind[place])
            number += 1
    if isinstance(made.database, SqliteDatabase):
        number += _forms(made, made.database)
    made.put(made.events, made.head)
    return number


# Of the second event: what SQLite, which does not insist on types, can be made to hold in the place of the same value.
_FORMS = (
    "occurred_at = replace(occurred_at, ' ', 'T')",
    "occurred_at = replace(occurred_at, '+00:00', 'Z')",
    "occurred_at = 1768478400",
    "id = upper(id)",
    "actor_id = upper(actor_id)",
    "hash_version = '2x'",
    "hash_version = 2.5",
    "summary = CAST(summary AS BLOB)",
    "summary = CAST(x'ff' AS TEXT)",
    "summary = summary || char(0)",
    "hash = CAST(hash AS BLOB)",
)


def _forms(made: Made, database: SqliteDatabase) -> int:
    for form in _FORMS:
        made.put(made.events, made.head)
        database.execute(f"UPDATE audit_events SET {form} WHERE chain_id = '{made.chain_id}' AND sequence = 2")
        status, told = made.verify_by_command(())
        if status != 1 or "event 2 " not in told:
            raise CampaignFailed(f"{form}: sealkey audit verify ended with {status} and told: {told}")
    return len(_FORMS)


def _check_command(made: Made, tampering: Tampering) -> None:
    """The tampering is in the database: the command must end with 1, and say of this chain, and of no other, what."""
    made.put(tampering.events, tampering.head)
    status, told = made.verify_by_command(tampering.checkpoints)
    lines = [line for line in told.splitlines() if ": event " in line]
    kinds = "|".join(tampering.kinds)
    if status != 1 or len(lines) != 1:
        raise CampaignFailed(f"{tampering.name}: sealkey audit verify ended with {status} and told: {told}")
    place = f"event {tampering.sequence:,}"
    is_named = any(f": {kind.value}: " in lines[0] for kind in tampering.kinds)
    if made.name not in lines[0] or not is_named or f"{place} " not in lines[0].replace(":", " "):
        raise CampaignFailed(f"{tampering.name}: not {kinds} at {place}, but: {lines[0]}")
