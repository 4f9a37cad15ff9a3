"""Services: a customer's subscriptions to the provider's APIs."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tortoise import fields
from tortoise.expressions import Q
from tortoise.models import Model

from models.account import Account
from models.identity import Identity
from models.instants import NEVER


class ServiceStatus(StrEnum):
    SCHEDULED = "SCHEDULED"
    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"
    SUSPENDED = "SUSPENDED"
    CANCELLED = "CANCELLED"


class Service(Model):
    id = fields.UUIDField(primary_key=True)
    account: fields.ForeignKeyRelation[Account] = fields.ForeignKeyField(
        "models.Account", related_name="services", on_delete=fields.RESTRICT
    )
    account_id: UUID
    name = fields.CharField(max_length=200)
    code = fields.CharField(max_length=64)
    starts_at = fields.DatetimeField()
    expires_at = fields.DatetimeField(default=NEVER)
    suspended_at = fields.DatetimeField(null=True)
    cancelled_at = fields.DatetimeField(null=True)
    identities: fields.ManyToManyRelation[Identity] = fields.ManyToManyField(
        "models.Identity",
        related_name="services",
        through="service_identities",
        forward_key="identity_id",
        backward_key="service_id",
    )
    created_at = fields.DatetimeField()

    class Meta:
        table = "services"

    def status(self, now: datetime) -> ServiceStatus:
        """The status at an instant: what the operator decided, then what the dates say."""
        if self.cancelled_at:
            return ServiceStatus.CANCELLED
        if self.suspended_at:
            return ServiceStatus.SUSPENDED
        if self.expires_at <= now:
            return ServiceStatus.EXPIRED
        if self.starts_at > now:
            return ServiceStatus.SCHEDULED
        return ServiceStatus.ACTIVE

    @staticmethod
    def having_status(status: ServiceStatus, now: datetime) -> Q:
        """The same rule as `status`, for the database."""
        open_ended = Q(cancelled_at__isnull=True, suspended_at__isnull=True)
        match status:
            case ServiceStatus.CANCELLED:
                return Q(cancelled_at__isnull=False)
            case ServiceStatus.SUSPENDED:
                return Q(cancelled_at__isnull=True, suspended_at__isnull=False)
            case ServiceStatus.EXPIRED:
                return open_ended & Q(expires_at__lte=now)
            case ServiceStatus.SCHEDULED:
                return open_ended & Q(expires_at__gt=now, starts_at__gt=now)
            case ServiceStatus.ACTIVE:
                return open_ended & Q(expires_at__gt=now, starts_at__lte=now)


class ServiceIdentity(Model):
    """The link that lets an identity be used with a service. The two columns are the key; Tortoise wants one named."""

    service_id = fields.UUIDField(primary_key=True)
    identity_id = fields.UUIDField()
    created_at = fields.DatetimeField()

    class Meta:
        table = "service_identities"
