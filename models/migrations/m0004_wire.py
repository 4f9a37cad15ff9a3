"""Revoked access tokens, and the epoch of what checks depend on."""

from tortoise.migrations.migration import Migration as BaseMigration

from models.migrations._sql import Statements


class Migration(BaseMigration):
    dependencies = [("models", "m0003_life")]  # noqa: RUF012
    operations = [  # noqa: RUF012
        Statements(
            [
                "CREATE TABLE revoked_tokens (id VARCHAR(64) NOT NULL PRIMARY KEY, expires_at TIMESTAMPTZ NOT NULL)",
                "CREATE TABLE check_epoch (id INT NOT NULL PRIMARY KEY CHECK (id = 1), value BIGINT NOT NULL)",
                "INSERT INTO check_epoch VALUES (1, 0)",
                "CREATE TABLE check_changes (epoch BIGINT NOT NULL PRIMARY KEY, subject_id VARCHAR(64) NOT NULL)",
                "CREATE INDEX revoked_tokens_expiry ON revoked_tokens (expires_at)",
            ],
            sqlite=[],
            postgres=[],
        ),
    ]
