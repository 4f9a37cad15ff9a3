"""Structured logs: JSON lines on standard error, each of a request with its id.

What is logged is named here and there one field at a time; bodies, headers, query strings and the texts of unforeseen
errors are not, since they can hold secrets.
"""

import logging
import re
import sys
import traceback
from collections import Counter
from contextlib import suppress
from http import HTTPStatus
from secrets import token_hex
from time import perf_counter
from typing import Any
from uuid import uuid4

import orjson
import structlog
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from models.failures import is_unavailable
from server.client_address import is_proxy
from server.outages import Outages
from server.request_counts import RequestCounts

faults: Counter[tuple[str, str]] = Counter()
"""Errors that were noted, since this process started: those that were not foreseen, and those that mean that the
database can't be asked, with the reason."""

log = structlog.get_logger("sealkey")

_NOBODY_TO_ANSWER = 499  # as nginx logs it
_FRAME = re.compile(r'^  File "(.+)", line (\d+), in (.+)$', re.MULTILINE)
_REQUEST_ID = re.compile(r"[\w.:/+=-]{1,128}", re.ASCII)


def _as_json(event: Any, **_options: Any) -> str:
    return orjson.dumps(event, default=str).decode()


class _Ready:
    """The logger that requests' lines are written by: once configured it is not looked up for each."""

    logger: Any = log


def configure_logs(level: str = "info", form: str = "json") -> None:
    """From `level` on, as JSON for machines or as text for people."""
    text = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=_as_json) if form == "json" else text,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    _Ready.logger = log.bind()
    for name in ("uvicorn", "asyncio", "asyncpg", "opentelemetry", "urllib3", "models"):
        logger = logging.getLogger(name)
        # What is for those who work on uvicorn tells of messages and addresses as they came.
        logger.handlers, logger.propagate = [_LikeOurs(logging.INFO)], False
    for name in ("httpx", "httpcore", "aiosqlite", "websockets"):
        # Addresses that messages are sent to, statements' values and frames as they came may all hold a secret.
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("tortoise.db_client").addFilter(_without_values)


def _without_values(record: logging.LogRecord) -> bool:
    """Of a statement, where somebody has turned its logging on, the text alone: what is looked for, somebody sent."""
    if record.msg == "%s: %s" and isinstance(record.args, tuple):
        record.args = (record.args[0], "…")
    return True


class _LikeOurs(logging.Handler):
    """Has others' lines written as ours are."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            log_fault(error)  # and no message, which may tell its text
        elif (text := record.getMessage()).startswith("Traceback "):
            # As Starlette has uvicorn say why it could not start or stop: without the error's text.
            frames = [f"{file}:{line} {name}" for file, line, name in _FRAME.findall(text)]
            log.log(record.levelno, "fault", frames=frames)
        else:
            log.log(record.levelno, text)


def _warn(event: str, **fields: Any) -> None:
    log.warning(event, **fields)  # as logs are configured by then


outages = Outages(_warn)


def log_fault(error: BaseException) -> str:
    """Logs an error that was not foreseen: its type and the lines it came through, not its text. Answers the id by
    which to find it. One that means that the database can't be asked is told with others like it, and has none."""
    if is_unavailable(error):
        faults["unavailable", outages.note(error)] += 1
        return ""
    error_id = uuid4().hex
    faults["unforeseen", ""] += 1
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    log.error("fault", error_id=error_id, error_type=type(error).__qualname__, frames=frames)
    return error_id


def _fault(error: Exception, error_id: str) -> PlainTextResponse:
    if is_unavailable(error):
        # Nothing can be decided without the database, so nothing is allowed.
        text = "The database can't be asked now. Try again in a moment.\n"
        return PlainTextResponse(text, status_code=503, headers={"Retry-After": "1"})
    return PlainTextResponse(f"Something went wrong here. The log has it under {error_id}.\n", status_code=500)


def request_id_of(scope: Scope) -> str:
    """The X-Request-Id that a trusted proxy has sent, if it is one of ordinary characters; else a new one. Whoever
    else could choose it could make others' lines look like theirs."""
    trusted = scope["app"].state.settings.trusted_proxies
    if trusted and is_proxy(request := HTTPConnection(scope), trusted):
        given = request.headers.get("x-request-id", "")
        if _REQUEST_ID.fullmatch(given):
            return given
    return token_hex(16)


class RequestLog:
    """Gives every request an id, answers it as X-Request-Id, and logs a line when it is done; as it does for every
    WebSocket, which has no answer."""

    def __init__(self, app: ASGIApp, counts: RequestCounts) -> None:
        self.app, self.counts = app, counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            if scope["type"] == "http":
                await self._answer(request_id, scope, receive, send)
            else:
                await self._converse(scope, receive, send)
        finally:
            structlog.contextvars.reset_contextvars(**bound)

    async def _answer(self, request_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        began, status = perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except ClientDisconnect:
            status = status or _NOBODY_TO_ANSWER
        except Exception as error:  # noqa: BLE001  (its text may hold what must not be logged)
            error_id = log_fault(error)
            if not status:
                await _fault(error, error_id)(scope, receive, send_with_id)
        self.counts.answered(scope["path"], scope["method"], status, perf_counter() - began)
        path = _path(scope, status)
        _Ready.logger.info("request", method=scope["method"], path=path, status=status, milliseconds=_since(began))

    async def _converse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A status where no WebSocket came of it, else the code that it was closed with, by whichever side."""
        began, ended = perf_counter(), dict[str, int]()

        async def receive_noting() -> Message:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                ended.setdefault("code", message["code"])
            return message

        async def send_noting(message: Message) -> None:
            if message["type"] == "websocket.close":
                ended["code"] = message.get("code", 1000)
            elif message["type"] == "websocket.http.response.start":
                ended["status"] = message["status"]
            await send(message)

        self.counts.websockets += 1
        try:
            await self.app(scope, receive_noting, send_noting)
        except WebSocketDisconnect as gone:
            ended.setdefault("code", gone.code)
        except Exception as error:  # noqa: BLE001  (as above)
            log_fault(error)
            with suppress(Exception):  # there may be nobody left to tell
                await send_noting({"type": "websocket.close", "code": 1011})
        finally:
            self.counts.websockets -= 1
        path = _path(scope, ended.get("status", 0))
        log.info("websocket", path=path, **ended, milliseconds=_since(began))


def _path(scope: Scope, status: int) -> str | None:
    """What is no path of ours may be anything, a secret too."""
    is_ours = scope["type"] == "http" or "endpoint" in scope  # which the router notes
    return scope["path"] if is_ours and status != HTTPStatus.NOT_FOUND else None


def _since(began: float) -> float:
    return round((perf_counter() - began) * 1000, 1)
