"""/metrics, for Prometheus: what this process has counted, and the other workers of the same server with it.

Counting is plain numbers where things happen; here they get names when somebody asks. Labels are codes, routes and
kinds of which there are few: none is a secret, a key, an address or anybody's name, and none is chosen by a client.
"""

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from hmac import compare_digest
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from auth.passwords import hashing_now
from models import database
from resolvers.caller import Deployment
from server.gate import Gate
from server.health import IMPAIRMENTS, REASONS
from server.housekeeping import Housekeeping
from server.logs import faults
from server.request_counts import BUCKETS, Durations, RequestCounts
from server.settings import Settings
from server.workers import Number, Workers

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_OFF = "There are no metrics here: set SEALKEY_METRICS_TOKEN, and send it as Authorization: Bearer.\n"


@dataclass(frozen=True)
class _Described:
    """kind: counter, histogram, or how the numbers of several workers become one: sum, max, min."""

    kind: str
    labels: tuple[str, ...]
    about: str


METRICS: Mapping[str, _Described] = {
    "sealkey_build_info": _Described("max", ("version", "python"), "1, with what is running."),
    "sealkey_workers": _Described("sum", (), "Worker processes whose numbers these are."),
    "sealkey_process_cpu_seconds": _Described("counter", (), "Processor time, of all workers together."),
    "sealkey_process_resident_memory_bytes": _Described("sum", (), "Memory, of all workers together."),
    "sealkey_http_requests": _Described(
        "counter", ("route", "method", "status"), "Requests answered, but for /verify and what there was no room for."
    ),
    "sealkey_http_request_duration_seconds": _Described(
        "histogram", ("route",), "How long they took; for /verify, those that had to ask the database."
    ),
    "sealkey_graphql_operations": _Described(
        "counter", ("kind", "code"), "GraphQL operations, by extensions.code of the first error, or OK."
    ),
    "sealkey_graphql_operation_duration_seconds": _Described("histogram", ("kind",), "How long they took."),
    "sealkey_websockets": _Described("sum", (), "WebSockets that are open."),
    "sealkey_subscriptions": _Described("sum", (), "Subscriptions that are being served."),
    "sealkey_checks": _Described(
        "counter", ("code", "remembered"), "Decisions on credentials, and whether what they took was remembered."
    ),
    "sealkey_verify_failures": _Described("counter", ("code",), "/verify without a decision on a credential."),
    "sealkey_check_memory_credentials": _Described("sum", (), "Credentials that are remembered."),
    "sealkey_check_memory_lookups": _Described("counter", ("result",), "Looked for in memory: hit or miss."),
    "sealkey_epoch_age_seconds": _Described(
        "max", (), "Since the database was last asked for changes; what is remembered is believed for 0.9 seconds."
    ),
    "sealkey_logins": _Described("counter", (), "Access tokens issued."),
    "sealkey_throttled": _Described("counter", ("kind",), "Tries that were not made, after too many in vain."),
    "sealkey_events": _Described(
        "counter",
        ("type",),
        "Events recorded in the audit log, some before it was certain that their change stands.",
    ),
    "sealkey_faults": _Described(
        "counter",
        ("kind", "reason"),
        "Errors that are in the log: the database could not be asked, or was not foreseen.",
    ),
    "sealkey_operations_at_work": _Described("sum", ("gate",), "Operations that are worked on."),
    "sealkey_operations_waiting": _Described("sum", ("gate",), "Operations that wait for their turn."),
    "sealkey_operations_refused": _Described(
        "counter", ("gate", "reason"), "There was no room (full), or it took too long until there was (late)."
    ),
    "sealkey_passwords_hashing": _Described("sum", (), "Passwords that are hashed or wait to be."),
    "sealkey_database_connections": _Described(
        "sum", ("state",), "To PostgreSQL: at most, open, in_use; and waiting: who waits for one."
    ),
    "sealkey_usage_unwritten": _Described("sum", (), "Credentials and days whose checks are still to be written down."),
    "sealkey_subscription_events_behind": _Described(
        "max", (), "Events in the audit log that who watches is still to be told of."
    ),
    "sealkey_webhook_lag_seconds": _Described("max", (), "How long the message that has waited the longest is due."),
    "sealkey_housekeeping_age_seconds": _Described("max", ("round",), "Since this was last done without a fault."),
    "sealkey_server_keys_readable": _Described(
        "min", (), "Whether the key file can be read, and has all keys that the database knows: 1 or 0."
    ),
    "sealkey_stopping": _Described("sum", (), "Workers that are about to stop."),
    "sealkey_not_ready": _Described("sum", ("reason",), "Workers that /readyz was last answered so by."),
    "sealkey_impaired": _Described("sum", ("reason",), "Those that said so beside ok, or beside what is worse."),
}


async def metrics(request: Request) -> Response:
    """For who shows the token of the settings."""
    settings: Settings = request.app.state.settings
    token = settings.metrics_token.get_secret_value()
    if not token:
        return PlainTextResponse(_OFF, 404)
    shown = request.headers.get("authorization", "")
    if not compare_digest(shown.encode(), f"Bearer {token}".encode()):
        return PlainTextResponse("Not for you.\n", 401, {"WWW-Authenticate": 'Bearer realm="metrics"'})
    workers: Workers = request.app.state.workers
    body = as_text(workers.together(numbers_of(request.app.state)))
    return Response(body, headers={"Content-Type": _CONTENT_TYPE, "Cache-Control": "no-store"})


def publish(state: Any) -> None:
    """Tells this process's numbers to the other workers, if there are any."""
    workers: Workers = state.workers
    if workers.are_several:
        workers.publish(numbers_of(state))


def numbers_of(state: Any) -> list[Number]:
    """This process's, as `(name, labels, value)`; of a histogram the value is its counts and, last, its sum."""
    return [*_of_process(), *_of_requests(state.counts), *_of_deployment(state.deployment), *_of_server(state)]


def _of_process() -> Iterator[Number]:
    times = os.times()
    yield "sealkey_build_info", (_version(), platform.python_version()), 1
    yield "sealkey_workers", (), 1
    yield "sealkey_process_cpu_seconds", (), times.user + times.system
    yield "sealkey_process_resident_memory_bytes", (), _resident()


def _of_requests(counts: RequestCounts) -> Iterator[Number]:
    for (route, method, status), number in counts.requests.items():
        yield "sealkey_http_requests", (route, method, str(status)), number
    for route, durations in counts.durations.items():
        yield "sealkey_http_request_duration_seconds", (route,), _numbers(durations)
    for labels, number in counts.operations.items():
        yield "sealkey_graphql_operations", labels, number
    for kind, durations in counts.operation_durations.items():
        yield "sealkey_graphql_operation_duration_seconds", (kind,), _numbers(durations)
    for code, number in counts.verify_failures.items():
        yield "sealkey_verify_failures", (code,), number
    yield "sealkey_websockets", (), counts.websockets


def _of_deployment(deployment: Deployment) -> Iterator[Number]:
    memory, counts = deployment.memory, deployment.counts
    for (code, from_memory), number in counts.checks.items():
        yield "sealkey_checks", (str(code), "yes" if from_memory else "no"), number
    yield "sealkey_check_memory_credentials", (), len(memory)
    yield "sealkey_check_memory_lookups", ("hit",), memory.hits
    yield "sealkey_check_memory_lookups", ("miss",), memory.misses
    yield "sealkey_epoch_age_seconds", (), memory.unconfirmed_seconds
    yield "sealkey_logins", (), counts.logins
    for kind, number in counts.throttled.items():
        yield "sealkey_throttled", (kind,), number
    for type_, number in counts.events.items():
        yield "sealkey_events", (type_,), number
    yield "sealkey_usage_unwritten", (), deployment.usage.unwritten
    yield "sealkey_subscriptions", (), len(deployment.watches)
    yield "sealkey_subscription_events_behind", (), deployment.watches.behind


def _of_server(state: Any) -> Iterator[Number]:
    house: Housekeeping = state.housekeeping
    for name, gate in {"operations": state.gate, "checks": state.checks_gate}.items():
        yield from _of_gate(name, gate)
    for labels, number in faults.items():
        yield "sealkey_faults", labels, number
    if connections := database.connections():
        for name, number in connections._asdict().items():
            yield "sealkey_database_connections", (name,), number
    yield "sealkey_passwords_hashing", (), hashing_now()
    yield "sealkey_webhook_lag_seconds", (), house.webhook_lag.total_seconds()
    for name, seconds in house.ages():
        yield "sealkey_housekeeping_age_seconds", (name,), seconds
    yield "sealkey_server_keys_readable", (), int(house.keys_are_readable)
    yield "sealkey_stopping", (), int(state.stopping.is_begun)
    for reason in REASONS:
        yield "sealkey_not_ready", (reason,), int(reason in state.not_ready)
    for reason in IMPAIRMENTS:
        yield "sealkey_impaired", (reason,), int(reason in state.impaired)


def _of_gate(name: str, gate: Gate) -> Iterator[Number]:
    yield "sealkey_operations_at_work", (name,), gate.at_work
    yield "sealkey_operations_waiting", (name,), gate.waiting
    yield "sealkey_operations_refused", (name, "full"), gate.full
    yield "sealkey_operations_refused", (name, "late"), gate.late


def merged(name: str, one: Any, other: Any) -> Any:
    """What two workers' numbers are together."""
    kind = METRICS[name].kind
    if kind == "histogram":
        return [ours + theirs for ours, theirs in zip(one, other, strict=True)]
    return {"max": max, "min": min}[kind](one, other) if kind in {"max", "min"} else one + other


def is_kept(name: str) -> bool:
    """Whether a number still counts when the process that had it has ended."""
    return METRICS[name].kind in {"counter", "histogram"}


def as_text(numbers: list[Number]) -> bytes:
    """In Prometheus' own format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(numbers))
    return generate_latest(registry)


class _Collected:
    def __init__(self, numbers: list[Number]) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        for name, described in METRICS.items():
            family = _FAMILIES.get(described.kind, GaugeMetricFamily)(name, described.about, labels=described.labels)
            for _, labels, value in (number for number in self._numbers if number[0] == name):
                if isinstance(family, HistogramMetricFamily):
                    family.add_metric(labels, _buckets(value), sum_value=value[-1])
                else:
                    family.add_metric(labels, value)
            yield family


_FAMILIES: Mapping[str, Any] = {"counter": CounterMetricFamily, "histogram": HistogramMetricFamily}


def _numbers(durations: Durations) -> list[float]:
    return [*durations.counts, durations.seconds]


def _buckets(value: list[float]) -> list[tuple[str, float]]:
    return list(zip([*map(str, BUCKETS), "+Inf"], accumulate(value[:-1]), strict=True))


@cache
def _version() -> str:
    return version("sealkey")


def _resident() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # there is no such file but on Linux
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
