"""How processes learn that what they remember of a credential is no longer so.

Every change that can turn an ALLOW into a DENY counts the epoch up by one, in its own transaction, and notes what was
changed. The epoch's row is held until that transaction ends, so whoever sees an epoch sees every change up to it.
"""

from tortoise import fields
from tortoise.expressions import F
from tortoise.models import Model


class CheckEpoch(Model):
    """The one row that counts."""

    id = fields.IntField(primary_key=True)
    value = fields.BigIntField()

    class Meta:
        table = "check_epoch"


class CheckChange(Model):
    """What a step of the epoch was about, as a global id."""

    epoch = fields.BigIntField(primary_key=True, generated=False)
    subject_id = fields.CharField(max_length=64)

    class Meta:
        table = "check_changes"


async def count_up(subject_id: str) -> None:
    """Last of all in a transaction: others who count up wait until it ends."""
    await CheckEpoch.filter(id=1).update(value=F("value") + 1)
    epoch = await CheckEpoch.get(id=1)
    await CheckChange.create(epoch=epoch.value, subject_id=subject_id)


async def current_epoch() -> int:
    row = await CheckEpoch.get(id=1)
    return int(row.value)


async def changes_since(epoch: int, limit: int) -> list[CheckChange]:
    """The changes after an epoch, in order."""
    return await CheckChange.filter(epoch__gt=epoch).order_by("epoch").limit(limit)


async def forget_changes(kept: int) -> None:
    """Removes all but the last changes; who is further behind than that forgets everything."""
    await CheckChange.filter(epoch__lte=await current_epoch() - kept).delete()
