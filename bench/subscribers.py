"""How soon many who watch at one process are told of what another does, and what memory they take."""

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from uuid import uuid4

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from auth.opaque_token import TokenPurpose, generate_token, hash_token
from bench.connection import Connection, graphql
from bench.data import Data, sqlite_database
from bench.progress import say, watched
from bench.report import machine, markdown
from bench.servers import copied_sqlite, running_sealkey

_CHANGES = """subscription {
  credentialChanged {
    eventType occurredAt credential { id name status usable blockers service { name } owner { email } }
  }
}"""
_LIST = "{ credentials(first: 100) { nodes { id } } }"
_REVOKE = """mutation ($input: RevokeCredentialInput!) {
  revokeCredential(input: $input) { userErrors { code } }
}"""
_PATIENCE = 60  # seconds
_AT_ONCE = 50
_MB = 1e6


class SubscribersFailed(Exception):
    """Somebody was not told, or could not watch; the message says what."""


@dataclass(frozen=True)
class _Told:
    """Of one change: seconds from its answer until the first and until the last of those who watch were told."""

    first: float
    last: float


def measure(data: Data, subscribers: int, changes: int, runs: Path) -> str:
    """Markdown. Everybody watches in a session of their own."""
    settings = {
        "SEALKEY_SUBSCRIPTIONS_PER_WORKER": str(subscribers),
        "SEALKEY_SUBSCRIPTIONS_PER_USER": str(subscribers),
    }
    with copied_sqlite(sqlite_database(data), runs) as url:
        tokens = _sign_in(Path(url.removeprefix("sqlite://")), subscribers)
        with (
            running_sealkey(data, url, runs / "watched.log", settings=settings) as watched_one,
            running_sealkey(data, url, runs / "changing.log") as changing,
        ):
            before = watched_one.memory().now
            told = asyncio.run(_watch(watched_one.address, Connection(changing.address), data, tokens, changes))
            after = watched_one.memory()
            watched_one.check()
    row = [
        f"{subscribers:,}",
        str(changes),
        f"{median(each.first for each in told) * 1e3:.0f}",
        f"{median(each.last for each in told) * 1e3:.0f}",
        f"{max(each.last for each in told) * 1e3:.0f}",
        f"{before / _MB:.0f}",
        f"{after.peak / _MB:.0f}",
        f"{(after.peak - before) / subscribers / 1e3:.0f}",
    ]
    head = [
        "subscribers",
        "changes",
        "first told, ms",
        "last told, ms",
        "at most, ms",
        "MB before",
        "MB at most",
        "kB for each",
    ]
    return (
        f"{machine()}\n\nOne worker, WebSockets, SQLite, each in a session of their own; changes made by another "
        "process, from its answer on; medians. Those who watch are on the same machine.\n\n"
        + markdown(head, [row], texts=0)
        + "\n"
    )


def _sign_in(database: Path, people: int) -> list[str]:
    """So many sessions of the operator's."""
    now = datetime.now(UTC)
    tokens = [generate_token(TokenPurpose.SESSION) for _ in range(people)]
    with closing(sqlite3.connect(database)) as connection, connection:
        (user,) = connection.execute("SELECT id FROM users WHERE role = 'OPERATOR'").fetchone()
        connection.executemany(
            "INSERT INTO sessions (id, user_id, token_hash, created_at, expires_at, last_seen_at) VALUES (?,?,?,?,?,?)",
            [
                (str(uuid4()), user, hash_token(token), str(now), str(now + timedelta(hours=1)), str(now))
                for token in tokens
            ],
        )
    return [token.reveal() for token in tokens]


async def _watch(
    address: str, changing: Connection, data: Data, tokens: Sequence[str], changes: int
) -> Sequence[_Told]:
    async with AsyncExitStack() as stack:
        sockets: list[ClientConnection] = []
        for start in range(0, len(tokens), _AT_ONCE):
            some = [_begin(stack, address, token) for token in tokens[start : start + _AT_ONCE]]
            sockets += await asyncio.gather(*some)
        say(f"{len(sockets):,} watch.")
        answer = changing.ask(graphql(_LIST, {}, data.operator_token))
        ids = [node["id"] for node in orjson.loads(answer.body)["data"]["credentials"]["nodes"]][:changes]
        return [await _change(sockets, changing, data, id_) for id_ in watched(ids, len(ids), "Changes")]


async def _begin(stack: AsyncExitStack, address: str, token: str) -> ClientConnection:
    socket = await stack.enter_async_context(
        connect(
            f"{address.replace('http', 'ws', 1)}/graphql",
            subprotocols=[Subprotocol("graphql-transport-ws")],
            compression=None,
            proxy=None,
        )
    )
    for message in (
        {"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}},
        {"type": "subscribe", "id": "1", "payload": {"query": _CHANGES}},
        {"type": "ping"},
    ):
        await socket.send(orjson.dumps(message).decode())
    answered = [orjson.loads(await socket.recv())["type"] for _ in range(2)]
    if answered != ["connection_ack", "pong"]:
        raise SubscribersFailed(f"Nobody could watch: the answers were {answered}.")
    return socket


async def _change(sockets: Sequence[ClientConnection], changing: Connection, data: Data, id_: str) -> _Told:
    async def told(socket: ClientConnection) -> float:
        message = orjson.loads(await socket.recv())
        if message["type"] != "next" or message["payload"]["data"]["credentialChanged"]["credential"]["id"] != id_:
            raise SubscribersFailed(f"Somebody was told something else: {message['type']}.")
        return time.monotonic()

    waiting = [asyncio.create_task(told(socket)) for socket in sockets]
    request = graphql(_REVOKE, {"input": {"credentialId": id_}}, data.operator_token)
    answer, answered = await asyncio.to_thread(lambda: (changing.ask(request), time.monotonic()))
    if orjson.loads(answer.body)["data"]["revokeCredential"]["userErrors"]:
        raise SubscribersFailed("It could not be revoked.")
    try:
        times = await asyncio.wait_for(asyncio.gather(*waiting), _PATIENCE)
    except TimeoutError:
        raise SubscribersFailed(f"Somebody was not told within {_PATIENCE} s.") from None
    return _Told(min(times) - answered, max(times) - answered)
