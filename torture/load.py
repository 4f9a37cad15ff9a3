"""Twice as much is asked as can be done, for minutes; and a day's worth, one request after the other.

Under twice the load a server goes on doing what it can: it answers what it takes soon, and refuses the rest in words
that programs know. After a million requests it holds no more than before.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import uvloop

from bench.data import SEALKEY, Data, prepare, sqlite_database
from bench.servers import USAGE_FLUSH_SECONDS, Server, copied_sqlite, filled_postgres, running_sealkey
from tests.support.rows import Rows
from tests.support.world import OPERATOR, PASSWORD
from torture.arrivals import GIVES_UP_AFTER, Tally, closed_loop, open_loop, percentile
from torture.campaign import CampaignFailed
from torture.mix import CHECKS, SHARES, Mix
from torture.stage import make_stage

_TIMES = 2
_GOODPUT = 0.8
"""Of the peak, in any ten seconds."""
_OPERATIONS = 0.6
"""Of those at the peak: twice as many checks are answered as then, and what is refused costs something too."""
_ACCEPTED_WITHIN = 3.0
"""Seconds within which 99 of 100 are answered of what is accepted: an operation waits 2 seconds for its turn at most,
or is refused, and is then worked on beside 31 others, which take tens of milliseconds together."""
_MOST_TO_POSTGRES = 11  # connections: the pool's, and the one by which changes are learned
_CONNECTIONS = 600
_PEAK_CONNECTIONS = (8, 32, 64)
_SOAK_CONNECTIONS = 32
_SOAK_CREDENTIALS = 10_000
"""All of which are remembered before a fifth is over, so that what grows after it is a leak."""
_GROWTH = 0.1
"""By how much memory may grow, of what it was after the first fifth, beside what is remembered of credentials."""
_REMEMBERED = 1_200  # bytes of a credential
_LEAST_GROWTH = 8_000_000
_CLEANED_WITHIN = 150  # seconds: it is done once a minute, and each time may find what has just expired
_KEPT_CHANGES = 10_000
_LOOKS = 10  # one a second
_SETTINGS = {"SEALKEY_GRAPHQL_BUDGET": "0"}
_ENGINES = ("sqlite", "postgres")

Result = TypeVar("Result")


@dataclass
class Watched:
    """Bytes of memory and open files of a server, looked at once a second."""

    server: Server
    memory: list[int] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    async def watch(self, mix: Mix) -> None:
        while True:
            self.look(mix)
            await asyncio.sleep(1)

    def look(self, mix: Mix) -> None:
        self.server.check()
        self.memory.append(self.server.memory().now)
        self.files.append(open_files(self.server))
        self.shown.append(mix.shown)

    def check_memory(self, most_remembered: int) -> str:
        """The least that it was in ten seconds after the first fifth, and at the end: more is held meanwhile by
        passwords, of which each takes 64 MiB while it is hashed. Raises CampaignFailed."""
        fifth = len(self.memory) // 5
        first, last = min(self.memory[fifth : fifth + _LOOKS]), min(self.memory[-_LOOKS:])
        remembered = min(self.shown[-1], most_remembered) - min(self.shown[fifth], most_remembered)
        allowed = remembered * _REMEMBERED + max(_LEAST_GROWTH, _GROWTH * first)
        text = f"memory {_mb(first)} after a fifth, {_mb(last)} at the end"
        if last - first > allowed:
            raise CampaignFailed(f"{text}, where {_mb(int(allowed))} more would be no leak")
        return text


def open_files(server: Server) -> int:
    return sum(each.num_fds() for each in [server.process, *server.process.children(recursive=True)])


@dataclass
class Loaded:
    """A server with data and people, and the mix that it is asked for."""

    server: Server
    mix: Mix
    rows: Rows
    data: Data
    random: Random

    @property
    def port(self) -> int:
        return int(self.server.address.rpartition(":")[2])


def load(*, small: bool, seconds: float | None = None, seed: int = 1, engine: str | None = None) -> None:
    """The campaign of twice the load, for so many seconds on each engine, half of them in each loop."""
    seconds = seconds or (3 if small else 600)
    for name in [engine] if engine else _ENGINES:
        with loaded_server(name, seed, small=small) as loaded:
            overload(loaded, name, seconds / 2, small=small)


def soak(*, small: bool, requests: int | None = None, seed: int = 1, engine: str | None = None) -> None:
    """The campaign of a day's worth: so many requests on each engine."""
    requests = requests or (2_000 if small else 1_000_000)
    for name in [engine] if engine else _ENGINES:
        with loaded_server(name, seed, small=small, credentials=_SOAK_CREDENTIALS) as loaded:
            outlast(loaded, name, requests, small=small)


def overload(loaded: Loaded, name: str, seconds: float, *, small: bool) -> None:
    """First by as many as the server takes twice over, who ask again once they were answered, or may come again; then
    by twice as many requests a second as it can answer, whatever becomes of them. Raises CampaignFailed."""
    peak, operations = _run(lambda: _peak(loaded, (8,), 0.5) if small else _peak(loaded, _PEAK_CONNECTIONS, 10))
    print(f"{name}: peak {peak:,.0f}/s, {operations:,.0f}/s of these operations", flush=True)
    connections = 64 if small else _CONNECTIONS

    async def closed() -> Tally:
        return await closed_loop(loaded.port, loaded.mix, connections=connections, seconds=seconds)

    async def open_() -> Tally:
        return await open_loop(
            loaded.port,
            loaded.mix,
            per_second=_TIMES * peak,
            connections=connections,
            seconds=seconds,
            random=loaded.random,
        )

    loops: dict[str, Callable[[], Awaitable[Tally]]] = {"closed": closed, "open": open_}
    for loop, ask in loops.items():
        watched = Watched(loaded.server)
        tally = _run(partial(_watched, watched, loaded.mix, ask))
        memory = "" if small else watched.check_memory(loaded.data.credentials)
        _print(f"{name}, {loop} loop", tally, memory)
        _check_answers(tally)
        if not small:
            _check_goodput(tally, peak, operations)


def _check_goodput(tally: Tally, peak: float, operations: float) -> None:
    p99 = percentile(tally.accepted, 0.99)
    if (worst := tally.worst_goodput()) < _GOODPUT * peak:
        raise CampaignFailed(f"{worst:,.0f}/s were served once, less than {_GOODPUT} of the peak, {peak:,.0f}/s")
    if (of_these := tally.goodput_without(CHECKS)) < _OPERATIONS * operations:
        raise CampaignFailed(f"{of_these:,.0f}/s operations were done, less than {_OPERATIONS} of {operations:,.0f}/s")
    if tally.unanswered:
        raise CampaignFailed(f"{tally.unanswered} waited for {GIVES_UP_AFTER:.0f} s in vain")
    if p99 > _ACCEPTED_WITHIN:
        raise CampaignFailed(f"of what was accepted, one in a hundred took more than {p99:.1f} s")


def outlast(loaded: Loaded, name: str, requests: int, *, small: bool) -> None:
    """Raises CampaignFailed."""
    before, began = open_files(loaded.server), time.monotonic()
    watched, total, worst = Watched(loaded.server), 0, 0.0
    while total < requests:
        seconds = 0.5 if small else 30.0

        async def ask(seconds: float = seconds) -> Tally:
            return await closed_loop(loaded.port, loaded.mix, connections=_SOAK_CONNECTIONS, seconds=seconds)

        tally = _run(lambda: _watched(watched, loaded.mix, ask))
        _check_answers(tally)
        total += tally.asked
        print(f"  {total:,} of {requests:,} requests", file=sys.stderr, flush=True)
        worst = max(worst, percentile(tally.accepted, 0.99))
    passed = time.monotonic() - began
    memory = "" if small else watched.check_memory(loaded.data.credentials)
    loaded.server.settle()
    after = open_files(loaded.server)
    print(
        f"{name}: {total:,} requests in {passed:.0f} s, p99 of each half minute at most {worst * 1000:,.0f} ms;"
        f" open files {before} before, {after} after; {memory}",
        flush=True,
    )
    if after > before + _MOST_TO_POSTGRES:
        raise CampaignFailed(f"{after} files are open, where {before} were before")
    _check_connections(loaded.rows)
    if not small:
        _check_tables(loaded.rows)


def _check_answers(tally: Tally) -> None:
    if tally.wrong:
        examples = {what: example.decode(errors="replace") for what, example in tally.examples.items()}
        raise CampaignFailed(f"there were answers that there should not be: {dict(tally.wrong)} {examples}")
    if not tally.good:
        raise CampaignFailed("nothing was served")


def _check_connections(rows: Rows) -> None:
    if rows.engine == "postgres":
        asked = "SELECT state, count(*) FROM pg_stat_activity WHERE application_name = 'sealkey' GROUP BY state"
        found: dict[str, int] = dict(rows.execute(asked))
        if sum(found.values()) > _MOST_TO_POSTGRES or any(state.startswith("idle in transaction") for state in found):
            raise CampaignFailed(f"PostgreSQL has these connections: {found}")


def _check_tables(rows: Rows) -> None:
    """What has served its time is removed within two minutes."""
    now = "datetime('now', '-70 seconds')" if rows.engine == "sqlite" else "now() - interval '70 seconds'"
    asked = {
        "idempotent answers": f"SELECT count(*) FROM idempotent_answers WHERE expires_at < {now}",
        "sessions": f"SELECT count(*) FROM sessions WHERE expires_at < {now}",
        "revoked tokens": f"SELECT count(*) FROM revoked_tokens WHERE expires_at < {now}",
        "changes": f"SELECT max(0, count(*) - {_KEPT_CHANGES}) FROM check_changes"
        if rows.engine == "sqlite"
        else f"SELECT greatest(0, count(*) - {_KEPT_CHANGES}) FROM check_changes",
    }
    give_up_at = time.monotonic() + _CLEANED_WITHIN
    while left := {what: count for what, query in asked.items() if (count := rows.execute(query)[0][0])}:
        if time.monotonic() > give_up_at:
            raise CampaignFailed(f"what has served its time is still there: {left}")
        time.sleep(2)
    ((throttles,),) = rows.execute("SELECT count(*) FROM throttles")
    if throttles > 2_000:
        raise CampaignFailed(f"{throttles} rows of throttles are there, though every try was right")


async def _peak(loaded: Loaded, numbers: Sequence[int], seconds: float) -> tuple[float, float]:
    """The most that was served in a second to one of several numbers of connections, after a warm-up; and how much of
    that was operations."""
    await closed_loop(loaded.port, loaded.mix, connections=numbers[0], seconds=seconds)
    best = (0.0, 0.0)
    for connections in numbers:
        tally = await closed_loop(loaded.port, loaded.mix, connections=connections, seconds=seconds)
        _check_answers(tally)
        best = max(best, (tally.goodput, tally.goodput_without(CHECKS)))
    return best


async def _watched(watched: Watched, mix: Mix, ask: Callable[[], Awaitable[Tally]]) -> Tally:
    watching = asyncio.create_task(watched.watch(mix))
    try:
        return await ask()
    finally:
        watching.cancel()
        watched.look(mix)


def _run(main: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


@contextmanager
def loaded_server(engine: str, seed: int, *, small: bool, credentials: int = 100_000) -> Iterator[Loaded]:
    """A server with credentials in its database, 400 where it is small, whose customers know it."""
    credentials, warm, customers = (400, 50, 2) if small else (credentials, 1_000, 8)
    with tempfile.TemporaryDirectory(prefix="sealkey-load-") as name, ExitStack() as stack:
        directory = Path(name)
        data = prepare(directory / "data", credentials=credentials, warm=warm, seed=seed, fresh=False)
        if engine == "sqlite":
            url = stack.enter_context(copied_sqlite(sqlite_database(data), directory / "copy"))
        else:
            _, url = stack.enter_context(filled_postgres(data))
        _create_operator(data, url)
        flushes_every = 1 if small else USAGE_FLUSH_SECONDS
        server = stack.enter_context(
            running_sealkey(data, url, directory / "log", settings=_SETTINGS, flushes_every=flushes_every)
        )
        mix = Mix(data, make_stage(server.address, customers), seed)
        yield Loaded(server, mix, Rows(url), data, Random(seed))


def _create_operator(data: Data, url: str) -> None:
    # By a process of its own: one can't speak to both engines.
    environment = {
        **os.environ,
        "SEALKEY_DATABASE_URL": url,
        "SEALKEY_DATA_DIR": str(data.directory),
        "SEALKEY_KEYS_FILE": str(data.keys_file),
    }
    command = [*SEALKEY, "operator", "create", "--email", OPERATOR]
    subprocess.run(command, env=environment, input=PASSWORD, text=True, check=True, stdout=subprocess.DEVNULL)


def _print(what: str, tally: Tally, memory: str) -> None:
    print(
        f"{what}: asked {tally.asked / tally.seconds:,.0f}/s for {tally.seconds:.0f} s:"
        f" {tally.goodput:,.0f}/s served (worst ten seconds {tally.worst_goodput():,.0f}/s),"
        f" of these {tally.goodput_without(CHECKS):,.0f}/s operations,"
        f" {tally.refused.total() / tally.seconds:,.0f}/s refused, {tally.unanswered} not waited for;"
        f" served p50 {_ms(tally, 0.5)}, p99 {_ms(tally, 0.99)};"
        f" refused p99 {percentile(tally.turned_away, 0.99) * 1000:,.0f} ms;"
        f" generator late p50 {percentile(tally.late, 0.5) * 1000:.1f} ms,"
        f" p99 {percentile(tally.late, 0.99) * 1000:.1f} ms; {memory}",
        flush=True,
    )
    for kind in SHARES:
        print(f"  {kind}: {tally.good[kind]:,} served, {tally.refused[kind]:,} refused")


def _ms(tally: Tally, share: float) -> str:
    return f"{percentile(tally.accepted, share) * 1000:,.0f} ms"


def _mb(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
