"""A log of a million events: verified and exported in memory that does not grow with it, while the server is used."""

import asyncio
import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from threading import Event, Thread

import asyncpg
import httpx
import psutil

from models.audit_log import EventRow, HeadRow
from models.ids import Kind, global_id, new_id
from tests.support.command import SEALKEY, Serving, environment
from torture.campaign import CampaignFailed
from torture.chains import OPERATOR, Made, make_chain, on_each_engine

# What an allocator keeps, and buffers of the socket's: not a log, which takes hundreds.
_GROWN_MIB = 40
_COMMANDS = {
    "verify": ["verify"],
    "checkpoint": ["checkpoint"],
    "export as CSV": ["export", "--format", "csv"],
    "export as JSONL": ["export", "--format", "jsonl"],
}


@dataclass(frozen=True)
class Ran:
    """What a command took: seconds, the most memory in MiB, and how much it wrote in MiB."""

    seconds: float
    memory: float
    written: float


def volume(*, small: bool, engine: str | None = None) -> None:
    """Both engines, 1,000,000 events; small: 20,000, on SQLite where none is named."""
    on_each_engine(_volume, small=small, engine=engine)


def _volume(url: str, data_dir: Path, small: bool) -> None:
    engine, number, made = data_dir.name, 20_000 if small else 1_000_000, make_chain(url, data_dir, 50)
    before = {name: _run(made, arguments) for name, arguments in _COMMANDS.items()}
    _grow(made, number)
    for name, arguments in _COMMANDS.items():
        after = _run(made, arguments)
        rate = number / max(after.seconds - before[name].seconds, 0.01)
        _tell(f"{engine}, sealkey audit {name}", rate, before[name].memory, after.memory, after.written)
    _over_http(engine, made, number)


def _tell(what: str, rate: float, before: float, after: float, written: float) -> None:
    print(f"{what}: {rate:,.0f} events a second, {written:,.0f} MiB; memory {before:.0f} MiB, at most {after:.0f} MiB")
    if after - before > _GROWN_MIB:
        raise CampaignFailed(f"{what}: memory grew with the log, by {after - before:.0f} MiB")


def _run(made: Made, arguments: list[str]) -> Ran:
    """Raises CampaignFailed where the command fails."""
    settings = {"PATH": os.defpath, **environment(made.data_dir, database_url=made.url)}
    file, began = made.data_dir / "written", time.monotonic()
    with file.open("wb") as output:
        command = [SEALKEY, "audit", *arguments]
        with psutil.Popen(command, env=settings, stdout=output, stderr=subprocess.PIPE) as process:
            memory = max(_memories(process))
            told = process.stderr.read()
    if process.returncode:
        raise CampaignFailed(f"sealkey audit {arguments[0]}: {told.decode()}")
    return Ran(time.monotonic() - began, memory, file.stat().st_size / 2**20)


def _memories(process: psutil.Popen) -> Iterator[float]:
    """In MiB, until it ends."""
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            yield process.memory_info().rss / 2**20
        time.sleep(0.01)


def _over_http(engine: str, made: Made, number: int) -> None:
    """Each format from a real server, which answers others meanwhile."""
    with Serving(made.data_dir, database_url=made.url).wait() as serving:
        signed_in = serving.client().do("signIn", "sessionToken", email=OPERATOR[0], password=OPERATOR[1])
        token = signed_in["sessionToken"]
        for format_ in ("csv", "jsonl"):
            before = _memory(serving)
            began, read = time.monotonic(), 0
            with _watched(serving, token) as seen, httpx.Client(timeout=60) as client:
                headers = {"Authorization": f"Bearer {token}"}
                with client.stream("GET", f"{serving.url}/audit/export?format={format_}", headers=headers) as answer:
                    for part in answer.iter_raw():
                        read += len(part)
            rate = number / (time.monotonic() - began)
            _tell(f"{engine}, GET /audit/export as {format_}", rate, before, max(seen.memory), read / 2**20)
            waits = sorted(seen.waits)
            print(f"  others waited {waits[len(waits) // 2]:.0f} ms in the middle and {waits[-1]:.0f} ms at most")


@dataclass(frozen=True)
class Seen:
    memory: list[float]
    waits: list[float]


@contextmanager
def _watched(serving: Serving, token: str) -> Iterator[Seen]:
    """Looks at the server's memory, and asks it for something small, again and again."""
    ended, seen = Event(), Seen([], [])
    client = serving.client(token)

    def watch() -> None:
        while not ended.wait(0.02):
            began = time.monotonic()
            client.data("{ viewer { role } }")
            seen.waits.append((time.monotonic() - began) * 1000)
            seen.memory.append(_memory(serving))

    thread = Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def _memory(serving: Serving) -> float:
    return float(psutil.Process(serving.pid).memory_info().rss) / 2**20


def _grow(made: Made, number: int) -> None:
    """So many more events, hashed as the recorder does, put in past it."""
    head = made.newest_head()
    if made.url.startswith("sqlite"):
        _grow_sqlite(made, head, number)
    else:
        asyncio.run(_grow_postgres(made, head, number))


def _more(made: Made, head: HeadRow, number: int) -> Iterator[EventRow]:
    previous, like, now = head.hash, made.events[-1], datetime.fromisoformat(made.events[-1].occurred_at)
    for sequence in range(head.sequence + 1, head.sequence + 1 + number):
        now += timedelta(milliseconds=7)
        id_ = new_id(now)
        event = like._replace(
            sequence=sequence, id=str(id_), occurred_at=now.isoformat(), subject_id=global_id(Kind.CREDENTIAL, id_)
        )
        previous = made.hasher.hash(made.chain_id, event, previous) or ""
        yield event._replace(hash=previous)


def _grow_sqlite(made: Made, head: HeadRow, number: int) -> None:
    columns = (*EventRow._fields, "chain_id")
    last = head
    with closing(sqlite3.connect(made.url.removeprefix("sqlite://"))) as connection, connection:
        insert = f"INSERT INTO audit_events ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        for event in _more(made, head, number):
            instant = event.occurred_at.replace("T", " ")
            connection.execute(insert, (*event[:3], instant, *event[4:], made.chain_id))
            last = head._replace(sequence=event.sequence, hash=event.hash)
        connection.execute("UPDATE audit_chains SET sequence = ?, hash = ? WHERE id = ?", (*last[1:], made.chain_id))


async def _grow_postgres(made: Made, head: HeadRow, number: int) -> None:
    columns = (*EventRow._fields, "chain_id")
    connection = await asyncpg.connect(made.url)
    try:
        await connection.execute("SET session_replication_role = replica")  # a million triggers take their time
        events = _more(made, head, number)
        while page := list(islice(events, 10_000)):
            rows = [(*e[:3], datetime.fromisoformat(e.occurred_at), *e[4:], made.chain_id) for e in page]
            await connection.copy_records_to_table("audit_events", records=rows, columns=columns)
            last = page[-1]
        update = "UPDATE audit_chains SET sequence = $1, hash = $2 WHERE id = $3"
        await connection.execute(update, last.sequence, last.hash, made.chain_id)
        await connection.execute("ANALYZE audit_events")
    finally:
        await connection.close()
