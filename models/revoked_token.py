"""Access tokens that their clients have revoked, until they would have expired anyway."""

from tortoise import fields
from tortoise.models import Model


class RevokedToken(Model):
    """By the token's own id (jti)."""

    id = fields.CharField(max_length=64, primary_key=True)
    expires_at = fields.DatetimeField()

    class Meta:
        table = "revoked_tokens"
