"""Whatever is sent, every parser reads it or refuses it by the one error that it names, and every door answers what is
documented: a million inputs made out of good ones, by a seed that repeats them."""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import click

from tests.access.stage import Stage
from tests.plugins.database import SqliteDatabases
from torture.campaign import CampaignFailed
from torture.doors import Door, doors, knock
from torture.mutating import Mutator
from torture.parsers import Parser, parsers
from torture.sockets import SHARE, Sockets
from torture.staging import staged_and_logged

SEED = 1
CASES, FEW_CASES = 1_000_000, 4_000
# What is refused takes its time, so that time tells nothing.
_AT_ONCE = 25


@dataclass(frozen=True)
class Figure:
    name: str
    cases: int
    outcomes: int
    seconds: float

    def __str__(self) -> str:
        return f"  {self.name:32} {self.cases:8,} cases {self.cases / self.seconds:10,.0f}/s {self.outcomes:5} outcomes"


def inputs(*, small: bool) -> None:
    cases = FEW_CASES if small else CASES
    click.echo(f"  seed {SEED}")
    figures = [*read_all(cases), *knock_everywhere(cases)]
    for figure in figures:
        click.echo(str(figure))
    click.echo(f"  {sum(figure.cases for figure in figures):,} cases")


def read_all(cases: int) -> list[Figure]:
    """Every parser, in so many cases of a campaign of so many."""
    return [_read(parser, cases * parser.share // 1000) for parser in parsers()]


def _read(parser: Parser, cases: int) -> Figure:
    mutator, outcomes, began = Mutator(parser.seeds, SEED), set[Hashable](), monotonic()
    for number in range(cases):
        data = mutator.next()
        try:
            outcome: Hashable = parser.read(data)
        except parser.raises as refused:
            outcome = type(refused).__name__, str(refused)[:100]
        except Exception as error:
            raise failed(parser.name, number, data, error) from error
        mutator.led_to(data, outcome)
        outcomes.add(outcome)
    return Figure(parser.name, cases, len(outcomes), monotonic() - began)


def knock_everywhere(cases: int) -> list[Figure]:
    """Every door, likewise, of a server in this process."""
    with TemporaryDirectory() as directory, staged_and_logged(SqliteDatabases(Path(directory))) as (stage, log):
        figures = [_knocked(stage, door, cases * door.share // 1000) for door in doors(stage)]
        return [*figures, asyncio.run(_connect(stage, log, cases * SHARE // 1000))]


def _knocked(stage: Stage, door: Door, cases: int) -> Figure:
    server = stage.play.server
    return asyncio.run_coroutine_threadsafe(_knock(server.app, door, cases), server.loop).result()


async def _knock(app: Any, door: Door, cases: int) -> Figure:
    mutator, outcomes, began = Mutator(door.seeds, SEED), set[Hashable](), monotonic()
    for first in range(0, cases, _AT_ONCE):
        sent = [mutator.next() for _ in range(min(_AT_ONCE, cases - first))]
        answers = [knock(app, door, data, first + at) for at, data in enumerate(sent)]
        for at, (data, outcome) in enumerate(
            zip(sent, await asyncio.gather(*answers, return_exceptions=True), strict=True)
        ):
            if isinstance(outcome, Exception):
                raise failed(door.name, first + at, data, outcome) from outcome
            mutator.led_to(data, outcome)
            outcomes.add(outcome)
    return Figure(door.name, cases, len(outcomes), monotonic() - began)


async def _connect(stage: Stage, log: StringIO, cases: int) -> Figure:
    sockets, outcomes, began = Sockets(stage, SEED), set[Hashable](), monotonic()
    for first in range(0, cases, _AT_ONCE):
        sent = [sockets.next() for _ in range(min(_AT_ONCE, cases - first))]
        answered = await asyncio.gather(*map(sockets.send, sent), return_exceptions=True)
        for at, (data, outcome) in enumerate(zip(sent, answered, strict=True)):
            if isinstance(outcome, Exception):
                raise failed("sockets", first + at, data, outcome) from outcome
            sockets.mutator.led_to(data, outcome)
            outcomes.add(outcome)
        try:
            await sockets.ask()
        except (AssertionError, OSError) as error:
            raise failed("a good request after these", first, b"\n\n".join(sent), error) from error
    try:
        await sockets.come_to_rest(log)
    except AssertionError as error:
        raise CampaignFailed(f"sockets, after all of seed {SEED}: {error}") from None
    return Figure("sockets", cases, len(outcomes), monotonic() - began)


def failed(name: str, number: int, data: bytes, error: Exception) -> CampaignFailed:
    return CampaignFailed(f"{name}: case {number} of seed {SEED}, {data!r}: {type(error).__name__} {error}")
