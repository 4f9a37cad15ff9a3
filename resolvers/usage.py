"""How often credentials are used, counted in memory and written down in batches: never a write per check."""

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from time import monotonic
from uuid import UUID, uuid4

from models.check_facts import CredentialFacts
from models.usage import Batch, Count, CredentialUsage, add_usage, forget_usage

KEPT_DAYS = 90
# A batch whose writing nobody knows the end of is written again within seconds of the database being back.
_BATCHES_KEPT_DAYS = 7

# So many rows are written at once: others who write wait for no longer than that takes.
_ROWS_AT_ONCE = 5_000
# Of the time, writing down takes a twentieth at most: under load it is done less often, and what is counted again
# meanwhile is written once. It is done at the latest after a minute, or when there is much of it.
_REST = 19
_LONGEST_REST = 60.0
_MOST_UNWRITTEN = 101_000
# While nothing can be written, so many counts are kept, and as many last uses: 120 MB at the very most.
_MOST_KEPT = 200_000
_NEVER_YET = datetime.min.replace(tzinfo=UTC)


class UsageCounter:
    """What this process has counted and not yet written down."""

    def __init__(self, seconds: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._rests_until = seconds()
        self._days: dict[str, dict[bytes, Count]] = {}
        self._today: dict[bytes, Count] = {}
        self._batches: deque[Batch] = deque()
        # Of counts that were dropped.
        self._last_uses: OrderedDict[bytes, datetime] = OrderedDict()
        self.dropped = 0
        """Counts of a day of a credential that were dropped since all was last written down."""
        self._minute = self._minute_end = _NEVER_YET

    def count(self, facts: CredentialFacts, now: datetime, *, allowed: bool) -> None:
        """One check of a credential. It was used if it was let in; when, is known to the minute."""
        if not self._minute <= now < self._minute_end:
            self._turn_to(now)
        count = self._today.get(facts.id)
        if count is None:
            count = self._today[facts.id] = Count()
        if allowed:
            count.allowed += 1
            if facts.used_at is not self._minute:
                facts.used_at = count.last_used_at = self._minute
        else:
            count.denied += 1

    @property
    def unwritten(self) -> int:
        """Days of credentials that are to be written down."""
        return sum(map(len, self._days.values())) + sum(len(batch.counts) for batch in self._batches)

    async def flush_when_due(self) -> None:
        """Writes down what was counted, unless doing so has just taken a while."""
        if self._seconds() < self._rests_until and self.unwritten < _MOST_UNWRITTEN:
            return
        began = self._seconds()
        await self.flush()
        ended = self._seconds()
        self._rests_until = ended + min(_LONGEST_REST, _REST * (ended - began))

    async def flush(self) -> None:
        """Writes down what was counted. If that fails, the same is written down the next time, and what was counted
        meanwhile after that; of too much of it the oldest counts are dropped, and their last uses kept."""
        try:
            await self._write_all()
        finally:
            self._drop_oldest()

    async def _write_all(self) -> None:
        await self._write()
        days, self._days = self._days, {}
        self._today, self._minute_end = {}, _NEVER_YET
        self._line_up(days)
        await self._write()
        self._line_up(self._taken_last_uses())
        await self._write()
        self.dropped = 0

    def _line_up(self, days: Mapping[str, dict[bytes, Count]]) -> None:
        for day, counts in days.items():
            rows = iter(counts.items())
            while some := dict(islice(rows, _ROWS_AT_ONCE)):
                self._batches.append(Batch(str(uuid4()), day, some))

    async def _write(self) -> None:
        while self._batches:
            await add_usage(self._batches[0])
            self._batches.popleft()

    def _drop_oldest(self) -> None:
        surplus = self.unwritten - _MOST_KEPT
        if surplus <= 0:
            return
        self.dropped += surplus
        for counts in [*(batch.counts for batch in self._batches), *self._days.values()]:
            for id_ in list(islice(counts, surplus)):
                self._keep_last_use(id_, counts.pop(id_))
                surplus -= 1
        self._batches = deque(batch for batch in self._batches if batch.counts)
        self._days = {day: counts for day, counts in self._days.items() if counts}
        self._minute_end = _NEVER_YET  # today's may be gone

    def _keep_last_use(self, id_: bytes, count: Count) -> None:
        if count.last_used_at is not None:
            self._last_uses[id_] = count.last_used_at
            self._last_uses.move_to_end(id_)
            if len(self._last_uses) > _MOST_KEPT:
                self._last_uses.popitem(last=False)

    def _taken_last_uses(self) -> Mapping[str, dict[bytes, Count]]:
        days: dict[str, dict[bytes, Count]] = {}
        last_uses, self._last_uses = self._last_uses, OrderedDict()
        for id_, at in last_uses.items():
            days.setdefault(at.date().isoformat(), {})[id_] = Count(last_used_at=at)
        return days

    def _turn_to(self, now: datetime) -> None:
        minute = now.replace(second=0, microsecond=0)
        if minute != self._minute:
            self._minute = minute
        self._minute_end = self._minute + timedelta(minutes=1)
        self._today = self._days.setdefault(now.date().isoformat(), {})


@dataclass(frozen=True)
class Day:
    """One day of a credential, in UTC."""

    date: str
    allowed: int
    denied: int


async def usage_of_each(credential_ids: Sequence[UUID], days: int, now: datetime) -> Mapping[UUID, Sequence[Day]]:
    """The last days of each credential, oldest first, those without a check too."""
    dates = [_date(now, ago=ago) for ago in reversed(range(days))]
    none = {date: Day(date, 0, 0) for date in dates}
    counted = {credential_id: dict(none) for credential_id in credential_ids}
    for row in await CredentialUsage.filter(credential_id__in=credential_ids, day__gte=dates[0], day__lte=dates[-1]):
        counted[row.credential_id][row.day] = Day(row.day, row.allowed, row.denied)
    return {credential_id: list(by_date.values()) for credential_id, by_date in counted.items()}


async def forget_old_usage(now: datetime) -> None:
    """Removes what is no longer shown, and which batches of it were written."""
    await forget_usage(_date(now, ago=KEPT_DAYS), batches_before_day=_date(now, ago=_BATCHES_KEPT_DAYS))


def _date(now: datetime, *, ago: int) -> str:
    return (now - timedelta(days=ago)).date().isoformat()
