"""How often credentials are used, counted in memory and written down in batches: never a write per check."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from models.usage import Count, CredentialUsage, add_usage, forget_usage

KEPT_DAYS = 90


class UsageCounter:
    """What this process has counted and not yet written down."""

    def __init__(self) -> None:
        self._counts: dict[tuple[UUID, str], Count] = defaultdict(Count)
        self._last_uses: dict[UUID, datetime] = {}

    def count(self, credential_id: UUID, now: datetime, *, allowed: bool) -> None:
        """One check of a credential. It was used if it was let in; when, is known to the minute."""
        count = self._counts[credential_id, now.date().isoformat()]
        if allowed:
            count.allowed += 1
            self._last_uses[credential_id] = now.replace(second=0, microsecond=0)
        else:
            count.denied += 1

    async def flush(self) -> None:
        """Writes down what was counted. If that fails, it is counted on and written down the next time."""
        counts, last_uses = self._counts, self._last_uses
        if not counts:
            return
        self._counts, self._last_uses = defaultdict(Count), {}
        try:
            await add_usage(counts, last_uses)
        except BaseException:
            self._put_back(counts, last_uses)
            raise

    def _put_back(self, counts: dict[tuple[UUID, str], Count], last_uses: dict[UUID, datetime]) -> None:
        for key, count in counts.items():
            self._counts[key].allowed += count.allowed
            self._counts[key].denied += count.denied
        self._last_uses = last_uses | self._last_uses


@dataclass(frozen=True)
class Day:
    """One day of a credential, in UTC."""

    date: str
    allowed: int
    denied: int


async def usage_of(credential_id: UUID, days: int, now: datetime) -> Sequence[Day]:
    """The last days of a credential, oldest first, those without a check too."""
    dates = [(now - timedelta(days=ago)).date().isoformat() for ago in reversed(range(days))]
    rows = await CredentialUsage.filter(credential_id=credential_id, day__gte=dates[0])
    by_date = {row.day: row for row in rows}
    found = [(date, by_date.get(date)) for date in dates]
    return [Day(date, row.allowed if row else 0, row.denied if row else 0) for date, row in found]


async def forget_old_usage(now: datetime) -> None:
    """Removes what is no longer shown."""
    await forget_usage((now - timedelta(days=KEPT_DAYS)).date().isoformat())
