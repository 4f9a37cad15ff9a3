"""How often a credential was let in and turned away, by day in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tortoise import fields
from tortoise.connection import get_connections
from tortoise.models import Model

from models.credential import Credential
from models.database import transaction


class CredentialUsage(Model):
    """One day of one credential. The two columns are the key; Tortoise wants one named."""

    credential_id = fields.UUIDField(primary_key=True)
    day = fields.CharField(max_length=10)
    allowed = fields.BigIntField()
    denied = fields.BigIntField()

    class Meta:
        table = "credential_usage"


@dataclass
class Count:
    """What is to be added to a day."""

    allowed: int = 0
    denied: int = 0


_ADD = """
    INSERT INTO credential_usage (credential_id, day, allowed, denied) VALUES ({0}, {1}, {2}, {3})
    ON CONFLICT (credential_id, day) DO UPDATE SET
        allowed = credential_usage.allowed + excluded.allowed, denied = credential_usage.denied + excluded.denied
"""
_PLACEHOLDERS = {"sqlite": ("?", "?", "?", "?"), "postgres": ("$1", "$2", "$3", "$4")}


async def add_usage(counts: Mapping[tuple[UUID, str], Count], last_uses: Mapping[UUID, datetime]) -> None:
    """Adds counts to days and notes last uses, all or nothing."""
    async with transaction():
        connection = get_connections().get("default")
        dialect = connection.capabilities.dialect
        # In one order, so that two processes that add at once wait for each other and not in a circle.
        rows = [
            [str(id_) if dialect == "sqlite" else id_, day, count.allowed, count.denied]
            for (id_, day), count in sorted(counts.items())
        ]
        if rows:
            await connection.execute_many(_ADD.format(*_PLACEHOLDERS[dialect]), rows)
        for id_, used_at in sorted(last_uses.items()):
            await Credential.filter(id=id_, last_used_at__lt=used_at).update(last_used_at=used_at)


async def forget_usage(before_day: str) -> None:
    """Removes days before this one."""
    await CredentialUsage.filter(day__lt=before_day).delete()
