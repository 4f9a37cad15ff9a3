"""What must hold of the rows, whoever changes them: the database itself refuses the rest."""

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from uuid import UUID

import asyncpg
import pytest

from models.failures import violated_index
from models.ids import new_id
from models.instants import LONG_AGO, NEVER
from tests.models.stocked import (
    ACCOUNT,
    CANCELLED_SERVICE,
    COLLEAGUE,
    CREDENTIAL,
    EVENT,
    IDENTITY,
    KEY,
    OPERATOR,
    OTHER_ACCOUNT,
    OTHERS_CREDENTIAL,
    OTHERS_IDENTITY,
    OTHERS_SERVICE,
    OTHERS_USER,
    REVOKED_CREDENTIAL,
    ROTATED_CREDENTIAL,
    SERVICE,
    USER,
    credential,
    permit,
    refusal,
    stock,
)
from tests.models.test_schema import SCHEMA
from tests.support import samples
from tests.support.rows import Rows, insertion
from tests.support.server import START

SOONER, LATER = "'2026-01-16 00:00:00+00:00'", "'2026-02-01 00:00:00+00:00'"
SOMEBODY_ELSE = UUID(int=99)
WAITING = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"""


def change(table: str, id_: UUID, assignments: str) -> str:
    return f"UPDATE {table} SET {assignments} WHERE id = '{id_}'"


FIXED = {
    "a credential keeps its id": change("credentials", CREDENTIAL, f"id = '{SOMEBODY_ELSE}'"),
    "a credential keeps its name": change("credentials", CREDENTIAL, "name = 'cd'"),
    "a credential keeps its key": change("credentials", CREDENTIAL, "api_key = 'sealkey_key_4'"),
    "a credential keeps its account": change("credentials", CREDENTIAL, f"account_id = '{OTHER_ACCOUNT}'"),
    "a credential keeps its owner": change("credentials", CREDENTIAL, f"owner_id = '{SOMEBODY_ELSE}'"),
    "a revoked credential keeps its name too": change("credentials", REVOKED_CREDENTIAL, "name = 'cd'"),
}


@pytest.mark.parametrize("statement", FIXED.values(), ids=FIXED)
def test_a_credential_stays_what_it_was_made_as(stocked: Rows, statement: str) -> None:
    assert "a credential keeps its id, name, key, owner and account" in str(refusal(stocked, statement))


MIXED = {
    "owner": insertion("credentials", credential(owner_id=OTHERS_USER)),
    "an operator as owner": insertion("credentials", credential(owner_id=OPERATOR)),
    "service": insertion("credentials", credential(service_id=OTHERS_SERVICE)),
    "identity": insertion("credentials", credential(identity_id=OTHERS_IDENTITY)),
    "predecessor": insertion("credentials", credential(predecessor_id=OTHERS_CREDENTIAL)),
    "predecessor of a colleague's": insertion("credentials", credential(predecessor_id=CREDENTIAL, owner_id=COLLEAGUE)),
    "moved service": change("credentials", CREDENTIAL, f"service_id = '{OTHERS_SERVICE}'"),
    "moved identity": change("credentials", CREDENTIAL, f"identity_id = '{OTHERS_IDENTITY}'"),
    "link to an identity": insertion("service_identities", samples.service_identity(SERVICE, OTHERS_IDENTITY)),
    "link to a service": insertion("service_identities", samples.service_identity(OTHERS_SERVICE, IDENTITY)),
}


@pytest.mark.parametrize("statement", MIXED.values(), ids=MIXED)
def test_nothing_mixes_accounts(stocked: Rows, statement: str) -> None:
    assert "of one account" in str(refusal(stocked, statement))


@pytest.mark.parametrize(
    ("table", "id_", "assignment", "message"),
    [
        ("services", SERVICE, f"account_id = '{OTHER_ACCOUNT}'", "a service keeps its account"),
        ("users", USER, f"account_id = '{OTHER_ACCOUNT}'", "a user keeps the account"),
        ("users", USER, "account_id = NULL, role = 'OPERATOR'", "a user keeps the account"),
        ("users", OPERATOR, f"account_id = '{ACCOUNT}', role = 'MEMBER'", "a user keeps the account"),
        ("credentials", CREDENTIAL, f"predecessor_id = '{ROTATED_CREDENTIAL}'", "keeps its predecessor"),
    ],
)
def test_nothing_changes_hands(stocked: Rows, table: str, id_: UUID, assignment: str, message: str) -> None:
    assert message in str(refusal(stocked, change(table, id_, assignment)))


def test_a_link_is_not_changed(stocked: Rows) -> None:
    assert "not changed" in str(refusal(stocked, f"UPDATE service_identities SET identity_id = '{OTHERS_IDENTITY}'"))


def test_a_user_may_be_given_all_else_anew(stocked: Rows) -> None:
    permit(
        stocked,
        change("users", USER, "role = 'AUDITOR', status = 'DEACTIVATED'"),
        change("users", OPERATOR, "display_name = 'Somebody else'"),
        insertion("credentials", credential(predecessor_id=CREDENTIAL)),
    )


OTHER_KEY, RETIRED_KEY = "other-key", "retired-key"


@pytest.fixture
def with_keys(stocked: Rows) -> Iterator[Rows]:
    """With a newer key, and one that was retired."""
    for key_id, retired_at in ((OTHER_KEY, None), (RETIRED_KEY, START)):
        row = {"id": key_id, "check_value": "1", "created_at": START, "retired_at": retired_at}
        stocked.insert("server_keys", row)
    yield stocked
    stocked.execute(f"DELETE FROM server_keys WHERE id IN ('{OTHER_KEY}', '{RETIRED_KEY}')")


ANEW = f"secret_hash = '{'1' * 64}'"
_ONLY_UNDER_ANOTHER, _NOTHING_NEW = "only under another server key", "nothing new is made under a server key"
_OF_KEYS = "a server key keeps its id and check value, and its retirement is final"
KEY_RULES = {
    "another hash under the same key": (change("credentials", CREDENTIAL, ANEW), _ONLY_UNDER_ANOTHER),
    "another key for the same hash": (
        change("credentials", CREDENTIAL, f"hashing_key_id = '{OTHER_KEY}'"),
        _ONLY_UNDER_ANOTHER,
    ),
    "a hash under a retired key": (
        change("credentials", CREDENTIAL, f"{ANEW}, hashing_key_id = '{RETIRED_KEY}'"),
        _NOTHING_NEW,
    ),
    "a credential under a retired key": (
        insertion("credentials", credential(hashing_key_id=RETIRED_KEY)),
        _NOTHING_NEW,
    ),
    "a webhook under a retired key": (
        insertion("webhook_endpoints", samples.webhook_endpoint(ACCOUNT, RETIRED_KEY)),
        _NOTHING_NEW,
    ),
    "a key of another name": (f"UPDATE server_keys SET id = 'key-4' WHERE id = '{OTHER_KEY}'", _OF_KEYS),
    "another check value": (f"UPDATE server_keys SET check_value = '2' WHERE id = '{OTHER_KEY}'", _OF_KEYS),
    "a key that comes back": (f"UPDATE server_keys SET retired_at = NULL WHERE id = '{RETIRED_KEY}'", _OF_KEYS),
}


@pytest.mark.parametrize("name", KEY_RULES)
def test_what_is_made_under_a_key_stays_with_it_and_a_retired_one_makes_nothing(with_keys: Rows, name: str) -> None:
    statement, told = KEY_RULES[name]
    assert told in str(refusal(with_keys, statement))


def test_a_secret_can_be_hashed_anew_whatever_became_of_its_credential(with_keys: Rows) -> None:
    permit(
        with_keys,
        *(
            change("credentials", id_, f"{ANEW}, hashing_key_id = '{OTHER_KEY}'")
            for id_ in (CREDENTIAL, REVOKED_CREDENTIAL, ROTATED_CREDENTIAL)
        ),
    )


def test_a_credential_can_be_moved_used_and_ended(stocked: Rows) -> None:
    other = samples.service(ACCOUNT)
    permit(
        stocked,
        insertion("services", other),
        change("credentials", CREDENTIAL, f"service_id = '{other['id']}', identity_id = '{IDENTITY}'"),
        change("credentials", CREDENTIAL, f"last_used_at = {LATER}, expires_at = {LATER}"),
        change("credentials", CREDENTIAL, f"revoked_at = {LATER}, revocation_reason = 'UNSPECIFIED'"),
    )


@pytest.mark.parametrize(
    "assignments",
    [
        "revoked_at = NULL, revocation_reason = NULL",
        f"revoked_at = {LATER}",
        "revocation_reason = 'UNSPECIFIED'",
    ],
)
def test_a_revocation_is_neither_lifted_nor_dated_nor_explained_anew(stocked: Rows, assignments: str) -> None:
    statement = change("credentials", REVOKED_CREDENTIAL, assignments)
    assert "a revocation is final" in str(refusal(stocked, statement))


@pytest.mark.parametrize(
    "assignments",
    ["rotated_at = NULL", f"rotated_at = {LATER}", f"expires_at = {LATER}"],
    ids=["lifted", "dated anew", "a longer life"],
)
def test_a_rotation_is_final_and_grace_never_lengthens_a_life(stocked: Rows, assignments: str) -> None:
    statement = change("credentials", ROTATED_CREDENTIAL, assignments)
    assert "a rotation is final" in str(refusal(stocked, statement))


def test_a_rotated_credential_can_be_used_and_ended_sooner(stocked: Rows) -> None:
    permit(
        stocked,
        change("credentials", ROTATED_CREDENTIAL, f"last_used_at = {SOONER}, expires_at = {SOONER}"),
        change("credentials", ROTATED_CREDENTIAL, f"revoked_at = {LATER}, revocation_reason = 'KEY_COMPROMISE'"),
    )


def test_credentials_are_never_removed(stocked: Rows) -> None:
    assert "never removed" in str(refusal(stocked, f"DELETE FROM credentials WHERE id = '{CREDENTIAL}'"))


@pytest.mark.parametrize(
    "assignments", ["name = 'another'", "kind = 'DOMAIN'", f"account_id = '{OTHER_ACCOUNT}'"], ids=lambda text: text[:4]
)
def test_an_identity_stays_what_was_submitted(stocked: Rows, assignments: str) -> None:
    statement = change("identities", IDENTITY, assignments)
    assert "an identity keeps its name, kind and account" in str(refusal(stocked, statement))


def test_an_identity_can_be_vetted_and_dated(stocked: Rows) -> None:
    permit(stocked, change("identities", IDENTITY, f"decision = 'SUSPENDED', valid_until = {LATER}"))


@pytest.mark.parametrize("assignment", ["cancelled_at = NULL", f"cancelled_at = {LATER}"])
def test_a_cancellation_is_neither_lifted_nor_dated_anew(stocked: Rows, assignment: str) -> None:
    statement = change("services", CANCELLED_SERVICE, assignment)
    assert "a cancellation is final" in str(refusal(stocked, statement))


def test_a_service_can_be_renewed_suspended_resumed_and_cancelled(stocked: Rows) -> None:
    permit(
        stocked,
        change("services", SERVICE, f"expires_at = {LATER}"),
        change("services", SERVICE, f"suspended_at = {LATER}"),
        change("services", SERVICE, "suspended_at = NULL"),
        change("services", SERVICE, f"cancelled_at = {LATER}"),
    )


@pytest.mark.parametrize("column", ["sequence = 2", "summary = 'Nothing happened'", "actor_id = NULL", "hash = hash"])
def test_an_audit_event_is_never_changed(stocked: Rows, column: str) -> None:
    assert "audit events do not change" in str(refusal(stocked, change("audit_events", EVENT, column)))


def test_an_audit_event_is_never_removed(stocked: Rows) -> None:
    assert "audit events are kept" in str(refusal(stocked, f"DELETE FROM audit_events WHERE id = '{EVENT}'"))


@pytest.mark.engine("sqlite")
def test_to_replace_is_to_remove(stocked: Rows) -> None:
    event = insertion("audit_events", samples.audit_event(ACCOUNT, 2, KEY, id=EVENT))
    again = insertion("credentials", credential(name="ci", api_key="sealkey_key_9"))
    head = insertion("audit_chains", {"id": ACCOUNT, "sequence": 0, "hash": ""})
    assert "audit events are kept" in str(refusal(stocked, event.replace("INSERT", "REPLACE")))
    assert "head of an audit chain is kept" in str(refusal(stocked, head.replace("INSERT", "REPLACE")))
    assert "never removed" in str(refusal(stocked, again.replace("INSERT", "REPLACE")))


@pytest.mark.engine("sqlite")
def test_to_replace_is_to_remove_also_where_triggers_are_not_asked_about_that(stocked: Rows) -> None:
    """As in SQLite's own shell, which does not set recursive_triggers."""
    event = insertion("audit_events", samples.audit_event(ACCOUNT, 2, KEY, id=EVENT))
    head = insertion("audit_chains", {"id": ACCOUNT, "sequence": 0, "hash": ""})
    for statement in (event, head):
        with pytest.raises(sqlite3.IntegrityError, match=r"kept|follows the one before"):
            stocked.execute(statement.replace("INSERT", "REPLACE"))


HEADS = {
    "its number": "sequence = 0",
    "its number, and the hash that belonged to it": "sequence = 0, hash = ''",
    "its hash": f"hash = '{'1' * 64}'",
    "whose it is": f"id = '{OTHER_ACCOUNT}'",
}


@pytest.mark.parametrize("assignments", HEADS.values(), ids=HEADS)
def test_the_head_of_a_chain_only_moves_on(stocked: Rows, assignments: str) -> None:
    assert "an audit chain only grows" in str(refusal(stocked, change("audit_chains", ACCOUNT, assignments)))
    permit(stocked, change("audit_chains", ACCOUNT, f"sequence = 2, hash = '{'2' * 64}'"))


def test_the_head_of_a_chain_is_never_removed(stocked: Rows) -> None:
    for chain in (ACCOUNT, UUID(int=0)):
        assert "is kept" in str(refusal(stocked, f"DELETE FROM audit_chains WHERE id = '{chain}'"))


@pytest.mark.engine("postgres")
@pytest.mark.parametrize("tables", ["audit_chains CASCADE", "audit_events", "credentials CASCADE", "accounts CASCADE"])
def test_to_truncate_is_to_remove(stocked: Rows, tables: str) -> None:
    assert re.search("(are|is) kept|never removed", str(refusal(stocked, f"TRUNCATE {tables}")))


@pytest.mark.parametrize("sequence", [0, -1, 1, 3, 1000])
def test_an_audit_event_comes_next_in_its_chain_or_not_at_all(stocked: Rows, sequence: int) -> None:
    statement = insertion("audit_events", samples.audit_event(ACCOUNT, sequence, KEY))
    assert "follows the one before" in str(refusal(stocked, statement))


def test_each_chain_counts_from_one(stocked: Rows) -> None:
    permit(
        stocked,
        insertion("audit_events", samples.audit_event(ACCOUNT, 2, KEY)),
        insertion("audit_events", samples.audit_event(ACCOUNT, 3, KEY), samples.audit_event(ACCOUNT, 4, KEY)),
        insertion("audit_chains", {"id": OTHER_ACCOUNT, "sequence": 0, "hash": ""}),
        insertion("audit_events", samples.audit_event(OTHER_ACCOUNT, 1, KEY)),
    )
    statement = insertion("audit_events", samples.audit_event(UUID(int=0), 2, KEY))
    assert "follows the one before" in str(refusal(stocked, statement))


@pytest.mark.engine("postgres")
def test_of_two_who_would_write_the_same_event_at_once_one_fails(database_url: str) -> None:
    """Neither sees the other's, so each has the right number; SQLite has no two writers at once."""
    stock(Rows(database_url))
    first, second = (insertion("audit_events", samples.audit_event(ACCOUNT, 2, KEY)) for _ in range(2))

    async def race() -> None:
        async with asyncpg.create_pool(database_url, min_size=3, max_size=3) as pool:
            async with pool.acquire() as one, one.transaction():
                await one.execute(first)
                waiting = asyncio.create_task(pool.execute(second))
                while not await pool.fetchval(WAITING):
                    assert not waiting.done()
            with pytest.raises(asyncpg.UniqueViolationError, match="audit_events_sequence"):
                await waiting

    asyncio.run(race())


def test_an_event_of_no_chain_is_refused(stocked: Rows) -> None:
    statement = insertion("audit_events", samples.audit_event(SOMEBODY_ELSE, 1, KEY))
    assert re.search("(?i)foreign key constraint", str(refusal(stocked, statement)))


def test_the_deployments_own_chain_is_there_from_the_start(stocked: Rows) -> None:
    assert [str(id_) for (id_,) in stocked.execute("SELECT id FROM audit_chains WHERE hash = ''")] == [str(UUID(int=0))]


UNIQUE = {
    "accounts_name": insertion("accounts", samples.account(name="Alder")),
    "users_email": insertion("users", samples.user(ACCOUNT, email="member@alder.example")),
    "users_oidc": insertion(
        "users",
        samples.user(ACCOUNT, oidc_issuer="https://id.example", oidc_subject="1"),
        samples.user(ACCOUNT, oidc_issuer="https://id.example", oidc_subject="1"),
    ),
    "services_living_code": insertion("services", samples.service(ACCOUNT, code="certificates")),
    "credentials_living_name": insertion("credentials", credential(name="ci")),
}


@pytest.mark.parametrize("index", UNIQUE)
def test_what_is_taken_is_refused_and_the_index_that_refused_it_is_known(stocked: Rows, index: str) -> None:
    assert violated_index(refusal(stocked, UNIQUE[index])) == index


@pytest.mark.parametrize(
    "statement",
    [
        insertion("credentials", credential(api_key="sealkey_key_2")),
        insertion("service_identities", samples.service_identity(SERVICE, IDENTITY)),
        insertion("credentials", credential(id=CREDENTIAL)),
        insertion("credentials", *(credential(predecessor_id=CREDENTIAL) for _ in range(2))),
        insertion("access_tokens", *(samples.access_token(token_hash="3" * 64) for _ in range(2))),
        insertion("credential_usage", *(samples.usage(CREDENTIAL) for _ in range(2))),
        insertion("check_epoch", {"id": 1, "value": 1}),
    ],
    ids=["the key of a revoked credential", "a link", "an id", "a rotation", "a token", "a day's use", "the epoch"],
)
def test_what_is_unique_forever_is_refused(stocked: Rows, statement: str) -> None:
    assert re.search("(?i)unique", str(refusal(stocked, statement)))


def test_one_token_opens_one_session_and_one_invitation(stocked: Rows) -> None:
    def token(table: str) -> str:
        row = {"user_id": USER, "token_hash": "1" * 64, "created_at": START, "expires_at": NEVER}
        return insertion(table, {"id": new_id(START), **row}, {"id": new_id(START), **row})

    for table in ("sessions", "invitations"):
        assert re.search("(?i)unique", str(refusal(stocked, token(table))))


def test_names_are_free_again_once_nothing_living_has_them(stocked: Rows) -> None:
    permit(
        stocked,
        change("credentials", CREDENTIAL, f"revoked_at = {LATER}, revocation_reason = 'SUPERSEDED'"),
        insertion("credentials", credential(name="ci")),
        insertion("credentials", credential(name="old")),
        insertion("credentials", credential(name="cd", rotated_at=START)),
        insertion("credentials", credential(name="cd")),
        insertion("services", samples.service(ACCOUNT, code="timestamps")),
    )


def test_accounts_do_not_take_names_and_codes_from_each_other(stocked: Rows) -> None:
    user, service = samples.user(OTHER_ACCOUNT), samples.service(OTHER_ACCOUNT, code="certificates")
    identity = samples.identity(OTHER_ACCOUNT)
    permit(
        stocked,
        insertion("users", user),
        insertion("services", service),
        insertion("identities", identity),
        insertion(
            "credentials",
            samples.credential(OTHER_ACCOUNT, user["id"], service["id"], identity["id"], KEY, name="ci"),
        ),
    )


# By table and check, as the listing has them: a row that fits but for that one rule.
BREACHES: dict[tuple[str, str], samples.Row] = {
    ("access_tokens", "(kind)"): samples.access_token(kind="SESSION"),
    ("access_tokens", "(name)"): samples.access_token(name=""),
    ("access_tokens", "personal_tokens_speak_for_somebody (kind, user_id)"): samples.access_token(kind="PERSONAL"),
    ("accounts", "(default_expiry_months)"): samples.account(default_expiry_months=0),
    ("accounts", "(max_active_credentials_per_user)"): samples.account(max_active_credentials_per_user=-1),
    ("accounts", "(maximum_expiry_months)"): samples.account(maximum_expiry_months=0),
    ("accounts", "(minimum_rsa_key_bits)"): samples.account(minimum_rsa_key_bits=2047),
    ("accounts", "(name)"): samples.account(name=""),
    ("accounts", "(status)"): samples.account(status="CLOSED"),
    ("audit_events", "(hash)"): samples.audit_event(ACCOUNT, 2, KEY, hash="0"),
    # An event numbered 0 is refused for the gap before this rule is asked.
    ("audit_events", "(sequence)"): samples.audit_event(ACCOUNT, 0, KEY),
    ("check_epoch", "(id)"): {"id": 2, "value": 0},
    ("credential_usage", "(allowed)"): samples.usage(CREDENTIAL, allowed=-1),
    ("credential_usage", "(denied)"): samples.usage(CREDENTIAL, denied=-1),
    ("credentials", "(delivery_method)"): credential(delivery_method="CARRIER_PIGEON"),
    ("credentials", "(name)"): credential(name=""),
    ("credentials", "(secret_hash)"): credential(secret_hash="0" * 63),
    ("credentials", "encrypted_files_name_their_key (delivery_method, public_key_fingerprint)"): credential(
        delivery_method="ENCRYPTED_FILE"
    ),
    ("credentials", "revocations_have_a_reason (revocation_reason, revoked_at)"): credential(revoked_at=START),
    ("identities", "(decision)"): samples.identity(ACCOUNT, decision="EXPIRED"),
    ("identities", "(kind)"): samples.identity(ACCOUNT, kind="ROBOT"),
    ("identities", "(name)"): samples.identity(ACCOUNT, name=""),
    ("services", "(code)"): samples.service(ACCOUNT, code=""),
    ("services", "(name)"): samples.service(ACCOUNT, name=""),
    ("services", "services_start_before_they_end (expires_at, starts_at)"): samples.service(
        ACCOUNT, starts_at=START, expires_at=START
    ),
    ("users", "(email)"): samples.user(ACCOUNT, email="Member@birch.example"),
    ("users", "(role)"): samples.user(ACCOUNT, role="GATEWAY"),
    ("users", "(status)"): samples.user(ACCOUNT, status="DELETED"),
    ("users", "operators_belong_to_no_account (account_id, role)"): samples.user(ACCOUNT, role="OPERATOR"),
}


def test_every_check_of_the_listing_is_tried_below() -> None:
    table, listed = "", set()
    for line in SCHEMA.splitlines():
        table = line if line and not line.startswith(" ") else table
        if line.startswith("    check "):
            listed.add((table, line.removeprefix("    check ")))
    assert set(BREACHES) == listed


@pytest.mark.parametrize(("table", "check"), BREACHES)
def test_a_row_that_breaks_a_rule_is_refused(stocked: Rows, table: str, check: str) -> None:
    error = str(refusal(stocked, insertion(table, BREACHES[table, check])))
    named = check.partition(" (")[0].strip("()")
    if (table, named) == ("audit_events", "sequence"):
        assert "follows the one before" in error
    else:
        assert re.search(f"(?i)check constraint.*{named}", error)


OTHER_SIDES = {
    "an account without an end by default": ("accounts", samples.account(default_expiry_months=None)),
    "the largest keys": ("accounts", samples.account(minimum_rsa_key_bits=16384)),
    "a credential for a month at most": ("accounts", samples.account(maximum_expiry_months=1)),
    "an operator": ("users", samples.user(None)),
    "a personal token": ("access_tokens", samples.access_token(kind="PERSONAL", account_id=ACCOUNT, user_id=USER)),
    "a day without use": ("credential_usage", samples.usage(CREDENTIAL, allowed=0)),
    "an encrypted file": (
        "credentials",
        credential(delivery_method="ENCRYPTED_FILE", public_key_fingerprint="0" * 64),
    ),
    "a service of a millisecond": (
        "services",
        samples.service(ACCOUNT, starts_at=START, expires_at=START.replace(microsecond=1000)),
    ),
}


@pytest.mark.parametrize(("table", "row"), OTHER_SIDES.values(), ids=OTHER_SIDES)
def test_a_row_just_within_the_rules_is_taken(stocked: Rows, table: str, row: samples.Row) -> None:
    permit(stocked, insertion(table, row))


@pytest.mark.parametrize(
    "row",
    [
        samples.account(minimum_rsa_key_bits=16385),
        samples.account(default_expiry_months=-12),
    ],
    ids=["keys too large to use", "an end before the start"],
)
def test_an_account_without_a_sensible_policy_is_refused(stocked: Rows, row: samples.Row) -> None:
    assert re.search("(?i)check constraint", str(refusal(stocked, insertion("accounts", row))))


@pytest.mark.parametrize(
    "row",
    [
        samples.user(None, role="MEMBER"),
        samples.user(None, role="ADMINISTRATOR"),
        samples.user(None, role="AUDITOR"),
    ],
    ids=lambda row: str(row["role"]),
)
def test_only_operators_belong_to_no_account(stocked: Rows, row: samples.Row) -> None:
    assert "operators_belong_to_no_account" in str(refusal(stocked, insertion("users", row)))


def test_a_gateways_token_speaks_for_nobody(stocked: Rows) -> None:
    statement = insertion("access_tokens", samples.access_token(user_id=USER))
    assert "personal_tokens_speak_for_somebody" in str(refusal(stocked, statement))


@pytest.mark.parametrize(
    "row",
    [
        credential(public_key_fingerprint="0" * 64),
        credential(revocation_reason="SUPERSEDED"),
    ],
    ids=["a key nothing was encrypted to", "a reason without a revocation"],
)
def test_a_credential_that_contradicts_itself_is_refused(stocked: Rows, row: samples.Row) -> None:
    assert re.search("(?i)check constraint", str(refusal(stocked, insertion("credentials", row))))


_TOKEN = {"id": new_id(START), "token_hash": "2" * 64, "created_at": START, "expires_at": NEVER}
# By the column that refers to what is not there.
DANGLING: dict[str, tuple[str, samples.Row]] = {
    "users.account_id": ("users", samples.user(SOMEBODY_ELSE)),
    "invitations.user_id": ("invitations", {**_TOKEN, "user_id": SOMEBODY_ELSE}),
    "sessions.user_id": ("sessions", {**_TOKEN, "user_id": SOMEBODY_ELSE}),
    "access_tokens.account_id": ("access_tokens", samples.access_token(account_id=SOMEBODY_ELSE)),
    "access_tokens.user_id": ("access_tokens", samples.access_token(kind="PERSONAL", user_id=SOMEBODY_ELSE)),
    "identities.account_id": ("identities", samples.identity(SOMEBODY_ELSE)),
    "services.account_id": ("services", samples.service(SOMEBODY_ELSE)),
    "service_identities.service_id": ("service_identities", samples.service_identity(SOMEBODY_ELSE, IDENTITY)),
    "service_identities.identity_id": ("service_identities", samples.service_identity(SERVICE, SOMEBODY_ELSE)),
    "credentials.account_id": ("credentials", credential(account_id=SOMEBODY_ELSE)),
    "credentials.owner_id": ("credentials", credential(owner_id=SOMEBODY_ELSE)),
    "credentials.service_id": ("credentials", credential(service_id=SOMEBODY_ELSE)),
    "credentials.identity_id": ("credentials", credential(identity_id=SOMEBODY_ELSE)),
    "credentials.hashing_key_id": ("credentials", credential(hashing_key_id="key-2")),
    "credentials.predecessor_id": ("credentials", credential(predecessor_id=SOMEBODY_ELSE)),
    "credential_usage.credential_id": ("credential_usage", samples.usage(SOMEBODY_ELSE)),
    "webhook_endpoints.account_id": ("webhook_endpoints", samples.webhook_endpoint(SOMEBODY_ELSE, KEY)),
    "webhook_endpoints.sealing_key_id": ("webhook_endpoints", samples.webhook_endpoint(ACCOUNT, "key-2")),
    "webhook_announcements.account_id": ("webhook_announcements", samples.webhook_announcement(SOMEBODY_ELSE)),
    "webhook_deliveries.endpoint_id": ("webhook_deliveries", samples.webhook_delivery(SOMEBODY_ELSE)),
    "audit_events.chain_id": ("audit_events", samples.audit_event(SOMEBODY_ELSE, 1, KEY)),
    "audit_events.actor_id": ("audit_events", samples.audit_event(ACCOUNT, 2, KEY, actor_id=SOMEBODY_ELSE)),
    "audit_events.hashing_key_id": ("audit_events", samples.audit_event(ACCOUNT, 2, "key-2")),
}


def test_every_reference_of_the_listing_is_tried_below() -> None:
    table, listed = "", set()
    for line in SCHEMA.splitlines():
        table = line if line and not line.startswith(" ") else table
        if " of " in line:
            listed.add(f"{table}.{line.strip().partition(':')[0]}")
    assert set(DANGLING) == listed


@pytest.mark.parametrize("column", DANGLING)
def test_what_is_referred_to_is_there(stocked: Rows, column: str) -> None:
    # A credential of no account is refused for its owner's before that reference is followed.
    wanted = "of one account" if column == "credentials.account_id" else "(?i)foreign key constraint"
    assert re.search(wanted, str(refusal(stocked, insertion(*DANGLING[column]))))


@pytest.mark.parametrize(
    ("table", "id_"),
    [
        ("accounts", ACCOUNT),
        ("users", USER),
        ("identities", IDENTITY),
        ("services", SERVICE),
        ("server_keys", KEY),
    ],
)
def test_what_is_referred_to_stays(stocked: Rows, table: str, id_: object) -> None:
    statement = f"DELETE FROM {table} WHERE id = '{id_}'"
    assert re.search("(?i)foreign key constraint", str(refusal(stocked, statement)))


@pytest.mark.parametrize("table", ["accounts", "users", "identities", "services", "credentials", "audit_events"])
def test_every_row_has_an_id(stocked: Rows, table: str) -> None:
    rows = {
        "accounts": samples.account(),
        "users": samples.user(ACCOUNT),
        "identities": samples.identity(ACCOUNT),
        "services": samples.service(ACCOUNT),
        "credentials": credential(),
        "audit_events": samples.audit_event(ACCOUNT, 2, KEY),
    }
    statement = insertion(table, {**rows[table], "id": None})
    assert re.search("(?i)not.null", str(refusal(stocked, statement)))


def test_the_stand_ins_for_never_and_not_yet_are_kept_exactly(stocked: Rows) -> None:
    """They are compared with, and told from real instants, by equality."""
    kept = stocked.execute(f"SELECT expires_at, last_used_at FROM credentials WHERE id = '{CREDENTIAL}'")
    wanted = (NEVER, LONG_AGO)
    assert kept == [wanted if stocked.engine == "postgres" else tuple(instant.isoformat(" ") for instant in wanted)]
