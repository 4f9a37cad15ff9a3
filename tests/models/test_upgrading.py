"""What earlier versions wrote is there after an upgrade, and what they still write meanwhile is taken."""

import asyncio
import hashlib
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from models.ids import new_id
from models.instants import NEVER
from models.migrating import migrate
from models.migrations._sql import Statements
from tests.models.describe import describe
from tests.models.versions import NAMES, columns, contents, migrate_to
from tests.support import samples
from tests.support.rows import Rows
from tests.support.server import START

ACCOUNT, USER, SERVICE, IDENTITY, CREDENTIAL, ENDPOINT = (new_id(START) for _ in range(6))
KEY = "credential-hashing-1"


def _of(owner: dict[str, Any], **more: Any) -> samples.Row:
    return {"id": new_id(START), **owner, "created_at": START, **more}


# What came with each migration, one row of each table at least.
ROWS: dict[str, list[tuple[str, samples.Row]]] = {
    "m0001_first": [
        ("server_keys", {"id": KEY, "check_value": "0", "created_at": START}),
        ("accounts", samples.account(id=ACCOUNT, name="Alder")),
        ("users", samples.user(ACCOUNT, id=USER, password_hash="argon2", display_name="O'Hara \u00e9")),
        ("users", samples.user(None)),
        ("invitations", _of({"user_id": USER}, token_hash="1" * 64, expires_at=NEVER, accepted_at=START)),
        ("sessions", _of({"user_id": USER}, token_hash="2" * 64, expires_at=NEVER, ended_at=None)),
        ("identities", samples.identity(ACCOUNT, id=IDENTITY)),
        ("services", samples.service(ACCOUNT, id=SERVICE)),
        ("service_identities", samples.service_identity(SERVICE, IDENTITY)),
        ("credentials", samples.credential(ACCOUNT, USER, SERVICE, IDENTITY, KEY, id=CREDENTIAL)),
        (
            "credentials",
            samples.credential(
                *(ACCOUNT, USER, SERVICE, IDENTITY, KEY),
                delivery_method="ENCRYPTED_FILE",
                public_key_fingerprint="3" * 64,
                revoked_at=START,
                revocation_reason="SUPERSEDED",
            ),
        ),
        ("audit_chains", {"id": ACCOUNT, "sequence": 1, "hash": "4" * 64}),
        ("audit_events", samples.audit_event(ACCOUNT, 1, KEY)),
    ],
    "m0002_access": [
        ("access_tokens", samples.access_token()),
        ("throttles", {"key": "k", "tries": 1, "since": 2, "closed_until": 3}),
    ],
    "m0003_life": [
        ("idempotent_answers", {"key_hash": "5", "request_hash": "6", "answer": "sealed", "expires_at": NEVER}),
        ("credential_usage", samples.usage(CREDENTIAL)),
        ("webhook_endpoints", samples.webhook_endpoint(ACCOUNT, KEY, id=ENDPOINT)),
        ("webhook_deliveries", samples.webhook_delivery(ENDPOINT)),
        ("expiry_notices", {"subject_id": "cred_1", "days": 7, "expires_at": NEVER}),
    ],
    "m0004_wire": [
        ("revoked_tokens", {"id": "jti", "expires_at": NEVER}),
        ("check_changes", {"epoch": 1, "subject_id": "cred_1"}),
    ],
}


def test_nothing_of_what_any_version_wrote_is_lost(empty_database_url: str) -> None:
    rows = Rows(empty_database_url)
    for name in NAMES:
        before = columns(rows), contents(rows)
        asyncio.run(migrate_to(empty_database_url, name))
        assert contents(rows, before[0]) == before[1], name
        for table, row in ROWS.get(name, ()):
            rows.insert(table, row)
        if name == NAMES[0]:
            of_the_first = columns(rows), contents(rows)
            assert all(of_the_first[1].values()), "a table without a row would show nothing"
    assert contents(rows, of_the_first[0]) == of_the_first[1]


def test_the_first_version_s_database_becomes_the_newest_at_once(empty_database_url: str, database_url: str) -> None:
    rows = Rows(empty_database_url)
    asyncio.run(migrate_to(empty_database_url, NAMES[0]))
    for table, row in ROWS[NAMES[0]]:
        rows.insert(table, row)
    written = columns(rows), contents(rows)
    asyncio.run(migrate(empty_database_url))
    assert contents(rows, written[0]) == written[1]
    assert describe(rows) == describe(Rows(database_url))
    # Sessions from before go on.
    assert rows.execute("SELECT count(*) FROM sessions WHERE last_seen_at = created_at") == [(1,)]


# ---------------------------------------------------------------- the version before goes on writing

# Rules for rows of tables that were there, with why nothing that the version before writes is refused.
HARMLESS = {
    "unique index credentials_living_name (account_id, name) where revoked_at IS NULL AND rotated_at IS NULL": "looser",
    "trigger credentials_rotated_stay_rotated before update": "only of what is rotated, which earlier ones can't",
    **{
        f"trigger {name}": "no version ever wrote what it refuses"
        for name in (
            "credentials_are_of_one_account before insert",
            "credentials_move_within_one_account before update",
            "credentials_keep_their_predecessor before update",
            "service_identities_are_of_one_account before insert",
            "service_identities_are_fixed before update",
            "services_keep_their_account before update",
            "users_keep_their_account before update",
            "audit_chains_are_kept before delete",
            "audit_chains_are_not_truncated before truncate",
            "audit_chains_only_grow before update",
            "audit_events_are_not_replaced before insert",
            "audit_chains_are_not_replaced before insert",
            "server_keys_retired_stay_retired before update",
            "credentials_are_hashed_anew_under_another_key before update",
        )
    },
    **{
        f"trigger {name}": "only for server keys that were retired, which is done when all servers are new"
        for name in (
            "credentials_are_made_under_living_keys before insert",
            "credentials_are_hashed_anew_under_living_keys before update",
            "webhook_endpoints_are_made_under_living_keys before insert",
        )
    },
}
_RULE = re.compile(r"(?:check|unique index|trigger) ")


def _parts(rows: Rows) -> dict[str, set[str]]:
    """The lines of each table's description."""
    paragraphs = [paragraph.splitlines() for paragraph in describe(rows).strip().split("\n\n")]
    return {table: {line.strip() for line in lines} for table, *lines in paragraphs}


def _breaks(rows: Rows, before: dict[str, set[str]], known: dict[str, dict[str, bool]]) -> Iterator[str]:
    """What may keep the version before from working on what a migration made."""
    after, now = _parts(rows), columns(rows)
    for table, parts in before.items():
        new = set(now.get(table, ())) - set(known[table])
        for gone in parts - after.get(table, set()):
            if not gone.startswith(("index ", "check ", "trigger ", "unique index ")):
                yield f"{table}: {gone} is gone, or another"
        for column in new:
            if not now[table][column]:
                yield f"{table}.{column} must be named by whoever adds a row"
        for rule in after.get(table, set()) - parts:
            # Of a column that is new, earlier versions know nothing, so that it is null or its default in their rows.
            if _RULE.match(rule) and not new & set(re.findall(r"\w+", rule)) and rule not in HARMLESS:
                yield f"{table}: {rule} may refuse what the version before writes: if not, HARMLESS says why"


def test_each_migration_lets_the_version_before_go_on(empty_database_url: str) -> None:
    """New columns may be null or have a default, nothing that was there goes, and no rule is stricter."""
    rows = Rows(empty_database_url)
    asyncio.run(migrate_to(empty_database_url, NAMES[0]))
    for name in NAMES[1:]:
        before, known = _parts(rows), columns(rows)
        asyncio.run(migrate_to(empty_database_url, name))
        assert list(_breaks(rows, before, known)) == [], name


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("ALTER TABLE throttles ADD COLUMN note VARCHAR(9)", ""),
        ("ALTER TABLE throttles ADD COLUMN note VARCHAR(9) NOT NULL DEFAULT ''", ""),
        ("CREATE INDEX throttles_tries ON throttles (tries)", ""),
        ("ALTER TABLE throttles DROP COLUMN tries", "throttles: tries: integer is gone, or another"),
        (
            "ALTER TABLE throttles RENAME COLUMN tries TO attempts",
            "throttles.attempts must be named by whoever adds a row",
        ),
        ("DROP TABLE revoked_tokens", "revoked_tokens: expires_at: instant is gone, or another"),
        (
            "CREATE UNIQUE INDEX throttles_tries ON throttles (tries)",
            "throttles: unique index throttles_tries (tries) may refuse what the version before writes: "
            "if not, HARMLESS says why",
        ),
    ],
)
def test_what_would_keep_it_from_going_on_is_seen(database_url: str, statement: str, expected: str) -> None:
    rows = Rows(database_url)
    before, known = _parts(rows), columns(rows)
    rows.execute(statement)
    found = list(_breaks(rows, before, known))
    assert expected in found if expected else found == []


# What databases were made by already. A migration that is changed afterwards changes none of them: add another one.
FIXED = {
    "m0001_first": "8cbc55f2567c7a56",
    "m0002_access": "0158de354652f18b",
    "m0003_life": "aa489d5fc8242ba2",
    "m0004_wire": "cd1b8e9eafe35558",
    "m0005_endpoints": "85e25ffc358c0547",
    "m0006_accounts": "5e31d2af4c8c644f",
    "m0007_reading": "bcd4b4fc2aa59cc1",
}


@pytest.mark.parametrize("name", FIXED)
def test_a_migration_that_has_run_somewhere_stays_as_it_is(name: str) -> None:
    assert digest(name) == FIXED[name]


def digest(name: str) -> str:
    operations = import_module(f"models.migrations.{name}").Migration.operations
    text = repr([(operation.sql, operation._only) for operation in operations if isinstance(operation, Statements)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
