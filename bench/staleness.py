"""How long a revoked credential is still let in by another process of the deployment, and what is answered while the
database is away."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

import orjson

from bench.cases import CASES
from bench.connection import Answer, Connection, get, graphql
from bench.data import Data, sqlite_database
from bench.load import Wrk
from bench.progress import say, watched
from bench.report import machine, markdown
from bench.servers import Server, copied_sqlite, filled_postgres, running_sealkey
from tests.postgres import Postgres

PROMISED = 1.0
"""Seconds within which every process must know of a revocation, and after which nothing remembered may be believed."""

_PROCESSES = {"sqlite": 2, "postgres": 3}
_GIVEN_UP = 30.0  # seconds
_PATIENCE = 5.0  # seconds that a gateway waits for an answer
_OUTAGE = 6.0  # seconds
_REVOKE = """mutation ($input: RevokeCredentialInput!) {
  revokeCredential(input: $input) { userErrors { code message } }
}"""


class StalenessFailed(Exception):
    """A process let in what it should not, or could not be measured; the message says which."""


@dataclass(frozen=True)
class Options:
    revocations: int
    databases: Sequence[str]
    notifications: bool
    outage: bool
    connections: int


@dataclass(frozen=True)
class Deployment:
    """Processes that share a database and its keys."""

    data: Data
    servers: Sequence[Server]

    def question(self, number: int) -> bytes:
        headers = {"Authorization": f"Basic {self.data.basic[number]}"}
        return get("/verify", {**headers, "X-Sealkey-Gateway-Token": self.data.gateway_token})


def measure(data: Data, options: Options, runs: Path) -> str:
    """Markdown, with the verdicts."""
    parts = [machine()]
    settings = {} if options.notifications else {"SEALKEY_NOTIFICATIONS": "off"}
    for database in options.databases:
        with ExitStack() as stack:
            postgres: Postgres | None = None
            if database == "sqlite":
                url = stack.enter_context(copied_sqlite(sqlite_database(data), runs))
            else:
                postgres, url = stack.enter_context(filled_postgres(data))
            servers = [
                stack.enter_context(running_sealkey(data, url, runs / f"{database}-{number}.log", settings=settings))
                for number in range(_PROCESSES[database])
            ]
            deployment = Deployment(data, servers)
            parts.append(_revocations(deployment, database, options))
            if postgres is not None and options.outage:
                parts += [_outage(deployment, "frozen", _freezing(postgres))]
                parts += [_outage(deployment, "stopped", _stopping(postgres))]
    return "\n\n".join(parts) + "\n"


# Revocations


def _revocations(deployment: Deployment, database: str, options: Options) -> str:
    """Revokes one after another, each at another process, and watches all of them."""
    stale = []
    with _loaded(deployment, options.connections), ThreadPoolExecutor(len(deployment.servers)) as pool:
        connections = [Connection(server.address) for server in deployment.servers]
        numbers = range(options.revocations)
        for number in watched(numbers, len(numbers), f"Revocations on {database}"):
            question = deployment.question(deployment.data.warm + number)
            ids = [_let_in(connection, question).headers["x-sealkey-credential"] for connection in connections]
            answered = _revoke(deployment, connections[number % len(connections)], ids[0])
            denied = [pool.submit(_until_denied, connection, question) for connection in connections]
            stale.append(max(each.result() for each in denied) - answered)
    for server in deployment.servers:
        server.check()
    worst = max(stale)
    verdict = "kept" if worst <= PROMISED else f"BROKEN: {sum(each > PROMISED for each in stale)} took longer"
    row = [
        database,
        str(len(deployment.servers)),
        f"{len(stale):,}",
        f"{median(stale) * 1e3:.0f}",
        f"{quantiles(stale, n=100, method='inclusive')[98] * 1e3:.0f}" if len(stale) > 1 else "",
        f"{worst * 1e3:.0f}",
        verdict,
    ]
    notified = "" if options.notifications else ", with notifications off"
    load = "under load" if options.connections else "without load"
    return (
        f"Milliseconds from the answer to a revocation until the last process denied, {load}{notified}:\n\n"
        + markdown(["database", "processes", "revocations", "median", "p99", "max", "one second"], [row], texts=1)
    )


def _let_in(connection: Connection, question: bytes) -> Answer:
    answer = connection.ask(question)
    if answer.status != 200:
        raise StalenessFailed(f"A credential that nobody revoked was answered {answer.status}.")
    return answer


def _revoke(deployment: Deployment, connection: Connection, credential: str) -> float:
    """When it was answered."""
    request = graphql(_REVOKE, {"input": {"credentialId": credential}}, deployment.data.operator_token)
    answer, now = connection.ask(request), time.monotonic()
    told = orjson.loads(answer.body)
    if told.get("errors") or told["data"]["revokeCredential"]["userErrors"]:
        raise StalenessFailed(f"It could not be revoked: {answer.body.decode()}")
    return now


def _until_denied(connection: Connection, question: bytes) -> float:
    """When the first denial was answered; it must be denied from then on."""
    deadline = time.monotonic() + _GIVEN_UP
    while time.monotonic() < deadline:
        if connection.ask(question).status == 401:
            now = time.monotonic()
            if connection.ask(question).status != 401:
                raise StalenessFailed("After it was denied it was let in again.")
            return now
        time.sleep(0.001)
    raise StalenessFailed(f"It was still let in after {_GIVEN_UP:g} seconds.")


@contextmanager
def _loaded(deployment: Deployment, connections: int) -> Iterator[None]:
    """Others' checks go on at every process."""
    if not connections:
        yield
        return
    over = threading.Event()
    request = next(case for case in CASES if case.name == "verify-warm").request(deployment.data)

    def load(server: Server) -> None:
        seed = 0
        while not over.is_set():
            seed += 1
            Wrk(connections).ask(server.address, request, seconds=1, seed=seed)

    with ThreadPoolExecutor(len(deployment.servers)) as pool:
        loads = [pool.submit(load, server) for server in deployment.servers]
        try:
            yield
        finally:
            over.set()
        for each in loads:
            each.result()


# The database away


Away = Callable[[], None]


@dataclass
class _Seen:
    """What one process answered, None where it did not in time, and when."""

    answers: list[tuple[float, int | None]] = field(default_factory=list)


def _outage(deployment: Deployment, how: str, going_and_coming: tuple[Away, Away]) -> str:
    """Asks each process for what it remembers while the database is away, and until it lets in again."""
    say(f"PostgreSQL is {how} for {_OUTAGE:g} s.")
    go, come = going_and_coming
    question, over, back = deployment.question(0), threading.Event(), threading.Event()
    for server in deployment.servers:
        _let_in(Connection(server.address), question)

    def watch(server: Server) -> _Seen:
        seen, connection = _Seen(), Connection(server.address, timeout=_PATIENCE)
        while not over.is_set():
            try:
                status: int | None = connection.ask(question).status
            except OSError:
                status = None
            seen.answers.append((time.monotonic(), status))
            if back.is_set() and status == 200:
                break
            time.sleep(0.005)
        return seen

    with ThreadPoolExecutor(len(deployment.servers)) as pool:
        watches = [pool.submit(watch, server) for server in deployment.servers]
        time.sleep(0.5)
        gone_at = time.monotonic()
        go()
        time.sleep(_OUTAGE)
        coming_at = time.monotonic()
        come()
        came_at = time.monotonic()
        back.set()
        timer = threading.Timer(_GIVEN_UP, over.set)
        timer.start()
        seen = [each.result() for each in watches]
        timer.cancel()
    rows = [_row(number, each, gone_at, coming_at, came_at) for number, each in enumerate(seen, 1)]
    head = [
        "process",
        "last ALLOW after s",
        "first 503 after s",
        "answers",
        "unanswered",
        "ALLOW again after s",
        "held",
    ]
    return f"PostgreSQL {how} for {_OUTAGE:g} s, times since it went and since it was back:\n\n" + markdown(
        head, rows, texts=1
    )


def _row(number: int, seen: _Seen, gone_at: float, coming_at: float, came_at: float) -> list[str]:
    away = [(at - gone_at, status) for at, status in seen.answers if gone_at <= at < coming_at]
    allowed = [at for at, status in away if status == 200]
    refused = [at for at, status in away if status == 503]
    again = next((at - came_at for at, status in seen.answers if at >= came_at and status == 200), None)
    counts = Counter(status for _, status in away if status is not None)
    last = max(allowed, default=0)
    others = set(counts) - {200, 503}
    held = last <= PROMISED and again is not None and not others
    silent = sum(status is None for _, status in away)
    return [
        str(number),
        f"{last:.2f}",
        f"{refused[0]:.2f}" if refused else "never",
        ", ".join(f"{count:,} of {status}" for status, count in sorted(counts.items())) or "none",
        str(silent),
        f"{again:.2f}" if again is not None else "never",
        "BROKEN" if not held else "kept, but silent" if silent else "kept",
    ]


def _freezing(postgres: Postgres) -> tuple[Away, Away]:
    frozen = ExitStack()
    return lambda: frozen.enter_context(postgres.frozen()), frozen.close


def _stopping(postgres: Postgres) -> tuple[Away, Away]:
    return lambda: postgres.stop("immediate"), postgres.start
