"""What belongs together belongs to one account, whoever writes it."""

from tortoise.migrations.migration import Migration as BaseMigration

from models.migrations._sql import Statements, refuse, refuse_where

# Of what a credential refers to; what is not there, the foreign keys refuse.
_ELSEWHERE = (
    "EXISTS (SELECT 1 FROM services WHERE id = NEW.service_id AND account_id <> NEW.account_id)"
    " OR EXISTS (SELECT 1 FROM identities WHERE id = NEW.identity_id AND account_id <> NEW.account_id)"
)
_OF_OTHERS = (
    " OR EXISTS (SELECT 1 FROM users WHERE id = NEW.owner_id"
    " AND (account_id IS NULL OR account_id <> NEW.account_id))"
    " OR EXISTS (SELECT 1 FROM credentials WHERE id = NEW.predecessor_id"
    " AND (account_id <> NEW.account_id OR owner_id <> NEW.owner_id))"
)
_ONE_ACCOUNT = "a credential, its owner, service, identity and predecessor are of one account"


def _is_another(column: str) -> str:
    """Whether a column that may be null was changed."""
    return f"coalesce(NEW.{column} <> OLD.{column}, NEW.{column} IS NOT NULL OR OLD.{column} IS NOT NULL)"


_RULES = [
    refuse_where("credentials_are_of_one_account", "INSERT", "credentials", _ELSEWHERE + _OF_OTHERS, _ONE_ACCOUNT),
    refuse_where(
        "credentials_move_within_one_account",
        "UPDATE",
        "credentials",
        f"(NEW.service_id <> OLD.service_id OR NEW.identity_id <> OLD.identity_id) AND ({_ELSEWHERE})",
        _ONE_ACCOUNT,
    ),
    refuse(
        "credentials_keep_their_predecessor",
        "UPDATE",
        "credentials",
        _is_another("predecessor_id"),
        "a credential keeps its predecessor",
    ),
    refuse_where(
        "service_identities_are_of_one_account",
        "INSERT",
        "service_identities",
        "EXISTS (SELECT 1 FROM services JOIN identities ON identities.account_id <> services.account_id"
        " WHERE services.id = NEW.service_id AND identities.id = NEW.identity_id)",
        "a service and the identities that are linked to it are of one account",
    ),
    refuse(
        "service_identities_are_fixed", "UPDATE", "service_identities", "", "a link is made or removed, not changed"
    ),
    refuse(
        "services_keep_their_account",
        "UPDATE",
        "services",
        "NEW.account_id <> OLD.account_id",
        "a service keeps its account",
    ),
    refuse("users_keep_their_account", "UPDATE", "users", _is_another("account_id"), "a user keeps the account"),
]


class Migration(BaseMigration):
    dependencies = [("models", "m0005_endpoints")]  # noqa: RUF012
    operations = [  # noqa: RUF012
        Statements(
            [],
            sqlite=[statement for rule in _RULES for statement in rule[0]],
            postgres=[statement for rule in _RULES for statement in rule[1]],
        )
    ]
