"""Accounts: the provider's customers, each with the policy its credentials are generated under."""

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model


class AccountStatus(StrEnum):
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"


class DeliveryMethod(StrEnum):
    """How a secret reaches its user."""

    VIEW_AND_COPY = "VIEW_AND_COPY"
    ENCRYPTED_FILE = "ENCRYPTED_FILE"


class Account(Model):
    id = fields.UUIDField(primary_key=True)
    name = fields.CharField(max_length=200)
    status = fields.CharEnumField(AccountStatus, default=AccountStatus.ACTIVE)
    max_active_credentials_per_user = fields.IntField(default=2)
    default_expiry_months = fields.IntField(null=True, default=12)
    maximum_expiry_months = fields.IntField(null=True)
    never_expires_allowed = fields.BooleanField(default=False)
    view_and_copy_allowed = fields.BooleanField(default=True)
    encrypted_file_allowed = fields.BooleanField(default=True)
    minimum_rsa_key_bits = fields.IntField(default=2048)
    created_at = fields.DatetimeField()

    class Meta:
        table = "accounts"

    @property
    def allowed_delivery_methods(self) -> list[DeliveryMethod]:
        allowed = {
            DeliveryMethod.VIEW_AND_COPY: self.view_and_copy_allowed,
            DeliveryMethod.ENCRYPTED_FILE: self.encrypted_file_allowed,
        }
        return [method for method, is_allowed in allowed.items() if is_allowed]
