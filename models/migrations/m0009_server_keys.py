"""Server keys retire, and secrets are hashed anew under newer ones."""

from tortoise.migrations.migration import Migration as BaseMigration

from models.migrations._sql import Statements, refuse, refuse_where

_RETIRED = "EXISTS (SELECT 1 FROM server_keys WHERE id = NEW.{column} AND retired_at IS NOT NULL)"
_NOTHING_NEW = "nothing new is made under a server key that was retired"

_RULES = [
    refuse(
        "credentials_are_hashed_anew_under_another_key",
        "UPDATE",
        "credentials",
        "(NEW.secret_hash <> OLD.secret_hash) <> (NEW.hashing_key_id <> OLD.hashing_key_id)",
        "a secret is hashed anew only under another server key",
    ),
    # A process that was not told, with a copy of the key file from before, could make what nobody can check.
    refuse_where(
        "credentials_are_made_under_living_keys",
        "INSERT",
        "credentials",
        _RETIRED.format(column="hashing_key_id"),
        _NOTHING_NEW,
    ),
    refuse_where(
        "credentials_are_hashed_anew_under_living_keys",
        "UPDATE",
        "credentials",
        f"NEW.hashing_key_id <> OLD.hashing_key_id AND {_RETIRED.format(column='hashing_key_id')}",
        _NOTHING_NEW,
    ),
    refuse_where(
        "webhook_endpoints_are_made_under_living_keys",
        "INSERT",
        "webhook_endpoints",
        _RETIRED.format(column="sealing_key_id"),
        _NOTHING_NEW,
    ),
    refuse(
        "server_keys_retired_stay_retired",
        "UPDATE",
        "server_keys",
        "NEW.id <> OLD.id OR NEW.check_value <> OLD.check_value"
        " OR (OLD.retired_at IS NOT NULL AND NEW.retired_at IS NULL)",
        "a server key keeps its id and check value, and its retirement is final",
    ),
]


class Migration(BaseMigration):
    dependencies = [("models", "m0007_reading")]  # noqa: RUF012
    operations = [  # noqa: RUF012
        Statements(
            ["ALTER TABLE server_keys ADD COLUMN retired_at TIMESTAMPTZ"],
            sqlite=[statement for rule in _RULES for statement in rule[0]],
            postgres=[statement for rule in _RULES for statement in rule[1]],
        )
    ]
