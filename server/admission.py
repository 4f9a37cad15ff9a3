"""Which requests pass the gate, and how the others are told to come again: as the endpoint that they asked would.

An operation's place is taken once its request is there as a whole, so that who sends slowly keeps nobody else waiting,
and left once its answer is, or streams.
"""

from collections.abc import Iterable
from contextlib import suppress

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schema.errors import Code
from server.gate import RETRY_AFTER, Gate, Overloaded, Place, Share
from server.graphql_request import JSON, MAXIMUM_BODY, BadRequest, media_type_for

PLACE = "sealkey.place"
"""Where a request's `state` has the place that was taken for it, if that was before the application was asked."""
GRAPHQL, VERIFY = "/graphql", "/verify"
_GATED = frozenset({GRAPHQL, "/v2/login", "/v2/login/", "/oauth/token", "/oauth/introspect", "/oauth/revoke"})
_EXPORTS = "/audit/"
_TEXT = str(Overloaded())
_GRAPHQL_BODY = orjson.dumps(
    {"errors": [{"message": _TEXT, "extensions": {"code": Code.UNAVAILABLE, "retryAfterSeconds": RETRY_AFTER}}]}
)
_PROBLEM_BODY = orjson.dumps(
    {"type": "about:blank", "title": "Service Unavailable", "status": 503, "detail": _TEXT, "code": "UNAVAILABLE"}
)
_OAUTH_BODY = orjson.dumps({"error": "temporarily_unavailable", "error_description": _TEXT})
_COMMON = [(b"retry-after", b"%d" % RETRY_AFTER), (b"cache-control", b"no-store")]

Headers = Iterable[tuple[bytes, bytes]]


def is_gated(path: str) -> bool:
    """Whether what is asked for there takes work. /verify passes the gate by itself, where nothing is remembered."""
    return path in _GATED or path.startswith(_EXPORTS)


def refusal(path: str, headers: Headers) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body of the answer, with status 503, to whom there is no place for."""
    if path == GRAPHQL:
        media_type, body = _graphql_type(headers), _GRAPHQL_BODY
    elif path.startswith("/v2/"):
        media_type, body = b"application/problem+json", _PROBLEM_BODY
    elif path.startswith("/oauth/"):
        media_type, body = b"application/json", _OAUTH_BODY
    elif path.startswith(VERIFY):
        decision = [(b"x-sealkey-decision", b"DENY"), (b"x-sealkey-code", b"UNAVAILABLE"), (b"content-length", b"0")]
        return [*_COMMON, *decision], b""
    else:
        media_type, body = b"text/plain; charset=utf-8", f"{_TEXT}\n".encode()
    return [*_COMMON, (b"content-type", media_type), (b"content-length", b"%d" % len(body))], body


def _graphql_type(headers: Headers) -> bytes:
    accept = b", ".join(value for name, value in headers if name == b"accept")
    with suppress(BadRequest):
        return f"{media_type_for(accept.decode('latin-1'))}; charset=utf-8".encode()
    return JSON.encode()


class Admission:
    """Lets requests through as there is room for them. An ASGI application around another; the gate is at
    `app.state.gate`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_gated(scope["path"]):
            await self._app(scope, receive, send)
            return
        gate: Gate = scope["app"].state.gate
        place: Place | None = scope.get("state", {}).pop(PLACE, None)
        share = gate.share(is_large=True)
        try:
            if place is None:
                receive = await _received(receive, share)
                place = gate.take()
            await place.turn()
            share.leave()
        except Overloaded:
            await _refuse(scope, send)
        else:
            await self._app(scope, receive, _leaving(place, send))
        finally:
            share.leave()
            if place is not None:
                place.leave()


def _leaving(place: Place, send: Send) -> Send:
    """Once the answer is there the work is done: to take it may last as long as the client likes."""

    async def leave_and_send(message: Message) -> None:
        if message["type"] == "http.response.start" or message.get("more_body"):
            place.leave()
        await send(message)

    return leave_and_send


async def _received(receive: Receive, share: Share) -> Receive:
    """The request's body as one message, up to more than anybody takes; what is beyond that as it comes. Raises
    Overloaded, and ClientDisconnect."""
    message, body = await receive(), bytearray()
    while True:
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        share.add(len(message.get("body", b"")))
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > MAXIMUM_BODY:
            message = {**message, "body": bytes(body)}
            break
        message = await receive()
    first: list[Message] = [message]

    async def again() -> Message:
        return first.pop() if first else await receive()

    return again


async def _refuse(scope: Scope, send: Send) -> None:
    headers, body = refusal(scope["path"], scope["headers"])
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
