"""Servers are killed at random instants while people change things and gateways ask; and so is the database server.

Whatever was acknowledged is there afterwards, whatever was not is there as a whole or not at all, and what was ended
is let in no more. Kills are by SIGKILL, which is what a crash of the program or the kernel's killer of memory hogs is.
What a power cut would take besides, the pages that the operating system had not written yet, is not lost to a kill:
for that SQLite writes with synchronous=FULL and PostgreSQL with fsync, as they come here.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.postgres import Postgres, fastest_directory, running_postgres
from tests.support.receiver import Receiver, running_receiver
from tests.support.rows import Rows
from tests.support.world import OPERATOR, PASSWORD
from torture.afterwards import check_chains, check_let_go, check_told, check_usage, check_whole
from torture.campaign import CampaignFailed
from torture.commands_killed import kill_commands
from torture.customer import Customers, Gateway
from torture.fleet import Fleet
from torture.forked import Forks
from torture.ledger import Ledger
from torture.messages import Messages, check_messages, wait_until_sent
from torture.stage import make_stage

_DATABASE = "crash"
_REPLICAS = 3
_CUSTOMERS = 8
_GATEWAYS = 2
_KILLS_AT_ONCE = 50
_UNDER_LOAD = 0.4  # seconds
_SETTINGS = {
    "SEALKEY_GRAPHQL_BUDGET": "0",
    "SEALKEY_USAGE_FLUSH_SECONDS": "1",
    "SEALKEY_DRAIN_SECONDS": "0",
    "SEALKEY_WEBHOOK_ALLOWED_NETWORKS": '["127.0.0.0/8"]',
}


@dataclass
class Deployment:
    """A database with a stage in it, the servers on it, and who asks them."""

    rows: Rows
    keys_file: Path
    fleet: Fleet
    ledger: Ledger
    customers: list[Customers]
    gateways: list[Gateway]
    messages: Messages
    started: float = field(default_factory=time.monotonic)


def crash(*, small: bool, seed: int | None = None, kills: int | None = None) -> None:
    """The campaign. `kills` are those of servers, on each engine; of the database server a fifth of that."""
    seed = seed if seed is not None else Random().randrange(1_000_000)
    kills = kills if kills is not None else 9 if small else 500
    print(f"seed {seed}: --seed {seed} kills at the same instants again")
    with Forks() as forks, _directory() as directory:
        crash_sqlite(forks, Path(directory), seed, kills=kills, small=small)
        crash_postgres(forks, Path(directory), seed, kills=kills, small=small)
        kill_commands(forks, Path(directory), seed, points=3 if small else 60)


def _directory() -> tempfile.TemporaryDirectory[str]:
    # Of a kill nothing depends on the disk, and without it there is more to be killed in the same time.
    return tempfile.TemporaryDirectory(prefix="sealkey-crash-", dir=fastest_directory())


def crash_sqlite(forks: Forks, directory: Path, seed: int, *, kills: int, small: bool) -> None:
    url = f"sqlite://{directory}/{_DATABASE}.sqlite3"
    with running_receiver() as receiver:
        deployment = _deploy(forks, directory / "sqlite", url, seed, receiver, small=small)
        _kill_servers(deployment, kills)
        _report("SQLite, servers killed", deployment)


def crash_postgres(forks: Forks, directory: Path, seed: int, *, kills: int, small: bool) -> None:
    with running_postgres(durable=True, on_disk=False) as postgres, running_receiver() as receiver:
        url = postgres.create_database(_DATABASE)
        deployment = _deploy(forks, directory / "postgres", url, seed, receiver, small=small)
        _kill_servers(deployment, kills)
        _report("PostgreSQL, servers killed", deployment)
        _kill_database(deployment, postgres, max(2, kills // 5))
        _report("PostgreSQL, and it killed too", deployment)


def _deploy(forks: Forks, directory: Path, url: str, seed: int, receiver: Receiver, *, small: bool) -> Deployment:
    directory.mkdir()
    settings = {"SEALKEY_DATABASE_URL": url, "SEALKEY_DATA_DIR": str(directory), **_SETTINGS}
    log = directory / "log"
    status = forks.run("operator", "create", "--email", OPERATOR, settings=settings, log=log, stdin=PASSWORD)
    if status:
        raise CampaignFailed(f"there is no operator:\n{log.read_text()}")
    fleet = Fleet(forks, settings, log, Random(seed), 2 if small else _REPLICAS)
    replica = fleet.replicas[0]
    asyncio.run(fleet.start(replica))
    stage = make_stage(f"http://127.0.0.1:{replica.port}", 3 if small else _CUSTOMERS)
    messages = Messages(receiver, Random(f"{seed}-messages"))
    messages.be_told(f"http://127.0.0.1:{replica.port}", stage.customers)
    fleet.kill(replica)
    ledger = Ledger()
    customers = [Customers(fleet, ledger, stage, customer, messages, seed) for customer in stage.customers]
    gateways = [Gateway(fleet, ledger, stage, f"{seed}-gateway-{number}") for number in range(_GATEWAYS)]
    return Deployment(Rows(url), directory / "server-keys.json", fleet, ledger, customers, gateways, messages)


def _kill_servers(deployment: Deployment, kills: int) -> None:
    fleet, replicas = deployment.fleet, deployment.fleet.size
    while left := kills - fleet.kills.total():
        part = min(_KILLS_AT_ONCE, left)
        shares = [part // replicas + (number < part % replicas) for number in range(replicas)]
        asyncio.run(_under_load(deployment, lambda: _servers_killed(fleet, shares)))  # noqa: B023  (used at once)
        _check(deployment)
        print(f"  {fleet.kills.total()} of {kills} killed", flush=True)


def _kill_database(deployment: Deployment, postgres: Postgres, kills: int) -> None:
    deployment.fleet.kills.clear()
    asyncio.run(_under_load(deployment, lambda: _database_killed(deployment.fleet, postgres, kills)))
    _check(deployment)


async def _under_load(deployment: Deployment, kill: Callable[[], Awaitable[None]]) -> None:
    """While it is killed, customers change things and gateways ask. They end with an answer to all that they asked
    for, and then the servers are stopped."""
    over = asyncio.Event()
    deployment.ledger.changing.clear()  # as far as the servers know that are about to start
    fleet = deployment.fleet
    asking: list[Customers | Gateway] = [*deployment.customers, *deployment.gateways]
    with fleet.last_words():
        async with asyncio.TaskGroup() as load:
            for each in asking:
                load.create_task(each.live(over))
            await kill()
            over.set()
        await asyncio.to_thread(wait_until_sent, deployment.rows)
    await fleet.stop()


async def _servers_killed(fleet: Fleet, shares: list[int]) -> None:
    async with asyncio.TaskGroup() as killing:
        for replica, kills in zip(fleet.replicas, shares, strict=True):
            killing.create_task(fleet.kill_again_and_again(replica, kills))


async def _database_killed(fleet: Fleet, postgres: Postgres, kills: int) -> None:
    for replica in fleet.replicas:
        await fleet.start(replica)
    for _ in range(kills):
        await asyncio.sleep(fleet.random.uniform(0, _UNDER_LOAD))
        await asyncio.to_thread(postgres.kill)
        await asyncio.to_thread(postgres.start)
        fleet.kills["database"] += 1


def _check(deployment: Deployment) -> None:
    rows, ledger = deployment.rows, deployment.ledger
    check_let_go(rows)
    deployment.ledger.counts["events"] = check_chains(rows, deployment.keys_file)
    check_told(rows, ledger)
    check_whole(rows, ledger)
    check_usage(rows, ledger)
    ledger.counts["messages"] = check_messages(rows, deployment.messages)


def _report(what: str, deployment: Deployment) -> None:
    fleet, counts = deployment.fleet, deployment.ledger.counts
    counted, least, most = check_usage(deployment.rows, deployment.ledger)
    kills = ", ".join(f"{count} {end}" for end, count in sorted(fleet.kills.items()))
    print(
        f"{what}: {fleet.kills.total()} kills ({kills}) in {time.monotonic() - deployment.started:.0f} s;"
        f" changes answered {counts['answered']}, not answered {counts['not answered']},"
        f" given up then {counts['forgotten']};"
        f" checks {counts['checks']}, foreseen {counts['checks foreseen']}, unavailable {counts['checks unavailable']};"
        f" {len(deployment.ledger.credentials)} credentials, {counts['events']} events in whole chains;"
        f" {counts['messages']} messages came, {counts['endpoints']} endpoints replaced;"
        f" uses counted {counted} of {least} to {most}; longest start {fleet.longest_start:.1f} s",
        flush=True,
    )
