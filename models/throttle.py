"""How often somebody has tried in vain, counted where every process sees it."""

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
    last_try = fields.BigIntField()
    closed_until = fields.BigIntField()

    class Meta:
        table = "throttles"


@dataclass(frozen=True)
class ThrottleRule:
    """So many tries are free; each one after that doubles the wait, from a second to a limit. Tries are forgotten
    after a while without any.

    free: tries; limit and forgotten: seconds.
    """

    free: int
    limit: int
    forgotten: int


async def take_try(key: str, rule: ThrottleRule, now: int) -> int:
    """Counts a try before it is made: 0 where it may be made, else the milliseconds until the next one may.

    One statement, so that of any number at the same instant, in any number of processes, each is counted.
    """
    connection = get_connections().get("default")
    if await connection.execute_query_dict(_take(connection.capabilities.dialect, rule, now), [key]):
        return 0
    throttle = await Throttle.get_or_none(key=key)
    return max(1, throttle.closed_until - now) if throttle else 1


async def forgive(key: str) -> None:
    """Forgets the tries of a key: the last one was right."""
    await Throttle.filter(key=key).delete()


async def take_back(key: str) -> None:
    """Uncounts one try of a key that others share: this one was right."""
    await Throttle.filter(key=key, tries__gt=0).update(tries=F("tries") - 1, closed_until=0)


async def forget_old(before: int) -> None:
    """Removes what was last tried before an instant."""
    await Throttle.filter(last_try__lt=before).delete()


def _take(dialect: str, rule: ThrottleRule, now: int) -> str:
    """The numbers are ours; only the key is a parameter. A row whose wait is not over stays as it is, and is not
    among the rows returned."""
    placeholder, least = ("$1", "least") if dialect == "postgres" else ("?", "min")
    forgotten = f"throttles.last_try < {now - rule.forgotten * 1000}"
    # 1, 2, 4 … seconds once the free tries are used up; the shift is bounded so that it can't overflow.
    wait = f"{least}({rule.limit * 1000}, 1000 * (1 << {least}(throttles.tries + 1 - {rule.free}, 20)))"
    return f"""
        INSERT INTO throttles (key, tries, last_try, closed_until) VALUES ({placeholder}, 1, {now}, 0)
        ON CONFLICT (key) DO UPDATE SET
            tries = CASE WHEN {forgotten} THEN 1 ELSE throttles.tries + 1 END,
            closed_until = CASE WHEN {forgotten} OR throttles.tries + 1 < {rule.free} THEN 0 ELSE {now} + {wait} END,
            last_try = {now}
        WHERE throttles.closed_until <= {now}
        RETURNING tries
    """  # noqa: S608
