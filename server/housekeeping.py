"""What goes on beside the requests, each thing in a loop of its own, so that none waits for another: writing down what
was counted, sending messages, taking keys that were added, and once a minute telling of ends to come and removing what
is no longer needed."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import monotonic

from auth.crypto.keyring import KeyringUnreadable
from models.check_epoch import forget_changes, watch
from resolvers.access_tokens import forget_revoked_tokens
from resolvers.caller import Caller, Deployment
from resolvers.credential_changes import follow
from resolvers.expiry_notices import announce_ends, forget_notices
from resolvers.idempotency import forget_answers
from resolvers.resealing import reseal
from resolvers.sessions import forget_sessions
from resolvers.usage import forget_old_usage
from resolvers.webhook_announcements import announced_since, write_announced
from resolvers.webhook_delivery import WebhookSender
from server.gate import Refusals
from server.logs import log, log_fault, outages
from server.settings import Settings
from server.workers import PUBLISHED_EVERY

_SEND_EVERY = 1
_LOOK_AT_KEYS_EVERY = 1
_TELL_OF_ENDS_EVERY = 60
_RESEAL_EVERY = 60
_CLEAN_UP_EVERY = 60
_ASK_EPOCH_EVERY = 0.4
_TELL_OF_CHANGES_EVERY = 0.3
_KEPT_CHANGES = 10_000
_LOOK_AT_BACKLOG_EVERY = 5
_TELL_OF_REFUSALS_EVERY = 10
_TELL_OF_OUTAGES_EVERY = 1
_SPARE_EVERY = 5
_SPARED_AT_LEAST = 500  # credentials
_SEARCH_EVERY = 3600
_LISTEN_AGAIN_AFTER = 1
# What an endpoint may still take when the server is to stop; what it does not take then is sent again later.
_LAST_SECONDS = 2


class Housekeeping:
    """The rounds, each to be gone once; the loops below go them again and again."""

    def __init__(
        self, deployment: Deployment, keys_path: Path | None = None, is_over: Callable[[], bool] = lambda: False
    ) -> None:
        self.deployment = deployment
        self._is_over = is_over
        self.sender = WebhookSender(deployment, log_fault)
        self.webhook_lag = timedelta(0)
        """As it was when it was last looked at."""
        self.keys_are_readable = True
        self._keys_path = keys_path
        self._done_at: dict[str, float] = {}
        self._has_told_of_dropped = False
        self._spared = -2 * _SPARED_AT_LEAST  # what has been there since the start is spared soon

    def ages(self) -> Iterator[tuple[str, float]]:
        """Seconds since each round was gone without a fault."""
        now = monotonic()
        return ((name, now - at) for name, at in self._done_at.items())

    def done(self, name: str) -> None:
        self._done_at[name] = monotonic()

    async def flush(self) -> None:
        await self.deployment.usage.flush()
        await self.rehash()

    async def rehash(self) -> None:
        """Writes down what secrets were hashed anew."""
        await self.deployment.rehashing.flush()

    async def flush_when_due(self) -> None:
        try:
            await self.deployment.usage.flush_when_due()
        finally:
            self._tell_of_dropped()

    def _tell_of_dropped(self) -> None:
        """Once, until all is written down again."""
        is_dropping = bool(self.deployment.usage.dropped)
        if is_dropping and not self._has_told_of_dropped:
            log.error("usage_dropped", unwritten=self.deployment.usage.unwritten)
        self._has_told_of_dropped = is_dropping

    async def keep_up(self) -> None:
        """Learns of other processes' changes before what is remembered stops being believed."""
        await self.deployment.memory.refresh(waits_for_others=False)

    async def tell_of_changes(self) -> None:
        """Whatever process they are made in, who watches here is told."""
        deployment = self.deployment
        await follow(deployment.watches, deployment.clock(), deployment.session_rules)

    async def follow_keys(self) -> None:
        """Takes keys that were added. What is wrong with them is told once, and changes nothing."""
        deployment, now = self.deployment, self.deployment.clock()
        try:
            await deployment.keys.follow(Caller(None, None, now, deployment))
        except KeyringUnreadable as error:
            log.error("keys_not_taken", reason=str(error))
        self.keys_are_readable = deployment.keys.trouble is None and _can_be_opened(self._keys_path)
        deployment.rehashing.follow(deployment.keyring, now)

    async def look_at_backlog(self) -> None:
        self.webhook_lag = max(await self.sender.lag(), await announced_since(self.deployment.clock()))

    async def write_announced(self) -> None:
        await write_announced(Caller(None, None, self.deployment.clock(), self.deployment), self._is_over)

    async def spare_what_stays(self) -> None:
        """Python's search for garbage looks at everything again and again: what is there since the start stops the
        process for a twentieth of a second, a hundred thousand credentials remembered for a tenth. They are spared it
        when there are a tenth more; what is under way at that instant is spared with them, and as garbage is not found
        for an hour."""
        remembered = len(self.deployment.memory)
        self._spared = min(self._spared, remembered)
        if remembered > self._spared * 1.1 + _SPARED_AT_LEAST:
            self._spared = remembered
            gc.collect()
            gc.freeze()

    async def send(self) -> None:
        await self.sender.start_due()

    async def tell_of_ends(self) -> None:
        await announce_ends(Caller(None, None, self.deployment.clock(), self.deployment))

    async def reseal(self) -> None:
        await reseal(Caller(None, None, self.deployment.clock(), self.deployment))

    async def clean_up(self) -> None:
        now = self.deployment.clock()
        await forget_answers(now)
        await forget_notices(now)
        await forget_old_usage(now)
        await forget_revoked_tokens(now)
        await forget_sessions(now)
        await forget_changes(_KEPT_CHANGES)


def _can_be_opened(path: Path | None) -> bool:
    try:
        if path is not None:
            path.open("rb").close()
    except OSError:
        return False
    return True


@asynccontextmanager
async def housekeeping(
    deployment: Deployment, settings: Settings, refusals: Refusals, publish: Callable[[], None]
) -> AsyncIterator[Housekeeping]:
    """Goes on while inside; at the end what was counted is written down once more. `publish` tells other workers this
    one's numbers."""
    over = asyncio.Event()
    house = Housekeeping(deployment, None if settings.keys is not None else settings.keys_path, over.is_set)

    async def publish_numbers() -> None:
        publish()

    async def tell_of_refusals() -> None:
        if news := refusals.news():
            log.warning("overloaded", **news)

    async def tell_of_outages() -> None:
        outages.tell()

    rounds: list[tuple[float, Callable[[], Awaitable[None]]]] = [
        (_ASK_EPOCH_EVERY, house.keep_up),
        (_TELL_OF_CHANGES_EVERY, house.tell_of_changes),
        (settings.usage_flush_seconds, house.flush_when_due),
        (settings.usage_flush_seconds, house.rehash),
        (_SEND_EVERY, house.write_announced),
        (_SEND_EVERY, house.send),
        (_LOOK_AT_KEYS_EVERY, house.follow_keys),
        (_TELL_OF_ENDS_EVERY, house.tell_of_ends),
        (_RESEAL_EVERY, house.reseal),
        (_CLEAN_UP_EVERY, house.clean_up),
        (_LOOK_AT_BACKLOG_EVERY, house.look_at_backlog),
        (PUBLISHED_EVERY, publish_numbers),
        (_TELL_OF_REFUSALS_EVERY, tell_of_refusals),
        (_TELL_OF_OUTAGES_EVERY, tell_of_outages),
        (_SPARE_EVERY, house.spare_what_stays),
        (_SEARCH_EVERY, search_everything),
    ]
    loops = {go.__name__: asyncio.create_task(_every(seconds, go, over, house)) for seconds, go in rounds}
    hearing = asyncio.create_task(_hear(house, over)) if settings.notifications else None
    try:
        yield house
    finally:
        over.set()
        if hearing is not None:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
        # Not cancelled: what is being written down is written down once. And before what may take longer than there is
        # time, such as the messages of an account with many credentials, or removing a day of theirs.
        await asyncio.gather(loops["flush_when_due"], loops["rehash"])
        await _try(house.flush)
        await asyncio.gather(*loops.values())
        await house.sender.finish(_LAST_SECONDS)


async def search_everything() -> None:
    """For what was spared and became garbage that only a search finds, such as what was under way then."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


async def _every(seconds: float, go: Callable[[], Awaitable[None]], over: asyncio.Event, house: Housekeeping) -> None:
    house.done(go.__name__)
    while not await _is_over(over, seconds):
        if await _try(go):
            house.done(go.__name__)


async def _hear(house: Housekeeping, over: asyncio.Event) -> None:
    """Keeps up at once when there is something to be heard. What is not heard is asked for all the same."""
    news = asyncio.Event()

    async def listen() -> None:
        # Looked at too: what fails while it is cancelled may tell of the failure alone.
        while not over.is_set():
            await _try(partial(watch, news.set))
            await _is_over(over, _LISTEN_AGAIN_AFTER)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listen())
        while True:
            await news.wait()
            news.clear()
            await _try(house.keep_up)
            await _try(house.tell_of_changes)


async def _try(go: Callable[[], Awaitable[None]]) -> bool:
    """Whether it went well. The database may be back the next time; and at the end the error's own text, of which
    nobody knows what is in it, must not get into the log."""
    try:
        await go()
    except Exception as error:  # noqa: BLE001
        log_fault(error)
        return False
    return True


async def _is_over(over: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(over.wait(), seconds)
    except TimeoutError:
        return False
    return True
