"""Whatever becomes of a transaction, the next one begins as if nothing had happened, and no connection is lost."""

import asyncio
import sqlite3
from typing import Any

import aiosqlite
import asyncpg
import pytest
from tortoise.exceptions import OperationalError

from models.account import Account
from models.database import connected, is_sqlite, transaction
from models.failures import is_unavailable
from models.ids import new_id
from tests.support.server import START

POOL = 2


async def make(name: str) -> None:
    await Account.create(id=new_id(START), name=name, created_at=START)


async def transact(*names: str, error: BaseException | None = None) -> None:
    async with transaction():
        for name in names:
            await make(name)
        if error:
            raise error


async def check_that_transactions_work() -> None:
    """More of them than there are connections, and nothing is there already."""
    async with asyncio.timeout(10):
        for number in range(2 * POOL):
            async with transaction():
                assert await Account.all().count() == number
                await make(f"account {number}")


class Breaking:
    """Lets statements fail that begin with a word, without executing them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def __call__(self, error: BaseException, *words: str) -> None:
        for word in words:
            driver: Any = aiosqlite.Connection if is_sqlite() else asyncpg.Connection
            name = "execute" if word == "BEGIN" or not is_sqlite() else word.lower()
            self._patch.setattr(driver, name, self._failing(getattr(driver, name), word, error))

    def _failing(self, real: Any, word: str, error: BaseException) -> Any:
        async def method(connection: Any, *arguments: Any, **named: Any) -> Any:
            if not arguments or arguments[0].startswith(word):
                raise error
            return await real(connection, *arguments, **named)

        return method

    def no_more(self) -> None:
        self._patch.undo()


@pytest.fixture
def breaking() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        yield Breaking(patch)


@pytest.mark.parametrize("words", [["BEGIN"], ["COMMIT"], ["COMMIT", "ROLLBACK"]], ids=" and ".join)
@pytest.mark.parametrize("error", [OSError("gone"), asyncio.CancelledError()], ids=["error", "cancelled"])
def test_a_transaction_that_does_not_begin_or_end(
    database_url: str, breaking: Breaking, words: list[str], error: BaseException
) -> None:
    async def use() -> None:
        async with connected(database_url, pool_size=POOL):
            breaking(error, *words)
            for _ in range(2 * POOL):
                with pytest.raises(type(error)):
                    await transact("lost")
            breaking.no_more()
            await check_that_transactions_work()

    asyncio.run(use())


def test_a_transaction_that_can_not_be_rolled_back_fails_with_what_went_wrong_first(
    database_url: str, breaking: Breaking
) -> None:
    async def use() -> None:
        async with connected(database_url, pool_size=POOL):
            breaking(OSError("gone"), "ROLLBACK")
            for _ in range(2 * POOL):
                with pytest.raises(ZeroDivisionError):
                    await transact("lost", error=ZeroDivisionError())
            breaking.no_more()
            await check_that_transactions_work()

    asyncio.run(use())


def test_who_is_cancelled_while_a_transaction_begins_leaves_none_open(database_url: str) -> None:
    async def use() -> None:
        async def once() -> None:
            async with transaction():
                await make("lost")
                await asyncio.sleep(10)

        async with connected(database_url, pool_size=POOL):
            for steps in range(20):
                task = asyncio.create_task(once())
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await check_that_transactions_work()

    asyncio.run(use())


@pytest.mark.engine("postgres")
def test_a_server_that_no_longer_answers_costs_no_connection_and_the_others_to_it_are_not_used(
    database_url: str, breaking: Breaking
) -> None:
    async def deleting() -> None:
        async with transaction() as connection:
            await connection.execute_query("DELETE FROM accounts")

    async def use() -> None:
        async with connected(database_url, pool_size=POOL):
            breaking(TimeoutError(), "DELETE")
            for _ in range(2 * POOL):
                with pytest.raises(TimeoutError):
                    await deleting()
            breaking.no_more()
            await check_that_transactions_work()

    asyncio.run(use())


@pytest.mark.engine("sqlite")
def test_a_full_database_is_one_that_can_not_be_asked_now_and_works_again_when_there_is_room(database_url: str) -> None:
    async def use() -> None:
        async with connected(database_url, pool_size=POOL):
            async with transaction() as connection:
                await connection.execute_query("PRAGMA max_page_count = 1")  # SQLite takes what there is
            with pytest.raises(OperationalError) as full:
                await transact(*(f"{number} {'x' * 90}" for number in range(10_000)))
            assert full.value.args[0].sqlite_errorcode == sqlite3.SQLITE_FULL
            assert is_unavailable(full.value)
            async with transaction() as connection:
                await connection.execute_query("PRAGMA max_page_count = 1000000")
            await check_that_transactions_work()

    asyncio.run(use())
