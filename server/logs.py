"""Structured logs: JSON lines on standard error, each of a request with its id.

What is logged is named here and there one field at a time; bodies, headers, query strings and the texts of unforeseen
errors are not, since they can hold secrets.
"""

import sys
import traceback
from time import perf_counter
from typing import Any
from uuid import uuid4

import orjson
import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.database import is_unavailable

log = structlog.get_logger("sealkey")

_NOBODY_TO_ANSWER = 499  # as nginx logs it


def _as_json(event: Any, **_options: Any) -> str:
    return orjson.dumps(event, default=str).decode()


def configure_logs() -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=_as_json),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def log_fault(error: BaseException) -> str:
    """Logs an error that was not foreseen: its type and the lines it came through, not its text. Answers the id by
    which to find it."""
    error_id = uuid4().hex
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    log.error("fault", error_id=error_id, error_type=type(error).__qualname__, frames=frames)
    return error_id


def _fault(error: Exception, error_id: str) -> PlainTextResponse:
    if is_unavailable(error):
        # Nothing can be decided without the database, so nothing is allowed.
        text = "The database can't be asked now. Try again in a moment.\n"
        return PlainTextResponse(text, status_code=503, headers={"Retry-After": "1"})
    return PlainTextResponse(f"Something went wrong here. The log has it under {error_id}.\n", status_code=500)


class RequestLog:
    """Gives every request an id, answers it as X-Request-Id, and logs a line when it is done."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id, began, status = uuid4().hex, perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_with_id)
            except ClientDisconnect:
                status = status or _NOBODY_TO_ANSWER
            except Exception as error:  # noqa: BLE001  (its text may hold what must not be logged)
                error_id = log_fault(error)
                if not status:
                    await _fault(error, error_id)(scope, receive, send_with_id)
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                milliseconds=round((perf_counter() - began) * 1000, 1),
            )
