"""What is known of a webhook endpoint: when it last took a message, and since when nothing is sent there any more."""

from tortoise.migrations.migration import Migration as BaseMigration

from models.migrations._sql import Statements

_COLUMNS = [
    "ALTER TABLE webhook_endpoints ADD COLUMN last_delivered_at TIMESTAMPTZ",
    "ALTER TABLE webhook_endpoints ADD COLUMN disabled_at TIMESTAMPTZ",
]


class Migration(BaseMigration):
    dependencies = [("models", "m0004_wire")]  # noqa: RUF012
    operations = [Statements(_COLUMNS, sqlite=[], postgres=[])]  # noqa: RUF012
