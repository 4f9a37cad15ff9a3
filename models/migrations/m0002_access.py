"""Tokens for scripts and gateways, sessions that end when idle, sign-in by OpenID Connect, throttling."""

from tortoise.migrations.migration import Migration as BaseMigration

from models.migrations._sql import Statements

_TABLES = [
    """CREATE TABLE access_tokens (
        id UUID NOT NULL PRIMARY KEY,
        kind VARCHAR(16) NOT NULL CHECK (kind IN ('PERSONAL', 'GATEWAY')),
        account_id UUID REFERENCES accounts (id),
        user_id UUID REFERENCES users (id),
        name VARCHAR(64) NOT NULL CHECK (length(name) > 0),
        token_hash VARCHAR(64) NOT NULL,
        permissions VARCHAR(500) NOT NULL,
        created_at TIMESTAMPTZ NOT NULL,
        expires_at TIMESTAMPTZ NOT NULL,
        revoked_at TIMESTAMPTZ,
        last_used_at TIMESTAMPTZ NOT NULL,
        CONSTRAINT personal_tokens_speak_for_somebody CHECK ((kind = 'PERSONAL') = (user_id IS NOT NULL))
    )""",
    """CREATE TABLE throttles (
        key VARCHAR(64) NOT NULL PRIMARY KEY,
        tries INT NOT NULL,
        since BIGINT NOT NULL,
        closed_until BIGINT NOT NULL
    )""",
]
_COLUMNS = [
    "ALTER TABLE users ADD COLUMN oidc_issuer VARCHAR(255)",
    "ALTER TABLE users ADD COLUMN oidc_subject VARCHAR(255)",
    # Sessions from before were last seen, as far as is known, when they began.
    "ALTER TABLE sessions ADD COLUMN last_seen_at TIMESTAMPTZ NOT NULL DEFAULT '1970-01-01 00:00:00+00:00'",
    "UPDATE sessions SET last_seen_at = created_at",
]
_INDEXES = [
    "CREATE UNIQUE INDEX access_tokens_token ON access_tokens (token_hash)",
    "CREATE INDEX access_tokens_user ON access_tokens (user_id, id)",
    "CREATE INDEX access_tokens_account ON access_tokens (account_id, id)",
    "CREATE INDEX throttles_since ON throttles (since)",
    "CREATE UNIQUE INDEX users_oidc ON users (oidc_issuer, oidc_subject) WHERE oidc_subject IS NOT NULL",
]


class Migration(BaseMigration):
    dependencies = [("models", "m0001_first")]  # noqa: RUF012
    operations = [  # noqa: RUF012
        Statements([*_TABLES, *_COLUMNS, *_INDEXES], sqlite=[], postgres=[]),
    ]
