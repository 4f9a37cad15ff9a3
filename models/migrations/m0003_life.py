"""Rotation, idempotent retries, usage, allowed networks, and the bound that a policy sets on expiry."""

from tortoise.migrations.migration import Migration as BaseMigration

from models.migrations._sql import Statements, refuse

_TABLES = [
    """CREATE TABLE idempotent_answers (
        key_hash VARCHAR(64) NOT NULL PRIMARY KEY,
        request_hash VARCHAR(64) NOT NULL,
        answer TEXT NOT NULL,
        expires_at TIMESTAMPTZ NOT NULL
    )""",
    """CREATE TABLE credential_usage (
        credential_id UUID NOT NULL REFERENCES credentials (id),
        day VARCHAR(10) NOT NULL,
        allowed BIGINT NOT NULL CHECK (allowed >= 0),
        denied BIGINT NOT NULL CHECK (denied >= 0),
        PRIMARY KEY (credential_id, day)
    )""",
    """CREATE TABLE webhook_endpoints (
        id UUID NOT NULL PRIMARY KEY,
        account_id UUID NOT NULL REFERENCES accounts (id),
        url VARCHAR(2000) NOT NULL,
        sealed_secret VARCHAR(200) NOT NULL,
        sealing_key_id VARCHAR(64) NOT NULL REFERENCES server_keys (id),
        event_types VARCHAR(500) NOT NULL,
        created_at TIMESTAMPTZ NOT NULL,
        removed_at TIMESTAMPTZ
    )""",
    """CREATE TABLE webhook_deliveries (
        id UUID NOT NULL PRIMARY KEY,
        endpoint_id UUID NOT NULL REFERENCES webhook_endpoints (id),
        event_type VARCHAR(64) NOT NULL,
        body TEXT NOT NULL,
        created_at TIMESTAMPTZ NOT NULL,
        attempts INT NOT NULL,
        next_attempt_at TIMESTAMPTZ NOT NULL
    )""",
    """CREATE TABLE expiry_notices (
        subject_id VARCHAR(64) NOT NULL,
        days INT NOT NULL,
        expires_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (subject_id, days, expires_at)
    )""",
]
_COLUMNS = [
    "ALTER TABLE credentials ADD COLUMN predecessor_id UUID REFERENCES credentials (id)",
    "ALTER TABLE credentials ADD COLUMN rotated_at TIMESTAMPTZ",
    "ALTER TABLE credentials ADD COLUMN allowed_networks VARCHAR(2500) NOT NULL DEFAULT ''",
    "ALTER TABLE accounts ADD COLUMN maximum_expiry_months INT CHECK (maximum_expiry_months > 0)",
]
_INDEXES = [
    "CREATE INDEX idempotent_answers_expiry ON idempotent_answers (expires_at)",
    "CREATE INDEX credential_usage_day ON credential_usage (day)",
    "CREATE INDEX webhook_endpoints_account ON webhook_endpoints (account_id, id)",
    "CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_attempt_at, endpoint_id)",
    "CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, next_attempt_at)",
    "CREATE INDEX expiry_notices_expiry ON expiry_notices (expires_at)",
    # Only once is a credential rotated.
    "CREATE UNIQUE INDEX credentials_predecessor ON credentials (predecessor_id) WHERE predecessor_id IS NOT NULL",
    # A rotated credential hands its name on to its successor.
    "DROP INDEX credentials_living_name",
    "CREATE UNIQUE INDEX credentials_living_name ON credentials (account_id, name) "
    "WHERE revoked_at IS NULL AND rotated_at IS NULL",
]
_SQLITE, _POSTGRES = refuse(
    "credentials_rotated_stay_rotated",
    "UPDATE",
    "credentials",
    "OLD.rotated_at IS NOT NULL AND (NEW.rotated_at IS NULL OR NEW.rotated_at <> OLD.rotated_at"
    " OR NEW.expires_at > OLD.expires_at)",
    "a rotation is final, and grace never lengthens a life",
)


class Migration(BaseMigration):
    dependencies = [("models", "m0002_access")]  # noqa: RUF012
    operations = [  # noqa: RUF012
        Statements([*_TABLES, *_COLUMNS, *_INDEXES], sqlite=_SQLITE, postgres=_POSTGRES),
    ]
