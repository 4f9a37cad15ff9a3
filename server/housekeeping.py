"""What goes on beside the requests: writing down what was counted, removing what is no longer needed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from models.check_epoch import forget_changes
from resolvers.access_tokens import forget_revoked_tokens
from resolvers.caller import Caller, Deployment
from resolvers.expiry_notices import announce_ends
from resolvers.idempotency import forget_answers
from resolvers.usage import forget_old_usage
from resolvers.webhook_delivery import deliver_due
from server.logs import log_fault
from server.settings import Settings

_CLEAN_UP_EVERY = 60
_ASK_EPOCH_EVERY = 0.4
_KEPT_CHANGES = 10_000


@asynccontextmanager
async def housekeeping(deployment: Deployment, settings: Settings) -> AsyncIterator[None]:
    """Goes on while inside; at the end what was counted is written down once more."""
    over = asyncio.Event()
    tasks = [
        asyncio.create_task(_keep_house(deployment, settings, over)),
        asyncio.create_task(_keep_up(deployment, over)),
    ]
    try:
        yield
    finally:
        # Not cancelled: what is being written down is written down once.
        over.set()
        await asyncio.gather(*tasks)
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
                await forget_changes(_KEPT_CHANGES)
                await forget_revoked_tokens(caller.now)
        except Exception as error:  # noqa: BLE001  (the database may be back the next time)
            log_fault(error)
        rounds += 1


async def _keep_up(deployment: Deployment, over: asyncio.Event) -> None:
    """Learns of other processes' changes before what is remembered stops being believed."""
    while True:
        try:
            await deployment.memory.refresh()
        except Exception as error:  # noqa: BLE001  (until it works again, each check asks the database)
            log_fault(error)
        if await _is_over(over, _ASK_EPOCH_EVERY):
            return


async def _is_over(over: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(over.wait(), seconds)
    except TimeoutError:
        return False
    return True
