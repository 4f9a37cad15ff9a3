"""How processes learn that what they remember of a credential is no longer so.

Every change that can turn an ALLOW into a DENY, or end a session, counts the epoch up by one, in its own transaction,
and notes what was changed. The epoch's row is held until that transaction ends, so whoever sees an epoch sees every
change up to it.

Asking for the epoch again and again is what can be relied on. `watch` is a hint that says when to ask at once.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tortoise import fields
from tortoise.connection import get_connections
from tortoise.exceptions import DBConnectionError
from tortoise.expressions import F
from tortoise.models import Model

from models.database import answered_soon, fetch_row, hold_connection, is_sqlite, read_row_here

_CHANNEL = "sealkey_check_epoch"
_LOOK_EVERY = 0.05
PEOPLE = "people"
"""What a change is about that ends no credential, but changes who may ask, or what they are told of themselves."""


class CheckEpoch(Model):
    """The one row that counts."""

    id = fields.IntField(primary_key=True)
    value = fields.BigIntField()

    class Meta:
        table = "check_epoch"


class CheckChange(Model):
    """What a step of the epoch was about, as a global id; or PEOPLE."""

    epoch = fields.BigIntField(primary_key=True, generated=False)
    subject_id = fields.CharField(max_length=64)

    class Meta:
        table = "check_changes"


async def count_up(subject_ids: Sequence[str]) -> None:
    """A step for each of these. Once, and last of all in a transaction: others who count up wait until it ends."""
    if not await CheckEpoch.filter(id=1).update(value=F("value") + len(subject_ids)):
        raise _no_epoch()
    epoch = await CheckEpoch.get(id=1)
    for value, subject_id in enumerate(subject_ids, epoch.value - len(subject_ids) + 1):
        await CheckChange.create(epoch=value, subject_id=subject_id)
    if not is_sqlite():
        await get_connections().get("default").execute_query(f"NOTIFY {_CHANNEL}")  # heard once this is committed


class Epoch(NamedTuple):
    """How often there were changes, and on which server: a standby that took over begins where it had got to, which may
    be less far, so that two servers' changes of the same number need not be the same."""

    value: int
    server: str = ""


async def current_epoch(using: Any = None) -> Epoch:
    """`using`: what to ask in the place of whatever connection becomes free."""
    # Past the models: on SQLite it must not wait for what is being written, which another process need not wait for.
    server = "''" if is_sqlite() else "pg_postmaster_start_time()::text"
    query = f"SELECT value, {server} FROM check_epoch WHERE id = $1"  # noqa: S608
    row = await answered_soon(fetch_row(query, 1, using=using))
    if row is None:
        raise _no_epoch()
    return Epoch(*row)


def _no_epoch() -> DBConnectionError:
    """What lacks it is not the whole of the database: nothing can be decided by it."""
    return DBConnectionError("the epoch is not there")


async def changes_since(epoch: int, limit: int, using: Any = None) -> list[CheckChange]:
    """The changes after an epoch, in order. Raises TimeoutError where they are not answered soon."""
    return await answered_soon(_changes_since(epoch, limit, using))


async def _changes_since(epoch: int, limit: int, using: Any) -> list[CheckChange]:
    return await CheckChange.filter(epoch__gt=epoch).order_by("epoch").limit(limit).using_db(using)


async def forget_changes(kept: int) -> None:
    """Removes all but the last changes; who is further behind than that forgets everything."""
    await CheckChange.filter(epoch__lte=(await current_epoch()).value - kept).delete()


async def watch(say: Callable[[], None]) -> None:
    """Says soon after each change by whatever process that there may have been one. Goes on until it is cancelled, or
    until the connection that it listens on is lost."""
    if is_sqlite():
        await _watch_file(say)
    else:
        await _listen(say)


async def _watch_file(say: Callable[[], None]) -> None:
    version = None
    while True:
        # Costs next to nothing: SQLite looks at a page that it has in memory.
        newest = read_row_here("PRAGMA data_version")
        if newest != version:
            version = newest
            say()
        await asyncio.sleep(_LOOK_EVERY)


async def _listen(say: Callable[[], None]) -> None:
    lost = asyncio.Event()

    def heard(*_about: Any) -> None:
        say()

    async with hold_connection() as connection:
        connection.add_termination_listener(lambda _connection: lost.set())
        await connection.add_listener(_CHANNEL, heard)
        try:
            say()  # for what was said before anybody listened
            await lost.wait()
        finally:
            # Asking the server to stop would wait for one that has gone silent.
            connection.terminate()
