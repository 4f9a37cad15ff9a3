"""Identities: whom a credential speaks for, once the provider has vetted it."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tortoise import fields
from tortoise.expressions import Q
from tortoise.models import Model

from models.account import Account
from models.instants import NEVER


class IdentityKind(StrEnum):
    ORGANIZATION = "ORGANIZATION"
    INDIVIDUAL = "INDIVIDUAL"
    DOMAIN = "DOMAIN"


class IdentityStatus(StrEnum):
    PENDING_VETTING = "PENDING_VETTING"
    ACTIVE = "ACTIVE"
    REJECTED = "REJECTED"
    SUSPENDED = "SUSPENDED"
    EXPIRED = "EXPIRED"


class Identity(Model):
    id = fields.UUIDField(primary_key=True)
    account: fields.ForeignKeyRelation[Account] = fields.ForeignKeyField(
        "models.Account", related_name="identities", on_delete=fields.RESTRICT
    )
    account_id: UUID
    name = fields.CharField(max_length=200)
    kind = fields.CharEnumField(IdentityKind)
    # What people decided. EXPIRED is never stored: it follows from valid_until.
    decision = fields.CharEnumField(IdentityStatus, default=IdentityStatus.PENDING_VETTING)
    valid_until = fields.DatetimeField(default=NEVER)
    created_at = fields.DatetimeField()

    class Meta:
        table = "identities"

    def status(self, now: datetime) -> IdentityStatus:
        """The status at an instant. Vetted identities, suspended ones too, expire; others have nothing to expire."""
        if self.decision in _VETTED and self.valid_until <= now:
            return IdentityStatus.EXPIRED
        return self.decision

    @staticmethod
    def having_status(status: IdentityStatus, now: datetime) -> Q:
        """The same rule as `status`, for the database."""
        if status is IdentityStatus.EXPIRED:
            return Q(decision__in=_VETTED, valid_until__lte=now)
        if status in _VETTED:
            return Q(decision=status, valid_until__gt=now)
        return Q(decision=status)


_VETTED = (IdentityStatus.ACTIVE, IdentityStatus.SUSPENDED)
