"""What goes on beside the requests: writing down what was counted, removing what is no longer needed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from resolvers.caller import Deployment
from resolvers.idempotency import forget_answers
from resolvers.usage import forget_old_usage
from server.logs import log_fault

_CLEAN_UP_EVERY = 60


@asynccontextmanager
async def housekeeping(deployment: Deployment, flush_seconds: int) -> AsyncIterator[None]:
    """Goes on while inside; at the end what was counted is written down once more."""
    over = asyncio.Event()
    task = asyncio.create_task(_keep_house(deployment, flush_seconds, over))
    try:
        yield
    finally:
        # Not cancelled: what is being written down is written down once.
        over.set()
        await task
        await deployment.usage.flush()


async def _keep_house(deployment: Deployment, flush_seconds: int, over: asyncio.Event) -> None:
    rounds = 0
    while not await _is_over(over, flush_seconds):
        try:
            await deployment.usage.flush()
            if rounds % _CLEAN_UP_EVERY == 0:
                await forget_answers(deployment.clock())
                await forget_old_usage(deployment.clock())
        except Exception as error:  # noqa: BLE001  (the database may be back the next time)
            log_fault(error)
        rounds += 1


async def _is_over(over: asyncio.Event, seconds: int) -> bool:
    try:
        await asyncio.wait_for(over.wait(), seconds)
    except TimeoutError:
        return False
    return True
