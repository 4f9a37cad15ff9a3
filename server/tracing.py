"""Traces by OpenTelemetry, where the standard variables say whom they are sent to (OTEL_EXPORTER_OTLP_ENDPOINT and the
like). Where they do not, nothing of it is imported, and nothing here costs anything.

A span for each HTTP request but those answered from memory and those there is no room for, for each check that asks
the database, and for each statement. Attributes are those of the semantic conventions of which there are few values:
routes, kinds, codes. Neither documents and variables nor statements, headers, query strings, addresses and names are
among them.
"""

import os
from collections.abc import Mapping, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from server.spans import Tracing

SPAN = "sealkey.span"
"""Where a request's `state` has its span, if it has one."""
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")


class TracingUnusable(Exception):
    """Traces are asked for and can't be made; the message says why."""


def tracing_asked_for(variables: Mapping[str, str] = os.environ) -> "Tracing | None":
    """What makes spans, where the standard variables ask for them. Raises TracingUnusable."""
    is_off = variables.get("OTEL_SDK_DISABLED", "").lower() == "true" or variables.get("OTEL_TRACES_EXPORTER") == "none"
    if is_off or not any(variables.get(name) for name in _ENDPOINTS):
        return None
    if wrong := next((name for name in _PROTOCOLS if variables.get(name, "http/protobuf") != "http/protobuf"), None):
        raise TracingUnusable(f"{wrong} must be http/protobuf, or left out.")
    try:
        tracing: Tracing = import_module("server.spans").Tracing()
    except ModuleNotFoundError:
        message = "OTEL_* variables ask for traces, which takes more packages: pip install 'sealkey[opentelemetry]'."
        raise TracingUnusable(message) from None
    return tracing


class Traced:
    """Gives each request and WebSocket a span. An ASGI application around another."""

    def __init__(self, app: ASGIApp, tracing: "Tracing") -> None:
        self._app, self._tracing = app, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        with self._tracing.request(scope) as span:

            async def send_noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await self._app(scope, receive, send_noting)


def note(scope: MutableMapping[str, Any], attributes: dict[str, str]) -> None:
    """Something more of a request, where it has a span."""
    span = scope.get("state", {}).get(SPAN)
    if span is not None:
        span.set_attributes(attributes)


def check_span(tracing: "Tracing | None") -> AbstractContextManager[Any]:
    """For a check that asks the database."""
    return tracing.inner("check credential", {}) if tracing is not None else nullcontext()
