"""GraphQL over HTTP: one POST, one operation, one answer.

Wrong requests are told apart by status (400, 405, 413, 415), and none of them reaches the schema.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import orjson
from graphql import ExecutionResult, FieldNode, GraphQLError
from graphql.error import GraphQLSyntaxError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from auth.openid import OpenIdUnavailable
from auth.policy import Forbidden
from models.database import is_unavailable
from resolvers.denials import record_denial
from schema.api import Api
from schema.context import Context
from schema.errors import retry_after, top_level_code
from server.identification import identify, write_session_cookie
from server.logs import log, log_fault
from server.redaction import without_values

MAXIMUM_BODY = 1024 * 1024
# Parsed documents are kept for the next time, so each must be small.
MAXIMUM_DOCUMENT = 32 * 1024
_GRAPHQL_JSON = "application/graphql-response+json"
_JSON = "application/json"
# How GraphQL's and Strawberry's messages about variables begin; both have nothing else to be told by.
_BAD_INPUT = ("Variable '$", "OneOf Input Object", "Value for member field")


class BadRequest(Exception):
    """The request is not one operation in JSON; the message says why."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


class GraphQLEndpoint:
    """Answers operations on an API, for whoever the session token says is asking. An ASGI application."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.answer(Request(scope, receive))
        await response(scope, receive, send)

    async def answer(self, request: Request) -> Response:
        media_type = _GRAPHQL_JSON if _GRAPHQL_JSON in request.headers.get("accept", "") else _JSON
        try:
            operation = await _read_operation(request)
        except BadRequest as error:
            body = {"errors": [_error(str(error), "BAD_REQUEST")]}
            return _answer(body, error.status, media_type, error.headers)
        try:
            context = Context(await identify(request))
            body = await self._execute(operation, context)
        except OpenIdUnavailable as unavailable:
            log.error("openid_unavailable", reason=str(unavailable))
            return _answer({"errors": [_error("Who you are can't be checked now.", "UNAVAILABLE")]}, 503, media_type)
        except Exception as error:  # noqa: BLE001  (whoever asks is told so in JSON)
            return _answer({"errors": [_fault(error)]}, 503 if is_unavailable(error) else 500, media_type)
        response = _answer(body, _status(body, media_type), media_type)
        write_session_cookie(request, context.reply, response.headers)
        return response

    async def _execute(self, operation: dict[str, Any], context: Context) -> dict[str, Any]:
        result = await self.api.executor.execute(
            operation["query"], operation.get("variables"), operation.get("operationName") or None, context
        )
        return await self.present(result, context)

    @staticmethod
    async def present(result: ExecutionResult, context: Context) -> dict[str, Any]:
        """A result as the client sees it. What it was denied is recorded."""
        for field, denial in _denials(result.errors or ()).items():
            await record_denial(context.caller, denial, field)
        errors = [_present(error) for error in result.errors or ()]
        failed_before_execution = result.data is None and all("path" not in error for error in errors)
        body = {} if failed_before_execution else {"data": result.data}
        return {**body, "errors": errors} if errors else body


async def _read_operation(request: Request) -> dict[str, Any]:
    if request.method != "POST":
        raise BadRequest(405, "Send the operation by POST.", {"Allow": "POST"})
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != _JSON:
        raise BadRequest(415, "Send the operation as JSON, with Content-Type: application/json.")
    try:
        operation = orjson.loads(await _read_body(request))
    except orjson.JSONDecodeError:
        raise BadRequest(400, "The body is not JSON.") from None
    _check_operation(operation)
    return dict(operation)


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAXIMUM_BODY:
            raise BadRequest(413, f"The body is larger than {MAXIMUM_BODY} bytes.")
    return bytes(body)


def _check_operation(operation: Any) -> None:
    if not isinstance(operation, dict):
        raise BadRequest(400, "The body must be a JSON object with a query.")
    if not isinstance(operation.get("query"), str) or not operation["query"].strip():
        raise BadRequest(400, "query must be a GraphQL document.")
    if len(operation["query"]) > MAXIMUM_DOCUMENT:
        raise BadRequest(413, f"The document is longer than {MAXIMUM_DOCUMENT} characters: send values as variables.")
    for name, kind in (("variables", dict), ("operationName", str), ("extensions", dict)):
        if not isinstance(operation.get(name), kind | None):
            raise BadRequest(400, f"{name} must be {'an object' if kind is dict else 'a string'}, or left out.")


def _status(body: dict[str, Any], media_type: str) -> int:
    """A client that knows the newer media type reads the status; older ones expect 200 for whatever GraphQL says, but
    for what any of them would try again."""
    codes = {error["extensions"]["code"] for error in body.get("errors", ())}
    if "UNAVAILABLE" in codes and body.get("data") is None:
        return 503
    return 400 if "data" not in body and media_type == _GRAPHQL_JSON else 200


def _denials(errors: Iterable[GraphQLError]) -> dict[str, Forbidden]:
    """What was denied, by the field's own name and not the alias that the client gave it; each field once, however
    often one operation asked for it."""
    return {
        node.name.value: error.original_error
        for error in errors
        for node in error.nodes or ()
        if isinstance(error.original_error, Forbidden) and isinstance(node, FieldNode)
    }


def _present(error: GraphQLError) -> dict[str, Any]:
    """An error as the client sees it: nothing of what it sent, and of what was not foreseen only an id."""
    code = top_level_code(error)
    if code is not None:
        presented = _error(error.message, code)
    elif error.path is not None and error.original_error is not None:
        presented = _fault(error.original_error)
    else:
        presented = _error(without_values(error.message), _request_code(error))
    if seconds := retry_after(error):
        presented["extensions"]["retryAfterSeconds"] = seconds
    if error.locations:
        presented["locations"] = [location.formatted for location in error.locations]
    return {**presented, "path": error.path} if error.path else presented


def _request_code(error: GraphQLError) -> str:
    if isinstance(error, GraphQLSyntaxError):
        return "GRAPHQL_PARSE_FAILED"
    return "BAD_USER_INPUT" if error.message.startswith(_BAD_INPUT) else "GRAPHQL_VALIDATION_FAILED"


def _fault(error: BaseException) -> dict[str, Any]:
    error_id = log_fault(error)
    if is_unavailable(error):
        return _error("The database can't be asked now. Try again in a moment.", "UNAVAILABLE")
    return _error(f"Something went wrong here. The log has it under {error_id}.", "INTERNAL_SERVER_ERROR")


def _error(message: str, code: str) -> dict[str, Any]:
    return {"message": message, "extensions": {"code": code}}


def _answer(body: dict[str, Any], status: int, media_type: str, headers: Mapping[str, str] | None = None) -> Response:
    # Answers can hold secrets: nobody on the way keeps them.
    headers = {"Cache-Control": "no-store", **_retry_after(body), **(headers or {})}
    return Response(orjson.dumps(body, default=_as_text), status, headers, f"{media_type}; charset=utf-8")


def _retry_after(body: dict[str, Any]) -> dict[str, str]:
    waits = [error["extensions"].get("retryAfterSeconds", 0) for error in body.get("errors", ())]
    return {"Retry-After": str(max(waits))} if any(waits) else {}


def _as_text(value: object) -> str:
    if isinstance(value, UUID | str):
        return str(value)
    raise TypeError(type(value).__name__)
