"""Everything that can be watched."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Self, cast

import strawberry

from resolvers.caller import Caller
from resolvers.watching import CredentialChange as ChangeOfRow
from resolvers.watching import Watch, Watches
from schema.context import Context, Info
from schema.objects import Credential


@strawberry.type(description="Something that happened to a credential.")
class CredentialChange:
    context: strawberry.Private[Context]
    credential: Credential = strawberry.field(description="As it is now; more may have happened to it since.")
    event_type: str = strawberry.field(
        description="credential.generated, .retired, .rotated, .reassociated, .revoked, .blocked or .unblocked."
    )
    occurred_at: datetime = strawberry.field(description="When it happened.")


class CredentialChanges:
    """What a watch is told, each with the context of who watches as they are then."""

    def __init__(self, watches: Watches, watch: Watch, caller: Caller) -> None:
        self._watches, self._watch, self._caller = watches, watch, caller

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CredentialChange:
        change = await anext(self._watch)
        caller = replace(self._caller, principal=self._watch.principal, now=change.read_at)
        return CredentialChange(
            context=Context(caller),
            credential=_shown(change, caller.deployment),
            event_type=change.event_type,
            occurred_at=change.occurred_at,
        )

    async def aclose(self) -> None:
        self._watches.leave(self._watch)


@strawberry.type(description="Everything that can be watched, over server-sent events or a WebSocket.")
class Subscription:
    @strawberry.subscription(
        description="Credentials the viewer may see, as they are generated, rotated, reassociated, revoked, blocked or "
        "unblocked."
    )
    async def credential_changed(self, info: Info) -> AsyncGenerator[CredentialChange, None]:
        caller = info.context.caller
        watches = caller.deployment.watches
        changes = CredentialChanges(watches, await watches.begin(caller.principal), caller)
        return cast(AsyncGenerator[CredentialChange, None], changes)


@lru_cache(maxsize=256)
def _shown(change: ChangeOfRow, deployment: Any) -> Credential:
    """The same for everybody, so made once. Who asks decides about what is asked for beyond it."""
    return Credential.of(change.credential, Caller(None, None, change.read_at, deployment))
