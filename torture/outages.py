"""The database goes away for real: its disk is full or read-only, the network between is cut, swallows or forgets
connections, its backends are terminated, others hold its locks, and a standby takes over.

What must hold: while it can't be asked everybody is told so, soon; nobody is let in whose revocation was acknowledged;
what was acknowledged is there; and all works again, by itself, as soon as the database does.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from time import monotonic, sleep
from typing import Any
from unittest.mock import patch

import asyncpg
import click

from models import database, postgres_engine
from tests.access.stage import Stage
from tests.postgres import Databases, Postgres, running_postgres
from torture.campaign import CampaignFailed
from torture.disk_outages import (
    full_disk,
    full_disk_of_postgres,
    read_only_disk,
    started_where_nothing_can_be_written,
)
from torture.faults import is_success, is_unavailable
from torture.network import Network, State
from torture.requested import AT_ONCE, PATIENCE, back_within, requests, require
from torture.staging import alone, staged

# In the place of the server's own 20, 10, 10 and 10 seconds, which nobody wants to wait for so often.
_SECONDS = 2


def outages(*, small: bool) -> None:
    click.echo(alone(on_sqlite, small))
    click.echo(alone(on_postgres, small))


def on_sqlite(small: bool) -> str:
    """What there is to lose of SQLite is its disk, line by line."""
    more = [] if small else [read_only_disk()]
    return _lines([full_disk(small=small), *more, started_where_nothing_can_be_written()])


def on_postgres(small: bool) -> str:
    """The rest of the campaign, line by line."""
    return _lines([*_on_postgres(small), *([] if small else [full_disk_of_postgres()])])


def _lines(told: Iterable[str]) -> str:
    return "\n".join(f"  {each}" for each in told)


def _on_postgres(small: bool) -> Iterator[str]:
    with running_postgres(durable=True) as primary, quick_to_give_up():
        network = Network(primary.port)
        with network.running(), staged(_through(network, primary)) as stage:
            for state in (State.CUT,) if small else State:
                yield network_is(stage, network, state)
            yield terminated(stage, primary, 2 if small else 30)
            yield locked_out(stage, primary)
        if not small:
            yield from (failover(synchronous=synchronous) for synchronous in (True, False))


@contextmanager
def quick_to_give_up() -> Iterator[None]:
    seconds = {"command_timeout": _SECONDS, "timeout": _SECONDS}
    with (
        patch.dict(database._POSTGRES_SECONDS, seconds),
        patch.dict(database._POSTGRES_SETTINGS, {"lock_timeout": f"{_SECONDS * 500}ms"}),
        patch.object(postgres_engine, "_WAIT_SECONDS", _SECONDS),
    ):
        yield


def _through(network: Network, primary: Postgres) -> Databases:
    user, _, _ = primary.address.rpartition("@")
    return Databases(f"{user}@127.0.0.1:{network.port}")


def network_is(stage: Stage, network: Network, state: State) -> str:
    asked = requests(stage)
    for name, send in asked.items():
        require(name, send())
    network.become(state)
    began = monotonic()
    sleep(0 if state in {State.WHOLE, State.SLOW} else 1)  # what is remembered is believed for less than that
    longest = 0.0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for answer in pool.map(lambda send: send(), [*asked.values()] * AT_ONCE):
            if state in {State.WHOLE, State.SLOW}:
                require(state, answer)
            elif not is_unavailable(answer) and not (state is State.HALF_OPEN and is_success(answer)):
                raise CampaignFailed(f"{state}: {answer.request.url} {answer.status_code} {answer.text}")
            longest = max(longest, answer.elapsed.total_seconds())
    gone_for = monotonic() - began
    network.become(State.WHOLE)
    back = back_within(stage, asked)
    answers = f"{len(asked) * AT_ONCE} answers, the slowest after {longest:.1f} s"
    return f"the network {state} for {gone_for:.1f} s: {answers}; all well {back:.1f} s after"


def terminated(stage: Stage, primary: Postgres, times: int) -> str:
    """All backends, again and again, while changes are made: each is there that was acknowledged, and each event of one
    that is there."""
    create, made, lost = requests(stage)["a change"], 0, 0
    rows = stage.play.rows
    before = rows.execute("SELECT count(*) FROM accounts")[0][0]
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sealkey'"
    with ThreadPoolExecutor(8) as pool:
        for _ in range(times):
            answers = [pool.submit(create) for _ in range(16)]
            asyncio.run(_execute(primary, rows.url, end))
            for answer in (each.result() for each in answers):
                if not is_success(answer) and not is_unavailable(answer):
                    raise CampaignFailed(f"a backend was terminated: {answer.status_code} {answer.text}")
                made, lost = made + is_success(answer), lost + is_unavailable(answer)
    back_within(stage, requests(stage))
    told = rows.execute("SELECT count(*) FROM audit_events WHERE type = 'account.created'")[0][0]
    here = rows.execute("SELECT count(*) FROM accounts")[0][0]
    if here - before < made or here != told:
        raise CampaignFailed(f"{made} accounts were acknowledged, {here - before} are there, {told} of {here} events")
    return f"backends terminated {times} times: of {made + lost} changes {made} acknowledged, {here - before} there"


async def _execute(primary: Postgres, url: str, statement: str) -> None:
    connection = await asyncpg.connect(primary.url(url.rpartition("/")[2]))
    await connection.execute(statement)
    await connection.close()


def locked_out(stage: Stage, primary: Postgres) -> str:
    """Somebody holds what every change needs."""
    create = requests(stage)["a change"]

    async def hold() -> float:
        connection = await asyncpg.connect(primary.url(stage.play.rows.url.rpartition("/")[2]))
        async with connection.transaction():
            await connection.execute("LOCK TABLE audit_events IN EXCLUSIVE MODE")
            answers = await asyncio.gather(*(asyncio.to_thread(create) for _ in range(3)))
            for answer in answers:
                if not is_unavailable(answer):
                    raise CampaignFailed(f"a lock: {answer.status_code} {answer.text}")
        await connection.close()
        return max(answer.elapsed.total_seconds() for answer in answers)

    waited = asyncio.run(hold())
    require("after a lock", create())
    return f"locks held by somebody else: told to try again after {waited:.2f} s"


def failover(*, synchronous: bool) -> str:
    """The server dies and a standby is promoted. What was acknowledged is there where it was synchronous. Where it was
    not, and lost changes, the next ones have these's numbers: whom one of them revokes is not let in all the same."""
    with running_postgres(durable=True) as primary, primary.standby() as standby, ExitStack() as stack:
        network = stack.enter_context(Network(primary.port).running())
        stage = stack.enter_context(staged(_through(network, primary)))
        if synchronous:
            _alter(primary, "synchronous_standby_names = '*'")
        else:
            _wait_for(
                lambda: _position(standby, "pg_last_wal_replay_lsn()") >= _position(primary, "pg_current_wal_lsn()")
            )
            _alter(standby, "primary_conninfo = ''")
            _wait_for(lambda: not _ask(primary, "SELECT count(*) FROM pg_stat_replication"))
        names = _acknowledged(stage)
        check = requests(stage)["a check"]
        require("a check", check())
        primary.kill()
        began = monotonic()
        standby.promote()
        network.lead_to(standby.port)
        back_within(stage, requests(stage))
        took = monotonic() - began
        kept = _kept(stage, names)
        if synchronous and kept < len(names):
            raise CampaignFailed(f"of {len(names)} accounts acknowledged {kept} are there")
        if not synchronous and kept:
            raise CampaignFailed(f"{kept} accounts should have been lost")
        require("a check", check())
        stage.operator.do("revokeCredential", "credential { id }", credentialId=stage.mine.ids["Credential"])
        if (answer := check()).status_code != 401:
            raise CampaignFailed(f"revoked on the new server, and answered {answer.status_code}")
    how = "synchronous" if synchronous else "losing changes"
    return (
        f"failover, {how}: all well {took:.1f} s after; {kept} of {len(names)} changes there; whom it revokes kept out"
    )


def _acknowledged(stage: Stage) -> list[str]:
    """Names of accounts that were made and of which each was suspended, which counts the epoch up."""
    names = [stage.unique("acknowledged") for _ in range(10)]
    for name in names:
        made = stage.operator.do("createAccount", "account { id }", name=name)["account"]["id"]
        stage.operator.do("suspendAccount", "account { id }", accountId=made)
    return names


def _kept(stage: Stage, names: list[str]) -> int:
    listed = ", ".join(f"'{name}'" for name in names)
    return int(stage.play.rows.execute(f"SELECT count(*) FROM accounts WHERE name IN ({listed})")[0][0])


def _alter(server: Postgres, setting: str) -> None:
    _ask(server, f"ALTER SYSTEM SET {setting}")
    _ask(server, "SELECT pg_reload_conf()")


def _position(server: Postgres, of: str) -> int:
    return int(_ask(server, f"SELECT ({of} - '0/0')::bigint") or 0)


def _ask(server: Postgres, question: str) -> Any:
    async def ask() -> Any:
        connection = await asyncpg.connect(server.url("postgres"))
        try:
            return await connection.fetchval(question)
        finally:
            await connection.close()

    return asyncio.run(ask())


def _wait_for(holds: Callable[[], bool]) -> None:
    give_up = monotonic() + PATIENCE
    while not holds():
        if monotonic() > give_up:
            raise CampaignFailed("the standby is not where it should be")
        sleep(0.05)
