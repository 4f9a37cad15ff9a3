"""Whoever is cancelled and whatever becomes of the server: no connection is lost, and who asks next is answered."""

import asyncio
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing

import pytest
from tortoise.connection import get_connections

from models import database, postgres_engine
from models.database import DatabaseUnusable, connected, dialect, ping, transaction
from models.failures import is_unavailable
from models.migrating import migrate
from models.postgres_hosts import split_hosts
from resolvers.check_memory import CheckMemory
from tests.postgres import running_postgres
from tests.support.rows import Rows

POOL = 3
OTHERS = "FROM pg_stat_activity WHERE application_name = 'sealkey' AND datname = current_database()"
OURS = "FROM pg_stat_activity WHERE application_name = 'sealkey' AND state <> 'idle' AND datname = current_database()"


async def note(epoch: int) -> None:
    """A change of two statements, undone where there was one like it."""
    async with transaction() as connection:
        await connection.execute_query(f"DELETE FROM check_changes WHERE epoch = {epoch}")
        await connection.execute_query(f"INSERT INTO check_changes VALUES ({epoch}, 'cred_1')")


async def cut_off(end_all: Callable[[], Awaitable[None]]) -> None:
    async with transaction() as connection:
        await end_all()
        await connection.execute_query("SELECT 1")


async def read() -> None:
    await get_connections().get("default").execute_query("SELECT * FROM check_changes")


async def cancelled(doing: Awaitable[None], *, turns: int = 0, milliseconds: float = 0) -> None:
    task = asyncio.ensure_future(doing)
    for _ in range(turns):
        await asyncio.sleep(0)
    await asyncio.sleep(milliseconds / 1000)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def all_connections() -> AsyncIterator[None]:
    """Holds as many transactions at once as there are connections."""
    async with AsyncExitStack() as held:
        for _ in range(POOL if dialect() == "postgres" else 1):
            # Each in a task's context of its own: inside one, the next would be a part of it.
            await held.enter_async_context(get_connections().get("default").acquire_connection())
        yield


async def none_is_lost(rows: Rows) -> None:
    async with asyncio.timeout(10):
        async with all_connections():
            pass
        await asyncio.gather(*(note(1000 + number) for number in range(2 * POOL)))
    if rows.engine == "sqlite":
        with closing(sqlite3.connect(rows.url.removeprefix("sqlite://"), timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")  # which somebody's open transaction would not allow
        return
    pool = get_connections().get("default")._pool
    assert (pool.get_idle_size(), pool.get_size() <= POOL) == (pool.get_size(), True)
    busy, open_ = await asyncio.to_thread(
        lambda: (rows.execute(f"SELECT * {OURS}"), rows.execute(f"SELECT * {OTHERS}"))
    )
    assert (busy, len(open_)) == ([], pool.get_size())


@pytest.mark.parametrize("what", [lambda: note(1), read, ping], ids=["a change", "a list", "a ping"])
def test_who_is_cancelled_at_any_time_keeps_no_connection(
    database_url: str, what: Callable[[], Awaitable[None]]
) -> None:
    async def run() -> None:
        rows = Rows(database_url)
        async with connected(database_url, pool_size=POOL):
            for number in range(40):
                await cancelled(what(), turns=number)
                await cancelled(what(), milliseconds=number / 10)
            await asyncio.gather(*(cancelled(what(), milliseconds=number / 10) for number in range(40)))
            await none_is_lost(rows)
            for number in range(2000, 2010):
                await note(number)
                await cancelled(note(1), turns=number % 4)
        # What was done after somebody was cancelled is there, and was not a part of what was rolled back.
        kept = await asyncio.to_thread(rows.execute, "SELECT epoch FROM check_changes WHERE epoch >= 2000 ORDER BY 1")
        assert [epoch for (epoch,) in kept] == [*range(2000, 2010)]

    asyncio.run(run())


@pytest.mark.engine("sqlite")
def test_who_is_cancelled_waiting_for_another_process_leaves_nothing_open(database_url: str) -> None:
    async def run() -> None:
        rows = Rows(database_url)
        async with connected(database_url):
            await note(1)
            with closing(sqlite3.connect(rows.url.removeprefix("sqlite://"))) as other:
                other.execute("BEGIN IMMEDIATE")
                task = asyncio.ensure_future(note(2))
                await asyncio.sleep(0.05)
                task.cancel()
                await asyncio.sleep(0)
                other.rollback()
                await asyncio.gather(task, return_exceptions=True)
            await note(3)
            await none_is_lost(rows)
        assert rows.execute("SELECT epoch FROM check_changes WHERE epoch < 1000 ORDER BY 1") == [(1,), (3,)]

    asyncio.run(run())


@pytest.mark.engine("postgres")
def test_connections_that_the_server_ended_are_replaced(database_url: str) -> None:
    async def run() -> None:
        rows = Rows(database_url)

        async def end_all() -> None:
            await asyncio.to_thread(rows.execute, f"SELECT pg_terminate_backend(pid, 5000) {OTHERS}")
            await asyncio.sleep(0.05)

        async with connected(database_url, pool_size=POOL):
            async with all_connections():
                pass
            await end_all()
            await none_is_lost(rows)
            with pytest.raises(Exception) as failed:  # noqa: PT011  (the driver raises what it likes)
                await cut_off(end_all)
            assert is_unavailable(failed.value)
            await none_is_lost(rows)

    asyncio.run(run())


@pytest.mark.engine("postgres")
def test_a_server_that_was_restarted_is_asked_again() -> None:
    with running_postgres() as postgres:
        url = postgres.create_database("restarted")
        asyncio.run(migrate(url))

        async def run() -> None:
            async with connected(url, pool_size=POOL):
                async with all_connections():
                    pass
                await asyncio.to_thread(postgres.stop)
                for what in (note(1), ping(), note(2), read()):
                    with pytest.raises(Exception) as failed:  # noqa: PT011
                        await what
                    assert is_unavailable(failed.value)
                await asyncio.to_thread(postgres.start)
                await none_is_lost(Rows(url))

        asyncio.run(run())


@pytest.mark.engine("postgres")
def test_changes_are_learned_of_while_all_connections_are_in_use(database_url: str) -> None:
    async def run() -> None:
        async with connected(database_url, pool_size=POOL), all_connections():
            memory = CheckMemory()
            await memory.refresh(waits_for_others=False)
            assert memory.is_believed()
            with pytest.raises(TimeoutError):
                await memory.refresh()

    asyncio.run(run())
    assert Rows(database_url).execute(f"SELECT * {OTHERS}") == [], "none is left"


@pytest.mark.engine("postgres")
def test_who_gets_no_connection_in_time_is_told_so(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with connected(database_url, pool_size=POOL):
            async with all_connections():
                monkeypatch.setattr(postgres_engine, "_WAIT_SECONDS", 0.1)
                for what in (note(1), read()):
                    with pytest.raises(ConnectionError) as failed:
                        await what
                    assert is_unavailable(failed.value)
                monkeypatch.undo()
            await none_is_lost(Rows(database_url))

    asyncio.run(run())


@pytest.mark.engine("postgres")
def test_of_several_hosts_the_one_that_takes_writes_is_used(database_url: str) -> None:
    before, host, after = database_url.partition("127.0.0.1:")
    asyncio.run(migrate(f"{before}127.0.0.1:1,{host}{after}"))
    asyncio.run(migrate(f"{before}{host}{after.replace('/', ',127.0.0.1:1/')}"))


@pytest.fixture
def beside_a_silent_host(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The database's address, and before it that of a machine which takes what it is sent and never answers."""
    monkeypatch.setitem(database._POSTGRES_SECONDS, "timeout", 0.6)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield database_url.replace("127.0.0.1:", f"127.0.0.1:{silent.getsockname()[1]},127.0.0.1:")


@pytest.mark.engine("postgres")
def test_a_host_that_is_silent_keeps_none_from_the_next(beside_a_silent_host: str) -> None:
    async def run() -> None:
        # Which is asked first from then on: no other connection waits for the silent one.
        async with connected(beside_a_silent_host, pool_size=POOL), asyncio.timeout(0.25), all_connections():
            pass

    asyncio.run(run())


@pytest.mark.engine("postgres")
def test_changes_are_learned_of_where_connecting_takes_longer_than_an_answer_may(
    beside_a_silent_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_ANSWER_SECONDS", 0.2)

    async def run() -> None:
        memory = CheckMemory()
        async with connected(beside_a_silent_host, pool_size=POOL):
            await memory.refresh(waits_for_others=False)
        assert memory.is_believed()

    asyncio.run(run())


@pytest.mark.engine("postgres")
def test_a_pool_that_begins_with_several_connections_upgrades_with_one(database_url: str) -> None:
    asyncio.run(migrate(f"{database_url}?minsize=2"))


@pytest.mark.engine("postgres")
def test_where_no_host_takes_writes_the_database_is_unavailable(database_url: str) -> None:
    before, host, after = database_url.partition("127.0.0.1:")
    rows, several = Rows(database_url), f"{before}127.0.0.1:1,{host}{after}"
    name = database_url.rpartition("/")[2]

    async def run() -> None:
        async with connected(several, pool_size=POOL):
            await note(1)
            await asyncio.to_thread(rows.execute, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
            await asyncio.to_thread(rows.execute, f"SELECT pg_terminate_backend(pid, 5000) {OTHERS}")
            await asyncio.sleep(0.05)
            with pytest.raises(Exception) as failed:  # noqa: PT011
                await note(2)
            assert is_unavailable(failed.value)

    asyncio.run(run())
    with pytest.raises(DatabaseUnusable):
        asyncio.run(migrate(several))


@pytest.mark.parametrize(
    ("url", "first", "hosts"),
    [
        ("postgres://u:p%2C@one,two:6/db?a=b,c", "postgres://u:p%2C@one/db?a=b,c", [("one", 5432), ("two", 6)]),
        ("postgres://[::1]:1,[::2]/db", "postgres://[::1]:1/db", [("::1", 1), ("::2", 5432)]),
        ("postgres://u:p,q@one/db", "postgres://u:p,q@one/db", []),
    ],
)
def test_hosts_are_read_as_libpq_reads_them(url: str, first: str, hosts: list[tuple[str, int]]) -> None:
    one, all_ = split_hosts(url)
    assert (one, [*all_]) == (first, hosts)
