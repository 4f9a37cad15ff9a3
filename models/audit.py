"""The audit log's tables: one chain of events per account, and one for the deployment itself."""

from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from models.user import User

DEPLOYMENT_CHAIN = UUID(int=0)
"""The chain of what belongs to no account: operators signing in, unknown callers refused."""


class AuditChain(Model):
    """The head of a chain. Its id is the account's, or `DEPLOYMENT_CHAIN`."""

    id = fields.UUIDField(primary_key=True)
    sequence = fields.IntField(default=0)
    hash = fields.CharField(max_length=64)

    class Meta:
        table = "audit_chains"


class AuditEvent(Model):
    """One thing that happened; the database refuses to change or remove it."""

    id = fields.UUIDField(primary_key=True)
    chain_id = fields.UUIDField()
    sequence = fields.IntField()
    type = fields.CharField(max_length=64)
    occurred_at = fields.DatetimeField()
    actor: fields.ForeignKeyNullableRelation[User] = fields.ForeignKeyField(
        "models.User", null=True, related_name="audit_events", on_delete=fields.RESTRICT
    )
    actor_id: UUID | None
    # A global id, so that one column can name any kind of thing.
    subject_id = fields.CharField(max_length=64, null=True)
    source_ip = fields.CharField(max_length=45, null=True)
    summary = fields.CharField(max_length=500)
    hashing_key_id = fields.CharField(max_length=64)
    hash = fields.CharField(max_length=64)
    # How it was hashed: see `resolvers.audit_hash`.
    hash_version = fields.IntField(default=1)

    class Meta:
        table = "audit_events"
