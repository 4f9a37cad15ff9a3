"""Subscriptions over server-sent events: the "distinct connections mode" of GraphQL over SSE, a request for each.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
"""

import asyncio
from collections.abc import AsyncIterator

import orjson
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schema.api import Api
from server.graphql_answer import answer, as_text, refusal
from server.graphql_caller import CallerUnknown, context_of
from server.graphql_request import JSON, BadRequest, is_for_events, read_request
from server.graphql_stream import ABORT, WRITE_SECONDS, Stream, is_last, open_stream
from server.settings import Settings

_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),  # nginx passes on each event as it comes
)
_COMPLETE = b"event: complete\ndata:\n\n"
_KEEP_ALIVE = b":\n\n"


class GraphQLEventStreams:
    """Answers subscriptions to who accepts an event stream and no JSON, and leaves all else to another. An ASGI
    application."""

    def __init__(self, api: Api, otherwise: ASGIApp) -> None:
        self._api, self._otherwise = api, otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_for_events(_accept(scope)):
            await self._otherwise(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            asked = await read_request(request)
            stream = await open_stream(self._api, asked, await context_of(request))
        except BadRequest as error:
            await refusal(error, JSON, strict=False)(scope, receive, send)
        except CallerUnknown as unknown:
            await answer({"errors": [unknown.error]}, unknown.status, JSON)(scope, receive, send)
        else:
            settings: Settings = request.app.state.settings
            await _send_events(stream, settings.subscription_keep_alive_seconds, scope, receive, send)


def _accept(scope: Scope) -> str:
    return next((value for name, value in scope["headers"] if name == b"accept"), b"").decode("latin-1")


async def _send_events(stream: Stream, keep_alive: float, scope: Scope, receive: Receive, send: Send) -> None:
    """Until it ends, who asked is gone, or takes nothing any more."""
    gone = asyncio.create_task(_until_gone(receive))
    events = _events(stream, keep_alive)

    async def write() -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
        async for event in events:
            await send_in_time({"type": "http.response.body", "body": event, "more_body": True})
        await send_in_time({"type": "http.response.body", "body": b""})

    async def send_in_time(message: Message) -> None:
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await send(message)
        except TimeoutError:
            scope["state"][ABORT]()
            await gone

    writing = asyncio.create_task(write())
    try:
        await asyncio.wait({gone, writing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await stream.close()
        for task in (gone, writing):
            task.cancel()
        await asyncio.gather(gone, writing, return_exceptions=True)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _events(stream: Stream, keep_alive: float) -> AsyncIterator[bytes]:
    if stream.has_begun:
        yield _KEEP_ALIVE  # from here on nothing is missed; and what is between sends on the head of the answer
    while True:
        waiting = asyncio.create_task(stream.next())
        try:
            while not (await asyncio.wait({waiting}, timeout=keep_alive))[0]:
                yield _KEEP_ALIVE
            body = waiting.result()
        finally:
            waiting.cancel()
        if body is None:
            return
        yield b"event: next\ndata: " + orjson.dumps(body, default=as_text) + b"\n\n"
        if is_last(body):
            yield _COMPLETE
            return
