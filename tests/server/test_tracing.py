"""Traces, as a collector of somebody else's would take them: OTLP over HTTP, in Protobuf."""

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from server.tracing import TracingUnusable, tracing_asked_for
from tests.support.command import Serving
from tests.support.deployed import Deployed

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
MARK = "m4rk"


class Collector(ThreadingHTTPServer):
    """Takes spans, and keeps them with the names and attributes that they came with."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[dict[str, Any]] = []
        self.resources: list[dict[str, Any]] = []
        self.sent = b""

    @property
    def variables(self) -> dict[str, str]:
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.server_port}"}


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        self.server.sent += body
        for of in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.server.resources.append(_attributes(of.resource))
            self.server.spans += [_span(span) for scope in of.scope_spans for span in scope.spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def _attributes(of: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in of.attributes}


def _span(span: Any) -> dict[str, Any]:
    ids = {name: getattr(span, name).hex() for name in ("trace_id", "span_id", "parent_span_id")}
    return {"name": span.name, **ids, "attributes": _attributes(span), "events": len(span.events)}


@contextmanager
def collecting() -> Iterator[Collector]:
    with Collector() as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        yield collector
        collector.shutdown()


def test_what_is_done_is_traced_without_what_it_is_about(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path / 'sealkey.sqlite3'}"
    with collecting() as collector:
        with Serving(
            tmp_path, variables=collector.variables, database_url=url, trusted_proxies='["127.0.0.0/8"]'
        ) as server:
            server.wait()
            deployed = Deployed(tmp_path, url, [server])
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            document = f'query {MARK} {{ {MARK}: services {{ nodes {{ name }} }} node(id: "{MARK}") {{ id }} }}'
            bearer = {**headers, "Authorization": f"Bearer {deployed.operator_token}"}
            httpx.post(f"{server.url}/graphql?{MARK}", json={"query": document}, headers=bearer)
            token = deployed.login(server)
            checked = {"Authorization": f"Bearer {token}", "X-Sealkey-Gateway-Token": deployed.gateway}
            assert httpx.get(f"{server.url}/verify", headers=checked).status_code == 200
            httpx.put(f"{server.url}/{MARK}", headers={"X-M4rk": MARK})
        spans = collector.spans
    assert {"service.name": "sealkey", "service.version": "0.1.0"}.items() <= collector.resources[0].items()

    (asked,) = [span for span in spans if span["trace_id"] == TRACE and span["name"] == "POST /graphql"]
    assert asked["parent_span_id"] == PARENT
    assert asked["attributes"] == {
        "http.request.method": "POST",
        "http.route": "/graphql",
        "url.scheme": "http",
        "http.response.status_code": 200,
        "graphql.operation.type": "query",
    }
    statements = [span for span in spans if span["parent_span_id"] == asked["span_id"]]
    assert {"db.system.name": "sqlite", "db.operation.name": "SELECT"} in [span["attributes"] for span in statements]
    (check,) = [span for span in spans if span["name"] == "check credential"]
    assert check["parent_span_id"] in {span["span_id"] for span in spans if span["name"] == "GET /verify"}
    assert "_OTHER other" in {span["name"] for span in spans}
    assert not any(span["events"] for span in spans)

    logged = [json.loads(line) for line in server.errors.splitlines()]
    (line,) = [line for line in logged if line.get("trace_id") == TRACE]
    assert (line["event"], line["span_id"]) == ("request", asked["span_id"])
    secrets = [MARK, deployed.operator_token, deployed.gateway, *deployed.keys.values(), "alder", "127.0.0.1"]
    assert not [secret for secret in secrets if secret.encode() in collector.sent]


def test_a_trace_is_taken_over_from_trusted_proxies_alone_and_nobody_waits_for_the_collector(tmp_path: Path) -> None:
    nowhere = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    with Serving(tmp_path, variables=nowhere) as server:
        server.wait()
        httpx.get(f"{server.url}/healthz", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    logged = [json.loads(line) for line in server.errors.splitlines()]  # also what the exporter has to say
    (line,) = [line for line in logged if line["event"] == "request"]
    assert (len(line["trace_id"]), line["trace_id"] == TRACE) == (32, False)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_SERVICE_NAME": "sealkey"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_where_nobody_asks_for_traces_there_are_none(variables: dict[str, str]) -> None:
    assert tracing_asked_for(variables) is None


def test_where_nobody_asks_nothing_of_it_is_imported() -> None:
    program = "import sys, server.cli; print(sorted(name for name in sys.modules if name.startswith('opentelemetry')))"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n"


def test_what_can_t_be_had_is_told_when_the_server_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    with pytest.raises(TracingUnusable, match="OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf"):
        tracing_asked_for({**asked, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    monkeypatch.delitem(sys.modules, "server.spans", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(TracingUnusable, match=r"pip install 'sealkey\[opentelemetry\]'"):
        tracing_asked_for(asked)
