"""What reading costs: pages at the beginning, in the middle and at the end of a long list beside those of a short one,
one at a time; and beside others over many connections."""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import orjson

from bench import data as bench_data
from bench.audit_events import add_audit_events
from bench.connection import Connection, graphql
from bench.data import Data
from bench.load import Request, Wrk, post
from bench.peers import running_postgraphile
from bench.progress import say
from bench.report import machine, markdown
from bench.servers import Server, running_sealkey, running_stock
from bench.throughput import filled_database
from models.audit import AuditEvent
from models.credential import Credential
from models.instants import to_millisecond
from resolvers.paging import Order, cursor_of

SIZE = 100
SHORT = 1000
_COLUMNS = {"CREATED_AT": "id", "NAME": "name", "EXPIRES_AT": "expires_at", "LAST_USED_AT": "last_used_at"}
_LEAVES = """id name maskedApiKey status usable deliveryMethod createdAt expiresAt revokedAt lastUsedAt
    publicKeyFingerprint"""
_NODE = f"""{_LEAVES} identity {{ id name status }} service {{ id code status }}
    owner {{ id email displayName }}"""
CREDENTIALS = f"""query ($first: Int, $after: String, $last: Int, $orderBy: CredentialOrder) {{
  credentials(first: $first, after: $after, last: $last, orderBy: $orderBy) {{
    nodes {{ {_NODE} }} pageInfo {{ endCursor hasNextPage }} }} }}"""
AUDIT_EVENTS = """query ($first: Int, $after: String, $last: Int) {
  auditEvents(first: $first, after: $after, last: $last) {
    nodes { id sequence type occurredAt subjectId summary hash actor { id email } } pageInfo { endCursor } } }"""
# As many fields of as many rows, with what PostGraphile has in the place of what is computed here.
_THEIRS = """{ allCredentials(first: 100, orderBy: PRIMARY_KEY_ASC, condition: {revokedAt: null}) {
  nodes { id name apiKey deliveryMethod createdAt expiresAt revokedAt lastUsedAt publicKeyFingerprint revocationReason
    rotatedAt identityByIdentityId { id name decision } serviceByServiceId { id code startsAt }
    userByOwnerId { id email displayName } } pageInfo { endCursor hasNextPage } } }"""


@dataclass(frozen=True)
class Options:
    credentials: int
    audit_events: int
    times: int
    databases: tuple[str, ...]
    rounds: int
    seconds: float
    connections: int


class _Page(NamedTuple):
    """A page of a list: what it is called, and what is asked for it of the server with few rows and with many."""

    name: str
    place: str
    document: str
    variables: Sequence[dict[str, Any]]


def measure(root: Path, options: Options, runs: Path, peers: Path | None) -> str:
    """Markdown: the pages of each database, and a page beside others."""
    sizes = (min(SHORT, options.credentials), options.credentials)
    both = [bench_data.prepare(root, credentials=size, warm=max(1, size // 10), seed=1, fresh=False) for size in sizes]
    parts = [machine()]
    for database in options.databases:
        with ExitStack() as stack:
            urls = [
                stack.enter_context(filled_database(each, database, runs / name))
                for each, name in zip(both, ("short", "long"), strict=True)
            ]
            for url, number in zip(urls, (min(SHORT, options.audit_events), options.audit_events), strict=True):
                add_audit_events(url, number)
            servers = [
                stack.enter_context(
                    running_sealkey(each, url, runs / f"pages-{database}-{name}.log", settings=_ENDLESS)
                )
                for each, url, name in zip(both, urls, ("short", "long"), strict=True)
            ]
            parts.append(_side_by_side(database, servers, both, urls, options))
            if peers is not None:
                servers[1].freeze()
                stock = stack.enter_context(running_stock(runs / f"stock-{database}.log"))
                pairs = [
                    _Pair("viewer { role }", _role(both[0]), "stock Strawberry", stock, _role(both[0], shown=False))
                ]
                if database == "postgres":
                    their = stack.enter_context(running_postgraphile(peers, urls[0], runs / "postgraphile.log"))
                    pairs.insert(0, _page_beside(both[0], their))
                parts += _beside_others(database, servers[0], pairs, options)
    return "\n\n".join(parts) + "\n"


# One user asks for more pages than anybody gets in a minute.
_ENDLESS = {"SEALKEY_GRAPHQL_BUDGET": "0"}


# Few rows beside many, answer by answer


def _side_by_side(
    database: str, servers: Sequence[Server], both: Sequence[Data], urls: Sequence[str], options: Options
) -> str:
    connections = [Connection(server.address) for server in servers]
    tokens = [data.operator_token for data in both]
    rows = []
    for page in _pages(urls, options):
        asked = [graphql(page.document, each, token) for each, token in zip(page.variables, tokens, strict=True)]
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(options.times + 3):
            for connection, request, taken in zip(connections, asked, seconds, strict=True):
                taken.append(_seconds(connection, request))
        # The first are for the caches, of plans too.
        few, many = (median(taken[3:]) * 1e3 for taken in seconds)
        rows.append([page.name, page.place, f"{few:.2f}", f"{many:.2f}", f"{many / few:.2f}"])
        say(f"{database}: {' '.join(rows[-1])}")
    numbers = f"{both[0].credentials:,} and {both[1].credentials:,} credentials"
    if options.audit_events:
        numbers += f", {min(SHORT, options.audit_events):,} and {options.audit_events:,} audit events"
    return (
        f"{database}: pages of {SIZE} rows for an operator, of {numbers}; one connection, medians of {options.times} "
        f"answers each, by turns.\n\n{markdown(['list', 'page', 'few, ms', 'many, ms', 'ratio'], rows)}"
    )


def _seconds(connection: Connection, request: bytes) -> float:
    began = perf_counter()
    answer = connection.ask(request)
    taken = perf_counter() - began
    if answer.status != 200 or b'"errors"' in answer.body[-2000:]:
        raise RuntimeError(f"{answer.status} {answer.body[-500:]!r}")
    return taken


def _pages(urls: Sequence[str], options: Options) -> Iterator[_Page]:
    for name, column in _COLUMNS.items():
        order = {"orderBy": {"field": name, "direction": "ASC"}}
        marks = [_middle(url, Credential, column) for url in urls]
        yield from _places(f"credentials by {name}", CREDENTIALS, order, marks)
    if options.audit_events:
        marks = [_middle(url, AuditEvent, "id") for url in urls]
        yield from _places("auditEvents", AUDIT_EVENTS, {}, marks)


def _places(name: str, document: str, more: dict[str, Any], marks: Sequence[str]) -> Iterator[_Page]:
    yield _Page(name, "first", document, [{**more, "first": SIZE} for _ in marks])
    yield _Page(name, "middle", document, [{**more, "first": SIZE, "after": mark} for mark in marks])
    yield _Page(name, "last", document, [{**more, "last": SIZE} for _ in marks])


def _middle(url: str, model: type[Credential | AuditEvent], column: str) -> str:
    """The cursor of the row in the middle of a list."""
    table = model._meta.db_table
    number = f"SELECT COUNT(*) FROM {table}"
    middle = f"SELECT id, {column} FROM {table} ORDER BY {column}, id LIMIT 1 OFFSET "
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite://"))) as connection:
            (count,) = connection.execute(number).fetchone()
            id_, value = connection.execute(f"{middle}{count // 2 - 60}").fetchone()
        if column.endswith("_at"):
            value = datetime.fromisoformat(value)
    else:
        id_, value = asyncio.run(_middle_of_postgres(url, number, middle))
    shown = {column: to_millisecond(value) if column.endswith("_at") else value}
    return cursor_of(Order(column), model(**{**shown, "id": UUID(str(id_))}))


async def _middle_of_postgres(url: str, number: str, middle: str) -> tuple[Any, Any]:
    connection = await asyncpg.connect(url)
    try:
        count = await connection.fetchval(number)
        id_, value = await connection.fetchrow(f"{middle}{count // 2 - 60}")
        return id_, value
    finally:
        await connection.close()


# Beside others, over many connections


class _Pair(NamedTuple):
    """The same asked of us and of another server."""

    name: str
    ours: Request
    other: str
    server: Server
    theirs: Request


def _page_beside(data: Data, postgraphile: Server) -> _Pair:
    name, wanted = f"a page of {SIZE}, 20 fields each", "endCursor"
    ours = _request(data, CREDENTIALS, {"first": SIZE}, headers=_operator(data), path="/graphql", expected=wanted)
    theirs = _request(data, _THEIRS, {}, headers={}, path="/graphql", expected=wanted)
    return _Pair(name, ours, "PostGraphile", postgraphile, theirs)


def _role(data: Data, *, shown: bool = True) -> Request:
    headers = _operator(data) if shown else {}
    return _request(data, "{ viewer { role } }", {}, headers=headers, path="/graphql", expected='"OPERATOR"')


def _operator(data: Data) -> dict[str, str]:
    return {"Authorization": f"Bearer {data.operator_token}"}


def _beside_others(database: str, ours: Server, pairs: Sequence[_Pair], options: Options) -> list[str]:
    rows = []
    for server in (ours, *(pair.server for pair in pairs)):
        server.freeze()
    for name, our_request, other, their, their_request in pairs:
        rounds = [
            (_rate(ours, our_request, options), _rate(their, their_request, options)) for _ in range(options.rounds)
        ]
        rates = [f"{median(each.per_second for each in side):,.0f}" for side in zip(*rounds, strict=True)]
        cpu = [f"{median(each.cpu for each in side) * 1e3:.2f}" for side in zip(*rounds, strict=True)]
        ratio = median(a.per_second / b.per_second for a, b in rounds)
        rows.append([name, other, *rates, f"{ratio:.2f}", *cpu])
        say(" ".join(rows[-1]))
    return [
        f"{database}: over {options.connections} connections, medians of {options.rounds} rounds of "
        f"{options.seconds:g} s, in each of which both were asked, the other standing still; one process each.",
        markdown(["what is asked", "beside", "Sealkey/s", "they/s", "ratio", "Sealkey CPU ms", "their CPU ms"], rows),
    ]


class _Rate(NamedTuple):
    """Answers a second, and seconds of the server's CPU for each."""

    per_second: float
    cpu: float


def _rate(server: Server, request: Request, options: Options) -> _Rate:
    server.thaw()
    wrk = Wrk(options.connections)
    wrk.look(server.address, request, seconds=options.seconds / 3, seed=1)
    before = server.cpu_seconds()
    load = wrk.ask(server.address, request, seconds=options.seconds, seed=1)
    cpu = (server.cpu_seconds() - before) / load.requests
    server.freeze()
    return _Rate(load.per_second, cpu)


def _request(
    data: Data, document: str, variables: dict[str, Any], *, headers: dict[str, str], path: str, expected: str
) -> Request:
    """The same, over and over."""
    body = orjson.dumps({"query": " ".join(document.split()), "variables": variables}).decode()
    return post(path, headers, body, [], "", data.pairs, 1, expected=expected, unexpected='"errors"')
