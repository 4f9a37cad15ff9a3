"""A server that is asked for more than it can do: what it does of that, how soon, and in how much memory."""

import asyncio
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench.open_loop import Outcome, ask_at_rate, post
from bench.servers import ServerFailed
from tests.support.command import Serving
from tests.support.deployed import Deployed

DOCUMENT = "{ services { nodes { id name identities { nodes { id name } } } } }"
_TABLE = ["| asked/s | answered/s | refused/s | p50 ms | p99 ms | memory MB |", "|---:|---:|---:|---:|---:|---:|"]


def measure(rates: tuple[int, ...], seconds: float, document: str = DOCUMENT) -> Iterator[str]:
    """Lines of a table, as they come. Raises ServerFailed where an answer was neither 200 nor 503, or none came."""
    with tempfile.TemporaryDirectory() as directory:
        data_dir = Path(directory)
        with Serving(data_dir, graphql_budget="0") as server:
            server.wait()
            token = Deployed(data_dir, f"sqlite://{data_dir / 'sealkey.sqlite3'}", [server]).operator_token
            process = psutil.Process(server.pid)
            request = post("/graphql", json.dumps({"query": document}).encode(), {"Authorization": f"Bearer {token}"})
            yield from _TABLE
            for rate in rates:
                outcome = asyncio.run(ask_at_rate(server.url, [request], per_second=rate, seconds=seconds))
                yield _row(rate, outcome, process.memory_info().rss)


def _row(rate: int, outcome: Outcome, memory: int) -> str:
    if unforeseen := {status for status, times in outcome.statuses.items() if times} - {200, 503}:
        raise ServerFailed(f"At {rate}/s some were answered with {unforeseen}.")
    figures = (
        rate,
        outcome.goodput,
        outcome.statuses[503] / outcome.seconds,
        outcome.percentile(0.5) * 1000,
        outcome.percentile(0.99) * 1000,
        memory >> 20,
    )
    return f"| {' | '.join(f'{figure:,.0f}' for figure in figures)} |"
