"""Credentials: an API key and the keyed hash of its secret, of one user, for one identity and one service."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Protocol
from uuid import UUID

from tortoise import fields
from tortoise.expressions import Q
from tortoise.models import Model

from models.account import Account, AccountStatus, DeliveryMethod
from models.identity import Identity, IdentityStatus
from models.instants import LONG_AGO, NEVER
from models.service import Service
from models.user import Role, User, UserStatus


class CredentialStatus(StrEnum):
    ACTIVE = "ACTIVE"
    RETIRING = "RETIRING"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"


class CredentialBlocker(StrEnum):
    """Why a credential is not let in, the reason that is told first being first."""

    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"
    OWNER_ACCESS_REMOVED = "OWNER_ACCESS_REMOVED"
    OWNER_DEACTIVATED = "OWNER_DEACTIVATED"
    ACCOUNT_SUSPENDED = "ACCOUNT_SUSPENDED"
    IDENTITY_NOT_ACTIVE = "IDENTITY_NOT_ACTIVE"
    SERVICE_NOT_STARTED = "SERVICE_NOT_STARTED"
    SERVICE_EXPIRED = "SERVICE_EXPIRED"
    SERVICE_SUSPENDED = "SERVICE_SUSPENDED"
    SERVICE_CANCELLED = "SERVICE_CANCELLED"


class RevocationReason(StrEnum):
    """The names of RFC 5280, 5.3.1, where one fits."""

    UNSPECIFIED = "UNSPECIFIED"
    KEY_COMPROMISE = "KEY_COMPROMISE"
    AFFILIATION_CHANGED = "AFFILIATION_CHANGED"
    SUPERSEDED = "SUPERSEDED"
    CESSATION_OF_OPERATION = "CESSATION_OF_OPERATION"
    PRIVILEGE_WITHDRAWN = "PRIVILEGE_WITHDRAWN"


class Credential(Model):
    id = fields.UUIDField(primary_key=True)
    account: fields.ForeignKeyRelation[Account] = fields.ForeignKeyField(
        "models.Account", related_name="credentials", on_delete=fields.RESTRICT
    )
    account_id: UUID
    owner: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "models.User", related_name="credentials", on_delete=fields.RESTRICT
    )
    owner_id: UUID
    service: fields.ForeignKeyRelation[Service] = fields.ForeignKeyField(
        "models.Service", related_name="credentials", on_delete=fields.RESTRICT
    )
    service_id: UUID
    identity: fields.ForeignKeyRelation[Identity] = fields.ForeignKeyField(
        "models.Identity", related_name="credentials", on_delete=fields.RESTRICT
    )
    identity_id: UUID
    name = fields.CharField(max_length=64)
    api_key = fields.CharField(max_length=64)
    # HMAC-SHA256 in hex under the server's hashing key of this id; nothing else of the secret is kept anywhere.
    secret_hash = fields.CharField(max_length=64)
    hashing_key_id = fields.CharField(max_length=64)
    delivery_method = fields.CharEnumField(DeliveryMethod)
    public_key_fingerprint = fields.CharField(max_length=64, null=True)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField(default=NEVER)
    revoked_at = fields.DatetimeField(null=True)
    revocation_reason = fields.CharEnumField(RevocationReason, null=True)
    last_used_at = fields.DatetimeField(default=LONG_AGO)
    # Which one it was made in the place of; and when one was made in its own place.
    predecessor: fields.OneToOneNullableRelation["Credential"] = fields.OneToOneField(
        "models.Credential", null=True, related_name="successor", on_delete=fields.RESTRICT
    )
    predecessor_id: UUID | None
    rotated_at = fields.DatetimeField(null=True)
    # CIDR blocks with spaces between them; none: from everywhere.
    allowed_networks = fields.CharField(max_length=2500, default="")

    class Meta:
        table = "credentials"

    def status(self, now: datetime) -> CredentialStatus:
        """The credential's own status at an instant, whatever may block it from outside."""
        if self.revoked_at:
            return CredentialStatus.REVOKED
        if self.expires_at <= now:
            return CredentialStatus.EXPIRED
        return CredentialStatus.RETIRING if self.rotated_at else CredentialStatus.ACTIVE

    @staticmethod
    def having_status(status: CredentialStatus, now: datetime) -> Q:
        """The same rule as `status`, for the database."""
        match status:
            case CredentialStatus.REVOKED:
                return Q(revoked_at__isnull=False)
            case CredentialStatus.EXPIRED:
                return Q(revoked_at__isnull=True, expires_at__lte=now)
            case CredentialStatus.ACTIVE:
                return Q(revoked_at__isnull=True, expires_at__gt=now, rotated_at__isnull=True)
            case CredentialStatus.RETIRING:
                return Q(revoked_at__isnull=True, expires_at__gt=now, rotated_at__isnull=False)

    @property
    def networks(self) -> list[IPv4Network | IPv6Network]:
        """Where it may be used from; none: everywhere."""
        return [ip_network(network) for network in self.allowed_networks.split()]

    def is_usable(self, now: datetime) -> bool:
        """Whether nothing keeps it out at an instant."""
        return next(blockers_of(self, now), None) is None

    def blockers(self, now: datetime) -> list[CredentialBlocker]:
        """Everything that keeps it out at an instant, in the order of `CredentialBlocker`; the related rows must
        have been loaded with it (see `WITH_PARTIES`)."""
        return list(blockers_of(self, now))


WITH_PARTIES = ("account", "owner", "identity", "service")
"""The rows that a credential's blockers depend on, loaded in the same statement."""


class HasStatus(Protocol):
    @property
    def status(self) -> Any: ...


class OwnerState(HasStatus, Protocol):
    @property
    def role(self) -> Role: ...
    @property
    def api_access(self) -> bool: ...


class IdentityState(Protocol):
    def status(self, now: datetime) -> IdentityStatus: ...


class ServiceState(Protocol):
    @property
    def starts_at(self) -> datetime: ...
    @property
    def expires_at(self) -> datetime: ...
    @property
    def suspended_at(self) -> datetime | None: ...
    @property
    def cancelled_at(self) -> datetime | None: ...


class CredentialState(Protocol):
    """What decides whether a credential is let in: of rows, or of what a process remembers of them."""

    @property
    def revoked_at(self) -> datetime | None: ...
    @property
    def expires_at(self) -> datetime: ...
    @property
    def account(self) -> HasStatus: ...
    @property
    def owner(self) -> OwnerState: ...
    @property
    def identity(self) -> IdentityState: ...
    @property
    def service(self) -> ServiceState: ...


def blockers_of(credential: CredentialState, now: datetime) -> Iterator[CredentialBlocker]:
    """The one rule by which a credential is let in or not, in the order of `CredentialBlocker`."""
    owner = credential.owner
    if credential.revoked_at:
        yield CredentialBlocker.REVOKED
    elif credential.expires_at <= now:
        yield CredentialBlocker.EXPIRED
    if not owner.api_access or owner.role is not Role.MEMBER:
        yield CredentialBlocker.OWNER_ACCESS_REMOVED
    if owner.status is not UserStatus.ACTIVE:
        yield CredentialBlocker.OWNER_DEACTIVATED
    if credential.account.status is not AccountStatus.ACTIVE:
        yield CredentialBlocker.ACCOUNT_SUSPENDED
    if credential.identity.status(now) is not IdentityStatus.ACTIVE:
        yield CredentialBlocker.IDENTITY_NOT_ACTIVE
    yield from _service_blockers(credential.service, now)


def _service_blockers(service: ServiceState, now: datetime) -> Iterator[CredentialBlocker]:
    if service.starts_at > now:
        yield CredentialBlocker.SERVICE_NOT_STARTED
    if service.expires_at <= now:
        yield CredentialBlocker.SERVICE_EXPIRED
    if service.suspended_at:
        yield CredentialBlocker.SERVICE_SUSPENDED
    if service.cancelled_at:
        yield CredentialBlocker.SERVICE_CANCELLED
