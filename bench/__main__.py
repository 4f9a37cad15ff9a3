"""Measures a real server, over HTTP and beside others.

    make bench                                          everything, on a small number of rows
    make bench BENCH_ARGS="--credentials 1000000"
    make bench BENCH_ARGS="--only verify-warm --rounds 3"
    make bench BENCH_ARGS=staleness                     how long a revoked credential is let in elsewhere
    make bench BENCH_ARGS=timing                        whether time tells an unknown key from a wrong secret
    make bench BENCH_ARGS=pages                         long lists beside short ones, and a page beside others'
    make bench BENCH_ARGS=subscriptions                 how soon many who watch are told, and their memory
    make bench BENCH_ARGS=overload                      what a server does that is asked for more than it can do
    make bench BENCH_ARGS=micro                         two paths inside the process, and refusing what is too large

No figure here is a test: machines differ, ratios less so.
"""

import asyncio
import shutil
import signal
import sys
from functools import partial
from pathlib import Path

import click

from bench import data as bench_data
from bench import pages, timing
from bench import staleness as stale
from bench import subscribers as watching
from bench.hostile import main as refuse_hostile
from bench.load import LoadFailed
from bench.micro import main as micro_main
from bench.overload import measure as overload_measure
from bench.pages import SHORT
from bench.peers import peers
from bench.report import report
from bench.servers import USAGE_FLUSH_SECONDS, ServerFailed, running_sealkey
from bench.throughput import DATABASES, Options, filled_database, measure

_EXPECTED = (LoadFailed, ServerFailed, stale.StalenessFailed, watching.SubscribersFailed)
HOME = Path("var/bench").resolve()


class _Commands(click.Group):
    """Without a command's name, throughput is meant."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["throughput", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Measures Sealkey. Without a command: throughput."""
    # Told to end, as when interrupted: what was started ends with it, also what is frozen.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


@main.command()
@click.option("--credentials", type=click.IntRange(10), default=20_000, help="Rows in each database.")
@click.option("--warm", type=click.IntRange(1), help="Of which warm cases ask about so many.  [default: a tenth]")
@click.option("--rounds", type=click.IntRange(1), default=5)
@click.option("--seconds", type=click.FloatRange(0.1), default=3.0, help="Of each round.")
@click.option("--connections", type=click.IntRange(1), default=32)
@click.option(
    "--seed", type=int, default=1, help="What keys, and the order in which they are asked about, follow from."
)
@click.option("--only", multiple=True, metavar="PATTERN", help="As in sqlite/verify-warm/1, or a part. Repeatable.")
@click.option("--peers/--no-peers", "with_peers", default=True, help="Measure others' servers beside.")
@click.option("--flushes-every", type=click.IntRange(1), default=USAGE_FLUSH_SECONDS, help="Seconds.")
@click.option("--fresh", is_flag=True, help="Make the rows anew.")
def throughput(
    credentials: int,
    warm: int | None,
    rounds: int,
    seconds: float,
    connections: int,
    seed: int,
    only: tuple[str, ...],
    with_peers: bool,
    flushes_every: int,
    fresh: bool,
) -> None:
    """Requests a second, beside an empty answer."""
    _require_wrk()
    warm = warm or max(1, credentials // 10)
    options = Options(credentials, rounds, seconds, connections, seed, only, flushes_every)
    try:
        data = bench_data.prepare(HOME / "data", credentials=credentials, warm=warm, seed=seed, fresh=fresh)
        others = partial(peers, HOME / "peers") if with_peers else None
        text = report(measure(data, options, HOME / "run", others), options, data.warm)
    except _EXPECTED as error:
        raise click.ClickException(str(error)) from None
    _tell(text, "result.md")


@main.command()
@click.option("--revocations", type=click.IntRange(1), default=1000)
@click.option("--database", "databases", type=click.Choice(DATABASES), multiple=True, default=DATABASES)
@click.option("--notifications/--no-notifications", default=True, help="Whether processes tell each other of changes.")
@click.option("--outage/--no-outage", default=True, help="Take PostgreSQL away afterwards.")
@click.option("--connections", type=click.IntRange(0), default=4, help="Load at each process; 0: none.")
def staleness(
    revocations: int, databases: tuple[str, ...], notifications: bool, outage: bool, connections: int
) -> None:
    """How long other processes let a revoked credential in."""
    if connections:
        _require_wrk()
    options = stale.Options(revocations, databases, notifications, outage, connections)
    warm = 1000
    credentials = warm + -(-revocations // 1000) * 1000
    try:
        data = bench_data.prepare(HOME / "data", credentials=credentials, warm=warm, seed=1, fresh=False)
        text = stale.measure(data, options, HOME / "run")
    except _EXPECTED as error:
        raise click.ClickException(str(error)) from None
    _tell(text, "staleness.md")
    if "BROKEN" in text:
        raise click.ClickException("Not every promise was kept; see above.")


@main.command()
@click.option("--rate", "rates", type=click.IntRange(1), multiple=True, default=(250, 500, 750, 1000, 2000, 4000))
@click.option("--seconds", type=click.FloatRange(0.1), default=5.0, help="Of each rate.")
def overload(rates: tuple[int, ...], seconds: float) -> None:
    """What a server does that is asked for more than it can do."""
    try:
        for line in overload_measure(rates, seconds):
            click.echo(line)
    except ServerFailed as error:
        raise click.ClickException(str(error)) from None


@main.command("timing")
@click.option("--requests", type=click.IntRange(20), default=100_000, help="Of each kind.")
@click.option("--credentials", type=click.IntRange(10), default=20_000, help="Rows in the database.")
@click.option("--database", type=click.Choice(DATABASES), default="sqlite")
@click.option("--seed", type=int, default=1, help="What the order follows from.")
def timing_(requests: int, credentials: int, database: str, seed: int) -> None:
    """Whether time tells an unknown key from a wrong secret."""
    try:
        warm = credentials // 10
        data = bench_data.prepare(HOME / "data", credentials=credentials, warm=warm, seed=1, fresh=False)
        with (
            filled_database(data, database, HOME / "run") as url,
            running_sealkey(data, url, HOME / "run/timing.log") as server,
        ):
            text = timing.measure(data, server.address, requests, seed)
    except _EXPECTED as error:
        raise click.ClickException(str(error)) from None
    _tell(text, "timing.md")


@main.command("pages")
@click.option("--credentials", type=click.IntRange(SHORT), default=1_000_000, help="Rows of the long list.")
@click.option("--audit-events", type=click.IntRange(0), default=0, help="Rows of the long log; 0: without.")
@click.option("--times", type=click.IntRange(1), default=40, help="Answers of each page.")
@click.option("--database", "databases", type=click.Choice(DATABASES), multiple=True, default=DATABASES)
@click.option("--rounds", type=click.IntRange(1), default=5, help="Beside others.")
@click.option("--seconds", type=click.FloatRange(0.1), default=2.0, help="Of each round.")
@click.option("--connections", type=click.IntRange(1), default=8)
@click.option("--peers/--no-peers", "with_peers", default=True, help="Measure others' servers beside.")
def pages_(
    credentials: int,
    audit_events: int,
    times: int,
    databases: tuple[str, ...],
    rounds: int,
    seconds: float,
    connections: int,
    with_peers: bool,
) -> None:
    """What pages cost at the beginning, in the middle and at the end of long lists, and beside others."""
    if with_peers:
        _require_wrk()
    options = pages.Options(credentials, audit_events, times, databases, rounds, seconds, connections)
    try:
        text = pages.measure(HOME / "data", options, HOME / "run", HOME / "peers" if with_peers else None)
    except _EXPECTED as error:
        raise click.ClickException(str(error)) from None
    _tell(text, "pages.md")


@main.command()
@click.option("--subscribers", type=click.IntRange(1), default=1000)
@click.option("--changes", type=click.IntRange(1, 100), default=20)
def subscriptions(subscribers: int, changes: int) -> None:
    """How soon many who watch are told, and what memory they take."""
    try:
        data = bench_data.prepare(HOME / "data", credentials=1000, warm=100, seed=1, fresh=False)
        text = watching.measure(data, subscribers, changes, HOME / "run")
    except _EXPECTED as error:
        raise click.ClickException(str(error)) from None
    _tell(text, "subscriptions.md")


@main.command()
def micro() -> None:
    """Two paths inside the process, each beside the least that it could cost; and refusing what is too large."""
    asyncio.run(micro_main())
    asyncio.run(refuse_hostile())


def _tell(text: str, name: str) -> None:
    (HOME / name).write_text(text, encoding="utf-8")
    click.echo(f"\n{text}\nThis is in {HOME / name} too.")


def _require_wrk() -> None:
    if shutil.which("wrk") is None:
        raise click.ClickException("wrk is not on the path: apt install wrk, or brew install wrk, brings it.")


if __name__ == "__main__":
    main()
