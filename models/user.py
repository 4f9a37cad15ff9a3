"""Users: people, each of one account or, for operators, of none; and what they sign in with."""

from enum import StrEnum
from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from models.account import Account


class Role(StrEnum):
    OPERATOR = "OPERATOR"
    ADMINISTRATOR = "ADMINISTRATOR"
    MEMBER = "MEMBER"
    AUDITOR = "AUDITOR"
    GATEWAY = "GATEWAY"


class UserStatus(StrEnum):
    ACTIVE = "ACTIVE"
    DEACTIVATED = "DEACTIVATED"


class User(Model):
    id = fields.UUIDField(primary_key=True)
    account: fields.ForeignKeyNullableRelation[Account] = fields.ForeignKeyField(
        "models.Account", null=True, related_name="users", on_delete=fields.RESTRICT
    )
    account_id: UUID | None
    # Kept in lower case: one mailbox, one user.
    email = fields.CharField(max_length=254)
    display_name = fields.CharField(max_length=200)
    role = fields.CharEnumField(Role)
    status = fields.CharEnumField(UserStatus, default=UserStatus.ACTIVE)
    api_access = fields.BooleanField(default=False)
    # Null until an invitation is accepted: nobody has a default password.
    password_hash = fields.CharField(max_length=200, null=True)
    # Whom an OpenID provider says they are, where they sign in with one: its issuer and its subject.
    oidc_issuer = fields.CharField(max_length=255, null=True)
    oidc_subject = fields.CharField(max_length=255, null=True)
    created_at = fields.DatetimeField()

    class Meta:
        table = "users"


class Invitation(Model):
    """A one-time token with which a new user sets a first password; only its SHA-256 is kept."""

    id = fields.UUIDField(primary_key=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "models.User", related_name="invitations", on_delete=fields.RESTRICT
    )
    user_id: UUID
    token_hash = fields.CharField(max_length=64)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField()
    accepted_at = fields.DatetimeField(null=True)

    class Meta:
        table = "invitations"


class Session(Model):
    """Somebody signed in; only the SHA-256 of the session token is kept."""

    id = fields.UUIDField(primary_key=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "models.User", related_name="sessions", on_delete=fields.RESTRICT
    )
    user_id: UUID
    token_hash = fields.CharField(max_length=64)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField()
    # To the minute.
    last_seen_at = fields.DatetimeField()
    ended_at = fields.DatetimeField(null=True)

    class Meta:
        table = "sessions"
