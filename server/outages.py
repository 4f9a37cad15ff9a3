"""What the log says while the database can't be asked: why, and how often that was found out.

Every request and every round of housekeeping finds it out anew, and none of these is an error to report: what they have
in common is told once a second.
"""

from collections import Counter
from collections.abc import Callable
from contextvars import Context
from time import monotonic
from typing import Any

from models.failures import Unavailable
from models.reasons import reason_of

_TELL_EVERY = 1.0


class Outages:
    """`write` is given an event and its fields: the first time at once; what comes within the next second together,
    once something more is noted or it is asked to tell."""

    def __init__(self, write: Callable[..., Any], seconds: Callable[[], float] = monotonic) -> None:
        self._write, self._seconds = write, seconds
        self._untold: Counter[tuple[str, str]] = Counter()
        self._quiet_until = -1.0

    def note(self, error: BaseException) -> str:
        """Answers the reason."""
        event = "key_missing" if isinstance(error, Unavailable) else "database_unavailable"
        self._untold[event, reason := reason_of(error)] += 1
        self.tell()
        return reason

    def tell(self) -> None:
        """What has not been told, if it is time."""
        if not self._untold or self._seconds() < self._quiet_until:
            return
        untold, self._untold = self._untold, Counter()
        self._quiet_until = self._seconds() + _TELL_EVERY
        for (event, reason), times in untold.items():
            # Of many requests, so without the id of the one that comes first.
            Context().run(self._write, event, reason=reason, times=times)
