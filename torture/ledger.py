"""What customers were told, to be compared with what is in the database afterwards."""

import time
from collections import Counter
from dataclasses import dataclass, field

from torture.fleet import Life
from torture.stage import Customer

ELSEWHERE_WITHIN = 1.0
"""Seconds within which a change counts in every process; in the one that made it, it does at once."""


@dataclass
class Held:
    """A credential whose secret somebody was told."""

    id: str
    name: str
    key: str
    secret: str
    customer: Customer
    service: int
    """Which of the customer's two."""
    networks: tuple[str, ...] = ()
    ended: float | None = None
    """When it was acknowledged that it is let in no more."""
    ended_by: Life | None = None


@dataclass
class Ledger:
    """Of events by type and subject: how many there are at least and at most. Of checks: how many were answered by
    ALLOW in each life, when, and how many more may have been."""

    events: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    credentials: list[Held] = field(default_factory=list)
    changing: Counter[str] = field(default_factory=Counter)
    """How many changes there are of a thing, by its id, that need not be known everywhere yet."""
    changed: Counter[str] = field(default_factory=Counter)
    """How many have begun."""
    suspended: dict[str, bool] = field(default_factory=dict)
    """Services and identities, by id."""
    abandoned: list[str] = field(default_factory=list)
    """Names of credentials that were asked for, without an answer, and not asked for again."""
    allowed: list[tuple[float, Life]] = field(default_factory=list)
    maybe_allowed: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def begin(self, id_: str) -> None:
        """From now on nobody can say what is let in."""
        self.changing[id_] += 1
        self.changed[id_] += 1

    def end(self, id_: str) -> None:
        self.changing[id_] -= 1

    def version(self, held: Held) -> tuple[int, ...]:
        """Another one once something begins to change on which depends whether it is let in."""
        return tuple(self.changed[id_] for id_ in (held.id, *held.customer.services, held.customer.identity))

    def expect(self, event: str, subject: str, unknown: int = 0) -> None:
        """One more event of a type, and up to so many more where no answer came."""
        bounds = self.events.setdefault((event, subject), [0, 0])
        bounds[0] += 1
        bounds[1] += 1 + unknown

    def may_be(self, event: str, subject: str, times: int) -> None:
        """So many events of a type at most, and none at least."""
        self.events.setdefault((event, subject), [0, 0])[1] += times

    def may_be_let_in(self, held: Held, life: Life) -> bool:
        """Whether it may be that an answer which is asked for now in a life lets it in."""
        if held.ended is None:
            return True
        return life is not held.ended_by and time.monotonic() < held.ended + ELSEWHERE_WITHIN

    def must_be_let_in(self, held: Held) -> bool | None:
        """None where nobody can say."""
        needed = (held.customer.services[held.service], held.customer.identity)
        if held.ended is not None or any(self.changing[id_] for id_ in (held.id, *needed)):
            return None
        return not any(self.suspended.get(id_) for id_ in needed) and "192.0.2.0/24" not in held.networks
