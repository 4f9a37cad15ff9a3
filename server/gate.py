"""How much a process does at once.

So many operations are worked on, so many more wait for their turn, in the order in which they came, and what is beyond
that is refused at once; so is what has waited for too long, rather than be answered when nobody waits for it any more.
So a process that is asked for more than it can do goes on doing what it can.
"""

from asyncio import Future, TimerHandle, get_running_loop
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

# Bytes of bodies that nobody works on yet, and of these, in large ones: who sends many of these leaves room for others.
_MOST_RECEIVED, _OF_LARGE = 64 * 1024 * 1024, 32 * 1024 * 1024
RETRY_AFTER = 1
"""Seconds after which whoever was refused may come again."""


class Overloaded(Exception):
    """There is more to do than can be done soon."""

    def __init__(self) -> None:
        super().__init__("The server has too much to do now. Try again in a moment.")


@dataclass(frozen=True)
class Bounds:
    """Operations that are worked on, operations that wait, and how many seconds one may wait."""

    at_work: int = 32
    waiting: int = 256
    seconds: float = 2


class Place:
    """An operation's, from when it is asked for until it is answered. To be left in the end, also more than once."""

    __slots__ = ("_gate", "is_at_work", "is_left")

    def __init__(self, gate: "Gate") -> None:
        self._gate = gate
        self.is_at_work = self.is_left = False

    async def turn(self) -> None:
        """Waits until it is its turn. Raises Overloaded, if that takes too long."""
        await self._gate.turn(self)

    def leave(self) -> None:
        if not self.is_left:
            self.is_left = True
            self._gate.left(self)


class Share:
    """What a body takes of the room that there is for those which nobody works on yet. To be left in the end, also more
    than once."""

    __slots__ = ("_bytes", "_gate", "_most")

    def __init__(self, gate: "Gate", most: int) -> None:
        self._gate, self._most, self._bytes = gate, most, 0

    def add(self, number: int) -> None:
        """So many bytes have come. Raises Overloaded, if there is no room for them."""
        self._gate.received += number
        self._bytes += number
        if self._gate.received > self._most:
            self._gate.full += 1
            raise Overloaded

    def leave(self) -> None:
        self._gate.received -= self._bytes
        self._bytes = 0


@dataclass(eq=False, slots=True)
class _Waiting:
    place: Place
    until: float
    turn: "Future[bool]"


class Refusals:
    """How many were refused, from one time that this is told to the next."""

    def __init__(self, **gates: "Gate") -> None:
        self._gates = gates
        self._told = dict.fromkeys(gates, 0)

    def news(self) -> dict[str, int]:
        """By the gate, where there were any."""
        now = {name: gate.full + gate.late for name, gate in self._gates.items()}
        news = {name: number - self._told[name] for name, number in now.items() if number > self._told[name]}
        self._told = now
        return news


class Gate:
    """What operations pass. Counts what it refuses: `full` at once, `late` after they have waited."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._places = self.at_work = self.full = self.late = self.received = 0
        self._queue: deque[_Waiting] = deque()
        self._alarm: TimerHandle | None = None

    @property
    def waiting(self) -> int:
        return self._places - self.at_work

    @property
    def is_full(self) -> bool:
        return self._places >= self._bounds.at_work + self._bounds.waiting

    def take(self) -> Place:
        """A place. Raises Overloaded, if there is none."""
        if self.is_full:
            self.full += 1
            raise Overloaded
        self._places += 1
        return Place(self)

    def share(self, *, is_large: bool = False) -> Share:
        """For a body that is about to come."""
        return Share(self, _OF_LARGE if is_large else _MOST_RECEIVED)

    @asynccontextmanager
    async def passed(self) -> AsyncIterator[None]:
        """Inside, one works. Raises Overloaded."""
        place = self.take()
        try:
            await place.turn()
            yield
        finally:
            place.leave()

    async def turn(self, place: Place) -> None:
        """See Place."""
        if self.at_work < self._bounds.at_work:
            self._begin(place)
            return
        loop = get_running_loop()
        waiting = _Waiting(place, loop.time() + self._bounds.seconds, loop.create_future())
        self._queue.append(waiting)
        self._set_alarm()
        if not await waiting.turn:
            self.late += 1
            raise Overloaded

    def left(self, place: Place) -> None:
        """See Place."""
        self._places -= 1
        if place.is_at_work:
            self.at_work -= 1
            self._go_on()

    def _begin(self, place: Place) -> None:
        place.is_at_work = True
        self.at_work += 1

    def _go_on(self) -> None:
        """The next one's turn: of those that still wait, whoever came first."""
        now = get_running_loop().time()
        while self._queue and self.at_work < self._bounds.at_work:
            waiting = self._queue.popleft()
            if waiting.turn.done():  # whoever asked was cancelled
                continue
            is_in_time = now < waiting.until
            if is_in_time:
                self._begin(waiting.place)
            waiting.turn.set_result(is_in_time)

    def _set_alarm(self) -> None:
        """Who waits is told in time also where nobody comes to an end. The first has waited the longest."""
        if self._alarm is None and self._queue:
            self._alarm = get_running_loop().call_at(self._queue[0].until, self._ring)

    def _ring(self) -> None:
        self._alarm, now = None, get_running_loop().time()
        while self._queue and (self._queue[0].until <= now or self._queue[0].turn.done()):
            waiting = self._queue.popleft()
            if not waiting.turn.done():
                waiting.turn.set_result(False)
        self._set_alarm()
