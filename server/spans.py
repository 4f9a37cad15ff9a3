"""Spans by OpenTelemetry's SDK, sent by OTLP over HTTP as the standard variables say. Imported only where they do."""

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from importlib.metadata import version
from typing import Any

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.requests import HTTPConnection
from starlette.types import Scope

from models.database import traceable_clients
from server.client_address import is_proxy
from server.request_counts import method_of, route_of
from server.tracing import SPAN

_STATEMENTS = ("execute_query", "execute_query_dict", "execute_insert", "execute_many")
_KINDS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"})
_SYSTEMS = {"postgres": "postgresql", "sqlite": "sqlite"}
# An error's text may hold what must not be told.
_WITHOUT_ERRORS: Any = {"record_exception": False, "set_status_on_exception": False}


class Tracing:
    """What makes spans in this process."""

    def __init__(self) -> None:
        self._provider = _provider()
        self._tracer = self._provider.get_tracer("sealkey", version("sealkey"))
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def request(self, scope: Scope) -> Iterator[Span]:
        """A span for a request; part of a trusted proxy's trace, if it says so (W3C Trace Context)."""
        request, route = HTTPConnection(scope), route_of(scope["path"])
        method = method_of(scope.get("method", "GET")).replace("other", "_OTHER")
        attributes = {"http.request.method": method, "http.route": route, "url.scheme": scope["scheme"]}
        is_believed = is_proxy(request, request.app.state.settings.trusted_proxies)
        parent = self._propagator.extract(dict(request.headers)) if is_believed else None
        with self._tracer.start_as_current_span(
            f"{method} {route}", parent, SpanKind.SERVER, attributes, **_WITHOUT_ERRORS
        ) as span:
            scope.setdefault("state", {})[SPAN] = span
            of = span.get_span_context()
            ids = {"trace_id": f"{of.trace_id:032x}", "span_id": f"{of.span_id:016x}"}
            with structlog.contextvars.bound_contextvars(**ids):
                yield span

    def inner(self, name: str, attributes: dict[str, str]) -> AbstractContextManager[Span]:
        """A span for a part of that."""
        return self._tracer.start_as_current_span(name, attributes=attributes, **_WITHOUT_ERRORS)

    def trace_statements(self) -> None:
        """From now on a span for each statement, with what kind of one it is, and not the statement."""
        for client in traceable_clients():
            for name in _STATEMENTS:
                execute = getattr(client, name)
                if not hasattr(execute, "is_traced"):
                    setattr(client, name, self._traced(execute))

    def _traced(self, execute: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @wraps(execute)
        async def traced(client: Any, query: str, *arguments: Any, **named: Any) -> Any:
            first = query.split(None, 1)[0].upper()
            kind = first if first in _KINDS else "OTHER"
            system = _SYSTEMS[client.capabilities.dialect]
            with self.inner(kind, {"db.system.name": system, "db.operation.name": kind}):
                return await execute(client, query, *arguments, **named)

        traced.is_traced = True  # type: ignore[attr-defined]
        return traced

    def close(self) -> None:
        """Sends what is still to be sent."""
        self._provider.shutdown()


def _provider() -> TracerProvider:
    is_named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    own = {"service.version": version("sealkey"), **({} if is_named else {SERVICE_NAME: "sealkey"})}
    provider = TracerProvider(resource=Resource.create(own))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
