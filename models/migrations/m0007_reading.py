"""Indexes that each page of the API is read by, in the middle and at the end as at the beginning."""

from tortoise.migrations.migration import Migration as BaseMigration

from models.migrations._sql import Statements

# What a list leaves out unless asked for, its index leaves out too: revoked credentials become many.
_OF_LIVING = {
    "credentials_account_living": "account_id, id",
    "credentials_account_name": "account_id, name, id",
    "credentials_account_expiry": "account_id, expires_at, id",
    "credentials_account_use": "account_id, last_used_at, id",
    "credentials_owner": "owner_id, id",
    "credentials_service": "service_id, id",
    "credentials_identity": "identity_id, id",
    "credentials_living": "id",
    "credentials_name": "name, id",
    "credentials_expiry": "expires_at, id",
    "credentials_use": "last_used_at, id",
}
_REPLACED = [name for name in _OF_LIVING if "living" not in name]
_INDEXES = [
    *(f"DROP INDEX {name}" for name in _REPLACED),
    *(f"CREATE INDEX {name} ON credentials ({of}) WHERE revoked_at IS NULL" for name, of in _OF_LIVING.items()),
    "CREATE INDEX credentials_revoked ON credentials (id) WHERE revoked_at IS NOT NULL",
    "CREATE INDEX credentials_account_revoked ON credentials (account_id, id) WHERE revoked_at IS NOT NULL",
    # Operators read across accounts.
    "CREATE INDEX identities_name ON identities (name, id)",
    "CREATE INDEX services_name ON services (name, id)",
    "CREATE INDEX services_expiry ON services (expires_at, id)",
    "CREATE INDEX audit_events_type ON audit_events (type, id)",
    "CREATE INDEX audit_events_account_type ON audit_events (chain_id, type, sequence)",
    "CREATE INDEX audit_events_account_actor ON audit_events (chain_id, actor_id, sequence)",
]


class Migration(BaseMigration):
    dependencies = [("models", "m0006_accounts")]  # noqa: RUF012
    operations = [Statements(_INDEXES, sqlite=[], postgres=[])]  # noqa: RUF012
