"""One table from what can go wrong below to what a client sees.

Expected refusals of a mutation stand in its payload's userErrors; all else is a top-level error with extensions.code.
"""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import wraps
from typing import Any, TypeVar, cast

import strawberry
from graphql import GraphQLError
from strawberry.exceptions import StrawberryInputCoercionError

import schema.enums
from auth.passwords import TooManyPasswords
from auth.policy import ApiAccessRemoved, Forbidden, Unauthenticated
from resolvers.denials import record_denial
from resolvers.errors import BadArgument, ErrorCode, NotFound, Refusal, Refused
from resolvers.throttling import Throttled
from resolvers.watching import FellBehind, TooManyWatches
from schema.budget import BudgetSpent
from schema.context import Info
from schema.execution import OperationUnclear
from schema.limits import LimitExceeded
from schema.persisted import (
    DocumentNotTrusted,
    PersistedQueryMismatch,
    PersistedQueryNotFound,
    PersistedQueryNotSupported,
)

assert schema.enums  # noqa: S101  (imported for the name that it gives to ErrorCode)


class Code(StrEnum):
    """extensions.code of a top-level error: there are no others."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    BAD_USER_INPUT = "BAD_USER_INPUT"
    COST_LIMIT_EXCEEDED = "COST_LIMIT_EXCEEDED"
    RATE_LIMITED = "RATE_LIMITED"
    INTERNAL_SERVER_ERROR = "INTERNAL_SERVER_ERROR"
    UNAVAILABLE = "UNAVAILABLE"
    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
    OPERATION_RESOLUTION_FAILURE = "OPERATION_RESOLUTION_FAILURE"
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
    PERSISTED_QUERY_NOT_SUPPORTED = "PERSISTED_QUERY_NOT_SUPPORTED"
    DOCUMENT_NOT_TRUSTED = "DOCUMENT_NOT_TRUSTED"
    TOO_MANY_SUBSCRIPTIONS = "TOO_MANY_SUBSCRIPTIONS"
    SUBSCRIPTION_FELL_BEHIND = "SUBSCRIPTION_FELL_BEHIND"
    BAD_REQUEST = "BAD_REQUEST"


TOP_LEVEL_CODES: dict[type[Exception], Code] = {
    Unauthenticated: Code.UNAUTHENTICATED,
    Forbidden: Code.FORBIDDEN,
    ApiAccessRemoved: Code.FORBIDDEN,
    NotFound: Code.NOT_FOUND,
    BadArgument: Code.BAD_USER_INPUT,
    StrawberryInputCoercionError: Code.BAD_USER_INPUT,
    Throttled: Code.RATE_LIMITED,
    BudgetSpent: Code.RATE_LIMITED,
    LimitExceeded: Code.COST_LIMIT_EXCEEDED,
    OperationUnclear: Code.OPERATION_RESOLUTION_FAILURE,
    PersistedQueryNotFound: Code.PERSISTED_QUERY_NOT_FOUND,
    PersistedQueryNotSupported: Code.PERSISTED_QUERY_NOT_SUPPORTED,
    PersistedQueryMismatch: Code.BAD_USER_INPUT,
    DocumentNotTrusted: Code.DOCUMENT_NOT_TRUSTED,
    TooManyPasswords: Code.UNAVAILABLE,
    TooManyWatches: Code.TOO_MANY_SUBSCRIPTIONS,
    FellBehind: Code.SUBSCRIPTION_FELL_BEHIND,
}


_LATER = (Throttled, BudgetSpent, TooManyPasswords)


def top_level_code(error: GraphQLError) -> Code | None:
    """The code of an error that a resolver raised on purpose; None for one that was not foreseen."""
    return TOP_LEVEL_CODES.get(type(error.original_error))  # type: ignore[arg-type]


def retry_after(error: GraphQLError) -> int | None:
    """Seconds until a caller who asked too much should come back."""
    return error.original_error.seconds if isinstance(error.original_error, _LATER) else None


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
