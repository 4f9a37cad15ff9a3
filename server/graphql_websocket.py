"""Subscriptions over a WebSocket, by the protocol graphql-transport-ws.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import asyncio
from contextlib import suppress
from typing import Any, NamedTuple

import orjson
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from auth.crypto.secret import Secret
from resolvers.wording import counted
from schema.api import Api
from schema.errors import Code
from server.gate import Gate, Overloaded
from server.graphql_answer import as_text, fault, told
from server.graphql_caller import CallerUnknown, context_of
from server.graphql_request import BadRequest, operation_of
from server.graphql_stream import WRITE_SECONDS, Stream, is_last, open_stream
from server.identification import bearer_token
from server.settings import Settings

PROTOCOL = "graphql-transport-ws"
_REASON_BYTES = 123  # RFC 6455, 5.5
_TRY_AGAIN_LATER = 1013


class _Close(Exception):
    """The connection is to be closed, with a code of the protocol's and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason.encode()[:_REASON_BYTES].decode(errors="ignore")


class GraphQLWebSocket:
    """Answers subscriptions, several at once. An ASGI application."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        if PROTOCOL not in scope["subprotocols"]:
            text = f"Offer the subprotocol {PROTOCOL}: there is no other here.\n"
            await socket.send_denial_response(PlainTextResponse(text, 400))
            return
        await socket.accept(PROTOCOL)
        await _Connection(self._api, socket).serve()


class _Operation(NamedTuple):
    task: asyncio.Task[None]
    stream: Stream

    async def end(self) -> None:
        self.task.cancel()
        await self.stream.close()  # which a task that never ran does not


class _Connection:
    def __init__(self, api: Api, socket: WebSocket) -> None:
        self._api, self._socket = api, socket
        self._settings: Settings = socket.app.state.settings
        self._gate: Gate = socket.app.state.gate
        self._token: Secret | None = None
        self._operations: dict[str, _Operation] = {}
        self._closing: asyncio.Future[_Close] = asyncio.get_running_loop().create_future()

    async def serve(self) -> None:
        """Until either side closes the connection."""
        reading = asyncio.create_task(self._read())
        try:
            either: set[asyncio.Future[Any]] = {reading, self._closing}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reading.cancel()
            operations = list(self._operations.values())
            for operation in operations:
                await operation.end()
            await asyncio.gather(reading, *(each.task for each in operations), return_exceptions=True)
        if self._closing.done():
            close = self._closing.result()
            with suppress(_Close):
                await self._write(self._socket.close(close.code, close.reason))

    async def _read(self) -> None:
        try:
            await self._begin()
            while True:
                await self._take(await self._receive())
        except _Close as close:
            self._close(close)
        except WebSocketDisconnect:
            pass
        except Overloaded as overloaded:
            self._close(_Close(_TRY_AGAIN_LATER, str(overloaded)))
        except CallerUnknown as unknown:
            self._close(_Close(_TRY_AGAIN_LATER if unknown.may_be_tried_again else 1011, str(unknown)))
        except Exception as error:  # noqa: BLE001  (whoever asks is told so)
            self._close(_Close(1011, fault(error)["message"]))

    async def _begin(self) -> None:
        """Waits for connection_init, and finds out who sends it."""
        try:
            async with asyncio.timeout(self._settings.subscription_init_seconds):
                while (message := await self._receive())["type"] != "connection_init":
                    if message["type"] == "subscribe":
                        raise _Close(4401, "Unauthorized")
                    await self._answer_ping(message)
        except TimeoutError:
            raise _Close(4408, "Connection initialisation timeout") from None
        payload = message.get("payload") or {}
        authorization = payload.get("Authorization", payload.get("authorization"))
        if isinstance(authorization, str):
            self._token = bearer_token(authorization)
        async with self._gate.passed():
            context = await context_of(self._socket, self._token)
        if context.caller.principal is None:
            raise _Close(4403, "Forbidden: sign in, and send the token as Authorization in connection_init")
        await self._send({"type": "connection_ack"})

    async def _take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "subscribe":
                await self._subscribe(message)
            case "complete":
                operation = self._operations.pop(str(message.get("id")), None)
                if operation is not None:
                    await operation.end()
            case "connection_init":
                raise _Close(4429, "Too many initialisation requests")
            case _:
                await self._answer_ping(message)

    async def _answer_ping(self, message: dict[str, Any]) -> None:
        if message["type"] == "ping":
            payload = message.get("payload")
            await self._send({"type": "pong", **({"payload": payload} if payload is not None else {})})
        elif message["type"] != "pong":
            raise _Close(4400, "There is no such type of message")

    async def _subscribe(self, message: dict[str, Any]) -> None:
        id_, operation = message.get("id"), message.get("payload")
        if not isinstance(id_, str) or not id_:
            raise _Close(4400, "id must be a string")
        try:
            asked = operation_of(operation)
        except BadRequest as error:
            raise _Close(4400, str(error)) from None
        if id_ in self._operations:
            raise _Close(4409, f"Subscriber for {id_} already exists")
        if len(self._operations) >= self._settings.subscriptions_per_connection:
            most = self._settings.subscriptions_per_connection
            text = f"This connection has {counted(most, 'subscription')} already. End one first."
            await self._send({"id": id_, "type": "error", "payload": [told(text, Code.TOO_MANY_SUBSCRIPTIONS)]})
            return
        try:
            async with self._gate.passed():
                # Whoever it was may be gone since, or be somebody else here.
                context = await context_of(self._socket, self._token)
                stream = await open_stream(self._api, asked, context)
        except Overloaded as overloaded:
            payload = [told(str(overloaded), Code.UNAVAILABLE)]
            await self._send({"id": id_, "type": "error", "payload": payload})
            return
        self._operations[id_] = _Operation(asyncio.create_task(self._answer(id_, stream)), stream)

    async def _answer(self, id_: str, stream: Stream) -> None:
        try:
            body = await stream.next()
            while body is not None and not is_last(body):
                await self._send({"id": id_, "type": "next", "payload": body})
                body = await stream.next()
            self._operations.pop(id_, None)
            if body is not None:
                await self._send({"id": id_, "type": "error", "payload": body["errors"]})
                if body["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED":
                    self._close(_Close(4403, "Forbidden: the session has ended"))
        except _Close as close:
            self._close(close)
        finally:
            await stream.close()

    async def _receive(self) -> dict[str, Any]:
        event = await self._socket.receive()
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event.get("code", 1005))
        try:
            message = orjson.loads(event.get("text") or b"")
        except orjson.JSONDecodeError:
            raise _Close(4400, "A message must be JSON, in a text frame") from None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise _Close(4400, "A message must be an object with a type")
        if not isinstance(message.get("payload"), dict | None):
            raise _Close(4400, "payload must be an object, or left out")
        return message

    async def _send(self, message: dict[str, Any]) -> None:
        await self._write(self._socket.send_text(orjson.dumps(message, default=as_text).decode()))

    async def _write(self, writing: Any) -> None:
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await writing
        except TimeoutError:
            raise _Close(1008, "Too slow") from None
        except (WebSocketDisconnect, RuntimeError):  # it is closed, or being closed
            raise _Close(1001, "") from None

    def _close(self, close: _Close) -> None:
        if not self._closing.done():
            self._closing.set_result(close)
