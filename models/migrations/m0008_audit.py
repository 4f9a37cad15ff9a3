"""Audit events say how they were hashed, and the heads of their chains only ever move on."""

from tortoise.migrations.migration import Migration as BaseMigration

from models.migrations._sql import Statements, refuse

# Servers of the version before go on writing events while others are upgraded; what they leave out says what they do.
_COLUMN = "ALTER TABLE audit_events ADD COLUMN hash_version INT NOT NULL DEFAULT 1"
_HEAD_KEPT = "the head of an audit chain is kept"
_RULES = [
    refuse("audit_chains_are_kept", "DELETE", "audit_chains", "", _HEAD_KEPT),
    refuse(
        "audit_chains_only_grow",
        "UPDATE",
        "audit_chains",
        "NEW.id <> OLD.id OR NEW.sequence < OLD.sequence OR (NEW.sequence = OLD.sequence AND NEW.hash <> OLD.hash)",
        "an audit chain only grows",
    ),
]
# To replace is to remove, of which SQLite tells the rules above only where the connection asks for that.
_SQLITE_NOT_REPLACED = [
    f"CREATE TRIGGER {table}_are_not_replaced BEFORE INSERT ON {table} FOR EACH ROW "
    f"WHEN (EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id)) BEGIN SELECT RAISE(ABORT, '{message}'); END"
    for table, message in (("audit_events", "audit events are kept"), ("audit_chains", _HEAD_KEPT))
]
_POSTGRES_NOT_TRUNCATED = [
    "CREATE TRIGGER audit_chains_are_not_truncated BEFORE TRUNCATE ON audit_chains FOR EACH STATEMENT "
    "EXECUTE FUNCTION audit_chains_are_kept()"
]


class Migration(BaseMigration):
    dependencies = [("models", "m0007_reading")]  # noqa: RUF012
    operations = [  # noqa: RUF012
        Statements(
            [_COLUMN],
            sqlite=[statement for rule in _RULES for statement in rule[0]] + _SQLITE_NOT_REPLACED,
            postgres=[statement for rule in _RULES for statement in rule[1]] + _POSTGRES_NOT_TRUNCATED,
        )
    ]
