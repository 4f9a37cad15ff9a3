"""GET /audit/export: the audit log as a file of any size, to whom `auditEvents` shows it."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from auth.openid import OpenIdUnavailable
from auth.policy import Denied, Forbidden
from resolvers.audit_export import ExportFormat, Range, export_audit_log
from resolvers.caller import Caller
from resolvers.denials import record_denial
from resolvers.errors import NotFound
from schema.scalars import parse_instant
from server.graphql_stream import ABORT
from server.identification import identify
from server.logs import log
from server.problem import NO_STORE, problem

AT_ONCE = 3
"""Exports of one user's that a process makes at once: each lasts as long as the client takes."""
_PARAMETERS = ("format", "accountId", "after", "before")


class _BadRequest(Exception):
    """A parameter can't be used; the message says which, and what to do."""


def routes() -> list[BaseRoute]:
    # Every method, so that a wrong one is told so in the same form; HEAD is one, since it would be recorded as well.
    return [Route("/audit/export", export, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])]


async def export(request: Request) -> Response:
    """Streams it. What goes wrong before the first byte is a problem document; what goes wrong later breaks the
    connection off, so that half a log does not pass for a whole one; so does it where who asked may read no more."""
    if request.method != "GET":
        return problem(405, "BAD_REQUEST", "The audit log is exported by GET.", {"Allow": "GET"})
    try:
        wanted = _wanted(request)
        caller = await identify(request)
    except _BadRequest as error:
        return problem(400, "BAD_REQUEST", str(error))
    except OpenIdUnavailable as unavailable:
        log.error("openid_unavailable", reason=str(unavailable))
        return problem(503, "UNAVAILABLE", "Who you are can't be checked now.", {"Retry-After": "5"})
    running, whose = request.app.state.exports, caller.principal.user_id if caller.principal else None
    if running[whose] >= AT_ONCE:
        told = f"{AT_ONCE} exports of yours are running here. Try again when one of them has ended."
        return problem(503, "UNAVAILABLE", told, {"Retry-After": "10"})
    running[whose] += 1
    response: Response | None = None
    try:
        response = await _begin(request, caller, wanted, lambda: running.subtract([whose]))
    finally:
        if not isinstance(response, _Export):
            running.subtract([whose])
    return response


async def _begin(request: Request, caller: Caller, wanted: dict[str, Any], at_end: Callable[[], None]) -> Response:
    try:
        made = await export_audit_log(caller, **wanted)
        # Before anything is answered: what can't be read at all is an error, and no empty file.
        _, first = await anext(made.chunks, (0, b""))
    except Denied as denied:
        return await _denied(caller, denied)
    except NotFound as missing:
        return problem(404, "NOT_FOUND", str(missing))
    whole = _until_denied(first, made.chunks, request.scope["state"])
    return _stream(made.name, wanted["format_"], whole, at_end)


class _Export(StreamingResponse):
    at_end: Callable[[], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.at_end()


def _stream(name: str, format_: ExportFormat, chunks: AsyncIterator[bytes], at_end: Callable[[], None]) -> Response:
    headers = {
        **NO_STORE,
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Type": format_.media_type,
        "X-Content-Type-Options": "nosniff",
    }
    response = _Export(chunks, headers=headers)
    response.at_end = at_end
    return response


async def _until_denied(
    first: bytes, rest: AsyncIterator[tuple[int, bytes]], connection: Mapping[str, Any]
) -> AsyncIterator[bytes]:
    yield first
    try:
        async for _, chunk in rest:
            if chunk:
                yield chunk
    except Denied as denied:
        log.info("export_broken_off", reason=str(denied))
        connection[ABORT]()


async def _denied(caller: Caller, denied: Denied) -> Response:
    if isinstance(denied, Forbidden):
        await record_denial(caller, denied, "the export of the audit log")
        return problem(403, "FORBIDDEN", str(denied))
    told = caller.why_nobody or str(denied)
    return problem(401, "UNAUTHENTICATED", told, {"WWW-Authenticate": 'Bearer realm="Sealkey"'})


def _wanted(request: Request) -> dict[str, Any]:
    given = dict(request.query_params)
    if len(given) != len(request.query_params.multi_items()):
        raise _BadRequest("A parameter is given more than once.")
    if not given.keys() <= set(_PARAMETERS):
        raise _BadRequest(f"The parameters are {', '.join(_PARAMETERS)}.")
    if given.get("format") not in set(ExportFormat):
        raise _BadRequest("format must be csv or jsonl.")
    range_ = Range(_instant(given, "after"), _instant(given, "before"))
    if range_.is_empty:
        raise _BadRequest("after must be earlier than before: else there is nothing between them.")
    return {
        "format_": ExportFormat(given["format"]),
        "account_id": given.get("accountId"),
        "range_": range_,
    }


def _instant(given: dict[str, str], name: str) -> Any:
    try:
        return parse_instant(given[name]) if name in given else None
    except ValueError as error:
        raise _BadRequest(f"{name}: {error}") from None
