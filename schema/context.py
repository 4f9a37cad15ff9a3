"""What every resolver is given."""

from dataclasses import dataclass

import strawberry

from resolvers.caller import Caller


@dataclass(frozen=True)
class Context:
    caller: Caller


Info = strawberry.Info[Context, None]
