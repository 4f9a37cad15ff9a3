"""What a client is answered: errors without anything of what it sent, and the status that goes with them."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import UUID

import orjson
from graphql import ExecutionResult, GraphQLError
from graphql.error import GraphQLSyntaxError
from starlette.responses import Response

from models.failures import is_unavailable
from schema.errors import Code, retry_after, top_level_code
from server.graphql_request import GRAPHQL_JSON, BadRequest
from server.logs import log_fault
from server.redaction import without_values

# Of one answer: what many fields have in common is known by then.
MAXIMUM_ERRORS = 9
# GraphQL's and Strawberry's messages about the values of variables, which have nothing else to be told by.
_BAD_INPUT = re.compile(r"Variable '\$\w+' has invalid value|OneOf Input Object|Value for member field")
# What a variable leaves null where a default makes validation accept it (GraphQL, 5.8.5) is found while executing.
_BAD_ARGUMENT = re.compile(r"Argument '\w+' has invalid value")
_PARTIAL_SUCCESS = 294

Body = dict[str, Any]


def body_of(result: ExecutionResult) -> Body:
    """The answer to an operation: without data where nothing was executed."""
    errors = [present(error) for error in (result.errors or ())[:MAXIMUM_ERRORS]]
    failed_before_execution = result.data is None and all("path" not in error for error in errors)
    body: Body = {} if failed_before_execution else {"data": result.data}
    if errors:
        body["errors"] = errors
    if result.extensions:
        body["extensions"] = result.extensions
    return body


def present(error: GraphQLError) -> Body:
    """An error as the client sees it: nothing of what it sent, and of what was not foreseen only an id."""
    code = top_level_code(error)
    if code is not None:
        presented = told(error.message, code)
    elif isinstance(error.original_error, GraphQLError) and _BAD_ARGUMENT.match(error.message):
        presented = told(without_values(error.message), Code.BAD_USER_INPUT)
    elif error.path is not None and error.original_error is not None:
        presented = fault(error.original_error)
    else:
        presented = told(without_values(error.message), _request_code(error))
    if seconds := retry_after(error):
        presented["extensions"]["retryAfterSeconds"] = seconds
    if error.locations:
        presented["locations"] = [location.formatted for location in error.locations]
    return {**presented, "path": error.path} if error.path else presented


def told(message: str, code: Code) -> Body:
    return {"message": message, "extensions": {"code": code}}


def fault(error: BaseException) -> Body:
    """What was not foreseen, which is in the log under the id that is told."""
    error_id = log_fault(error)
    if is_unavailable(error):
        return told("The database can't be asked now. Try again in a moment.", Code.UNAVAILABLE)
    return told(f"Something went wrong here. The log has it under {error_id}.", Code.INTERNAL_SERVER_ERROR)


def status_of(body: Body, media_type: str, *, strict: bool) -> int:
    """A client that knows the newer media type reads the status; older ones expect 200 for whatever GraphQL says, but
    for what any of them would try again.

    strict: as the first edition has it, with 422 for what is readable but can't be executed, and 294 beside errors.
    """
    errors, codes = body.get("errors", ()), codes_in(body)
    if Code.UNAVAILABLE in codes and body.get("data") is None:
        return 503
    if "data" in body:
        return _PARTIAL_SUCCESS if errors and strict and media_type == GRAPHQL_JSON else 200
    if Code.RATE_LIMITED in codes:
        return 429
    if media_type != GRAPHQL_JSON:
        return 200
    return 422 if strict and Code.GRAPHQL_PARSE_FAILED not in codes else 400


def codes_in(body: Body) -> list[Code]:
    """Of its errors, in their order."""
    return [error["extensions"]["code"] for error in body.get("errors", ())]


def answer(body: Body, status: int, media_type: str, headers: Mapping[str, str] | None = None) -> Response:
    # Answers can hold secrets: nobody on the way keeps them.
    headers = {"Cache-Control": "no-store", **_retry_after(body, status), **(headers or {})}
    return Response(orjson.dumps(body, default=as_text), status, headers, f"{media_type}; charset=utf-8")


def refusal(error: BadRequest, media_type: str, *, strict: bool) -> Response:
    """The answer to what is not one operation."""
    status = 422 if strict and error.is_readable and media_type == GRAPHQL_JSON else error.status
    return answer({"errors": [told(str(error), Code.BAD_REQUEST)]}, status, media_type, error.headers)


def _request_code(error: GraphQLError) -> Code:
    if isinstance(error, GraphQLSyntaxError):
        return Code.GRAPHQL_PARSE_FAILED
    return Code.BAD_USER_INPUT if _BAD_INPUT.match(error.message) else Code.GRAPHQL_VALIDATION_FAILED


def _retry_after(body: Body, status: int) -> dict[str, str]:
    waits = [error["extensions"].get("retryAfterSeconds", 0) for error in body.get("errors", ())]
    wait = max(waits, default=0) or (1 if status == HTTPStatus.SERVICE_UNAVAILABLE else 0)
    return {"Retry-After": str(wait)} if wait else {}


def as_text(value: object) -> str:
    """What orjson does not know how to write."""
    if isinstance(value, UUID | str):
        return str(value)
    raise TypeError(type(value).__name__)
