"""Personal access tokens, for scripts, and gateway tokens, for machines that check credentials."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from models.account import Account
from models.instants import LONG_AGO
from models.user import User


class AccessTokenKind(StrEnum):
    PERSONAL = "PERSONAL"
    GATEWAY = "GATEWAY"


class AccessToken(Model):
    """A token that works until it expires or is revoked; only its SHA-256 is kept."""

    id = fields.UUIDField(primary_key=True)
    kind = fields.CharEnumField(AccessTokenKind)
    # Of a gateway token the account it serves, null: every account. Of a personal one its owner's.
    account: fields.ForeignKeyNullableRelation[Account] = fields.ForeignKeyField(
        "models.Account", null=True, related_name="access_tokens", on_delete=fields.RESTRICT
    )
    account_id: UUID | None
    # Whom a personal token speaks for; a gateway token speaks for a machine.
    user: fields.ForeignKeyNullableRelation[User] = fields.ForeignKeyField(
        "models.User", null=True, related_name="access_tokens", on_delete=fields.RESTRICT
    )
    user_id: UUID | None
    name = fields.CharField(max_length=64)
    token_hash = fields.CharField(max_length=64)
    # Names of permissions with spaces between them.
    permissions = fields.CharField(max_length=500)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField()
    revoked_at = fields.DatetimeField(null=True)
    last_used_at = fields.DatetimeField(default=LONG_AGO)

    class Meta:
        table = "access_tokens"

    @property
    def permission_names(self) -> list[str]:
        return self.permissions.split()

    def works(self, now: datetime) -> bool:
        return self.revoked_at is None and now < self.expires_at
