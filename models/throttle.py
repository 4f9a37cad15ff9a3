"""How often somebody has tried in vain, counted where every process sees it."""

from collections.abc import Sequence
from dataclasses import dataclass

from tortoise import fields
from tortoise.connection import get_connections
from tortoise.expressions import F
from tortoise.models import Model


class Throttle(Model):
    """The tries of one key: a subject from a source, or a source alone. Instants are in milliseconds since 1970, so
    that one statement means the same on both engines."""

    key = fields.CharField(max_length=64, primary_key=True)
    tries = fields.IntField()
    # The instant up to which tries have been forgotten.
    since = fields.BigIntField()
    closed_until = fields.BigIntField()

    class Meta:
        table = "throttles"


@dataclass(frozen=True)
class ThrottleRule:
    """So many tries are free; each one after that doubles the wait, from a second to a limit. One try after the other
    is forgotten, and no slower than the limit lets new ones be made: what a source that is always busy got wrong long
    ago is not held against it.

    free: tries; limit: seconds; forgotten: seconds until one try is.
    """

    free: int
    limit: int
    forgotten: int


async def wait_for(keys: Sequence[str], now: int) -> int:
    """The milliseconds until each of these keys may be tried, as far as is known without counting a try."""
    closed = await Throttle.filter(key__in=keys, closed_until__gt=now)
    return max((throttle.closed_until - now for throttle in closed), default=0)


async def take_try(key: str, rule: ThrottleRule, now: int) -> int:
    """Counts a try before it is made: 0 where it may be made, else the milliseconds until the next one may.

    One statement, so that of any number at the same instant, in any number of processes, each is counted.
    """
    connection = get_connections().get("default")
    if await connection.execute_query_dict(_take(connection.capabilities.dialect, rule, now), [key]):
        return 0
    return max(1, await wait_for([key], now))


async def forgive(key: str) -> None:
    """Forgets the tries of a key: the last one was right."""
    await Throttle.filter(key=key).delete()


async def take_back(key: str) -> None:
    """Uncounts one try of a key that others share: it was right, or was not made after all."""
    await Throttle.filter(key=key, tries__gt=0).update(tries=F("tries") - 1, closed_until=0)


async def forget_old(rule: ThrottleRule, now: int) -> None:
    """Removes the keys of which every try is forgotten."""
    connection = get_connections().get("default")
    drip = rule.forgotten * 1000
    await connection.execute_query(
        f"DELETE FROM throttles WHERE since < {now - drip} AND since + CAST(tries AS BIGINT) * {drip} < {now}"  # noqa: S608
    )


def _take(dialect: str, rule: ThrottleRule, now: int) -> str:
    """The numbers are ours; only the key is a parameter. A row whose wait is not over stays as it is, and is not
    among the rows returned."""
    placeholder, least, greatest = ("$1", "least", "greatest") if dialect == "postgres" else ("?", "min", "max")
    drip = rule.forgotten * 1000
    forgotten = f"{greatest}(0, ({now} - throttles.since) / {drip})"
    kept = f"CAST({greatest}(0, throttles.tries - {forgotten}) AS INTEGER)"
    # 1, 2, 4 … seconds once the free tries are used up; the shift is bounded so that it can't overflow.
    wait = f"{least}({rule.limit * 1000}, 1000 * (1 << {least}({kept} + 1 - {rule.free}, 20)))"
    return f"""
        INSERT INTO throttles (key, tries, since, closed_until) VALUES ({placeholder}, 1, {now}, 0)
        ON CONFLICT (key) DO UPDATE SET
            tries = {kept} + 1,
            since = CASE WHEN {kept} = 0 THEN {now} ELSE throttles.since + {forgotten} * {drip} END,
            closed_until = CASE WHEN {kept} + 1 < {rule.free} THEN 0 ELSE {now} + {wait} END
        WHERE throttles.closed_until <= {now}
        RETURNING tries
    """  # noqa: S608
