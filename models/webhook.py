"""Where an account wants to be told of events, and what is still to be told."""

from uuid import UUID

from tortoise import fields
from tortoise.expressions import Q
from tortoise.models import Model

from models.account import Account


class WebhookEndpoint(Model):
    """An address of the account's own server. The signing secret must be had again for each message, so it is sealed
    under a key of the server's instead of hashed."""

    id = fields.UUIDField(primary_key=True)
    account: fields.ForeignKeyRelation[Account] = fields.ForeignKeyField(
        "models.Account", related_name="webhook_endpoints", on_delete=fields.RESTRICT
    )
    account_id: UUID
    url = fields.CharField(max_length=2000)
    sealed_secret = fields.CharField(max_length=200)
    sealing_key_id = fields.CharField(max_length=64)
    # With spaces between them.
    event_types = fields.CharField(max_length=500)
    created_at = fields.DatetimeField()
    removed_at = fields.DatetimeField(null=True)
    last_delivered_at = fields.DatetimeField(null=True)
    # When it was found to be dead: nothing more is sent there.
    disabled_at = fields.DatetimeField(null=True)

    class Meta:
        table = "webhook_endpoints"

    @staticmethod
    def living() -> Q:
        """Those that are sent messages."""
        return Q(removed_at__isnull=True, disabled_at__isnull=True)


class WebhookDelivery(Model):
    """One message to one endpoint, there until it is delivered or given up: what became of it is in the audit log."""

    id = fields.UUIDField(primary_key=True)
    endpoint: fields.ForeignKeyRelation[WebhookEndpoint] = fields.ForeignKeyField(
        "models.WebhookEndpoint", related_name="deliveries", on_delete=fields.RESTRICT
    )
    endpoint_id: UUID
    event_type = fields.CharField(max_length=64)
    body = fields.TextField()
    created_at = fields.DatetimeField()
    attempts = fields.IntField(default=0)
    next_attempt_at = fields.DatetimeField()

    class Meta:
        table = "webhook_deliveries"


class WebhookAnnouncement(Model):
    """That a change of one of its parties has blocked or unblocked credentials: there until messages of it are written
    for each of them, in the order of their ids, and up to which that is done."""

    id = fields.IntField(primary_key=True)
    account: fields.ForeignKeyRelation[Account] = fields.ForeignKeyField(
        "models.Account", related_name="webhook_announcements", on_delete=fields.RESTRICT
    )
    account_id: UUID
    # A relation of a credential's, and what it is related to.
    party = fields.CharField(max_length=8)
    party_id = fields.UUIDField()
    # By what it keeps credentials out now, with spaces between; none: it did before, and does no more.
    blockers = fields.CharField(max_length=200)
    occurred_at = fields.DatetimeField()
    told_upto = fields.UUIDField(null=True)

    class Meta:
        table = "webhook_announcements"


class ExpiryNotice(Model):
    """That somebody was told of an end so many days before. The three columns are the key."""

    subject_id = fields.CharField(max_length=64, primary_key=True)
    days = fields.IntField()
    expires_at = fields.DatetimeField()

    class Meta:
        table = "expiry_notices"
