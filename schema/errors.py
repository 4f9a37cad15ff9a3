"""One table from what can go wrong below to what a client sees.

Expected refusals of a mutation stand in its payload's userErrors; all else is a top-level error with extensions.code.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar, cast

import strawberry
from graphql import GraphQLError

from auth.policy import ApiAccessRemoved, Forbidden, Unauthenticated
from resolvers.denials import record_denial
from resolvers.errors import BadArgument, ErrorCode, NotFound, Refusal, Refused
from resolvers.throttling import Throttled
from resolvers.watching import FellBehind, TooManyWatches
from schema.context import Info
from schema.execution import OperationUnclear

TOP_LEVEL_CODES: dict[type[Exception], str] = {
    Unauthenticated: "UNAUTHENTICATED",
    Forbidden: "FORBIDDEN",
    ApiAccessRemoved: "FORBIDDEN",
    NotFound: "NOT_FOUND",
    BadArgument: "BAD_USER_INPUT",
    Throttled: "RATE_LIMITED",
    OperationUnclear: "OPERATION_RESOLUTION_FAILURE",
    TooManyWatches: "TOO_MANY_SUBSCRIPTIONS",
    FellBehind: "SUBSCRIPTION_FELL_BEHIND",
}


def top_level_code(error: GraphQLError) -> str | None:
    """The code of an error that a resolver raised on purpose; None for one that was not foreseen."""
    return TOP_LEVEL_CODES.get(type(error.original_error))  # type: ignore[arg-type]


def retry_after(error: GraphQLError) -> int | None:
    """Seconds until a caller who was throttled should come back."""
    return error.original_error.seconds if isinstance(error.original_error, Throttled) else None


@strawberry.type(description="Something that the caller could expect to go wrong.")
class UserError:
    field: list[str] | None = strawberry.field(
        description="Path of the input field at fault, outermost first; null where no single field is."
    )
    code: ErrorCode = strawberry.field(description="What went wrong, for programs to go by.")
    message: str = strawberry.field(description="For people: what was wrong, and what to do.")

    @staticmethod
    def of(refusal: Refusal) -> "UserError":
        path = [_camel_case(name) for name in refusal.field]
        return UserError(field=path or None, code=refusal.code, message=refusal.message)


@strawberry.type
class Payload:
    """The common part of every mutation's answer."""

    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What went wrong; empty when all went well. If not, nothing was changed."
    )


Resolver = TypeVar("Resolver", bound=Callable[..., Awaitable[Payload]])


def answering_with_user_errors(resolver: Resolver) -> Resolver:
    """A mutation whose refusals stand in its payload, the rest of which is then null."""
    payload = cast(type[Payload], resolver.__annotations__["return"])

    @wraps(resolver)
    async def answer(*arguments: Any, **named: Any) -> Payload:
        info: Info = named["info"]
        try:
            answered = await resolver(*arguments, **named)
            await info.context.caller.deployment.memory.settle()
        except Refused as refused:
            return payload(user_errors=[UserError.of(refusal) for refusal in refused.refusals])
        except ApiAccessRemoved as removed:
            if info.field_name not in info.context.denied:
                info.context.denied.add(info.field_name)
                await record_denial(info.context.caller, removed, info.field_name)
            return payload(user_errors=[UserError.of(Refusal(ErrorCode.API_ACCESS_REMOVED, str(removed)))])

        return answered

    return cast(Resolver, answer)


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
