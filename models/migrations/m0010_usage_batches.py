"""What was counted is added once, though nobody knew whether it was and it was sent again."""

from tortoise.migrations.migration import Migration as BaseMigration

from models.migrations._sql import Statements


class Migration(BaseMigration):
    dependencies = [("models", "m0009_server_keys")]  # noqa: RUF012
    operations = [  # noqa: RUF012
        Statements(
            [
                "CREATE TABLE usage_batches (id VARCHAR(36) NOT NULL PRIMARY KEY, day VARCHAR(10) NOT NULL)",
                "CREATE INDEX usage_batches_day ON usage_batches (day)",
            ],
            sqlite=[],
            postgres=[],
        )
    ]
