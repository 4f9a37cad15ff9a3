"""What the database remembers of the server's keys, so that a wrong one is noticed at start."""

from tortoise import fields
from tortoise.models import Model


class ServerKey(Model):
    """A key's id, and a value that only the same key gives again; nothing of the key itself."""

    id = fields.CharField(max_length=64, primary_key=True)
    check_value = fields.CharField(max_length=64)
    created_at = fields.DatetimeField()
    # When it was taken out of use for good: it need not be in the key file, and is not used if it is.
    retired_at = fields.DatetimeField(null=True)

    class Meta:
        table = "server_keys"
