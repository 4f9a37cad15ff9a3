"""What every resolver is given."""

from dataclasses import dataclass, field
from datetime import datetime

import strawberry

from resolvers.batching import Batches
from resolvers.caller import Caller
from resolvers.sessions import SignedIn


@dataclass
class Reply:
    """What an operation wants done beside its answer: a session cookie set, or cleared."""

    now: datetime
    started: SignedIn | None = None
    ended: bool = False


@dataclass(frozen=True)
class Context:
    caller: Caller
    reply: Reply = field(init=False)
    # The fields whose denial is recorded already: once for each request, however often one is asked for.
    denied: set[str] = field(default_factory=set)
    batches: Batches = field(default_factory=Batches)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reply", Reply(self.caller.now))


Info = strawberry.Info[Context, None]
