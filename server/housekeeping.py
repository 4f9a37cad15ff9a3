"""What goes on beside the requests: writing down what was counted, removing what is no longer needed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from resolvers.access_tokens import forget_revoked_tokens
from resolvers.caller import Caller, Deployment
from resolvers.expiry_notices import announce_ends
from resolvers.idempotency import forget_answers
from resolvers.usage import forget_old_usage
from resolvers.webhook_delivery import deliver_due
from server.logs import log_fault
from server.settings import Settings

_CLEAN_UP_EVERY = 60


@asynccontextmanager
async def housekeeping(deployment: Deployment, settings: Settings) -> AsyncIterator[None]:
    """Goes on while inside; at the end what was counted is written down once more."""
    over = asyncio.Event()
    task = asyncio.create_task(_keep_house(deployment, settings, over))
    try:
        yield
    finally:
        # Not cancelled: what is being written down is written down once.
        over.set()
        await task
        await deployment.usage.flush()


async def _keep_house(deployment: Deployment, settings: Settings, over: asyncio.Event) -> None:
    rounds = 0
    while not await _is_over(over, settings.usage_flush_seconds):
        caller = Caller(None, None, deployment.clock(), deployment)
        try:
            await deployment.usage.flush()
            await deliver_due(caller, settings.webhook_allowed_networks)
            if rounds % _CLEAN_UP_EVERY == 0:
                await announce_ends(caller)
                await forget_answers(caller.now)
                await forget_old_usage(caller.now)
                await forget_revoked_tokens(caller.now)
        except Exception as error:  # noqa: BLE001  (the database may be back the next time)
            log_fault(error)
        rounds += 1


async def _is_over(over: asyncio.Event, seconds: int) -> bool:
    try:
        await asyncio.wait_for(over.wait(), seconds)
    except TimeoutError:
        return False
    return True
