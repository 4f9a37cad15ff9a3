"""What somebody signed in was not allowed to do is in the audit log too."""

from auth.policy import Forbidden
from models.database import transaction
from resolvers.audit import EventType, record
from resolvers.caller import Caller


async def record_denial(caller: Caller, denial: Forbidden, what: str) -> None:
    """Records that a caller asked for something (a field's name) in vain. Nothing else happened, so the event has a
    transaction of its own."""
    if caller.principal is None:
        return
    async with transaction():
        await record(
            caller, EventType.ACCESS_DENIED, f"{what} was denied: {denial}", account_id=caller.principal.account_id
        )
