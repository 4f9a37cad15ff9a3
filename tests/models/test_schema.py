"""What the migrations make is what stands here, on either engine: a table, column, check, index or trigger that is new,
changed or missing is a difference to this listing, to be made on purpose."""

import pytest

from tests.models.describe import describe
from tests.support.rows import Rows

SCHEMA = """
access_tokens
    id: uuid
    kind: varchar(16)
    account_id: uuid of accounts or null
    user_id: uuid of users or null
    name: varchar(64)
    token_hash: varchar(64)
    permissions: varchar(500)
    created_at: instant
    expires_at: instant
    revoked_at: instant or null
    last_used_at: instant
    key (id)
    check (kind)
    check (name)
    check personal_tokens_speak_for_somebody (kind, user_id)
    index access_tokens_account (account_id, id)
    index access_tokens_user (user_id, id)
    unique index access_tokens_token (token_hash)

accounts
    id: uuid
    name: varchar(200)
    status: varchar(16)
    max_active_credentials_per_user: integer
    default_expiry_months: integer or null
    never_expires_allowed: flag
    view_and_copy_allowed: flag
    encrypted_file_allowed: flag
    minimum_rsa_key_bits: integer
    created_at: instant
    maximum_expiry_months: integer or null
    key (id)
    check (default_expiry_months)
    check (max_active_credentials_per_user)
    check (maximum_expiry_months)
    check (minimum_rsa_key_bits)
    check (name)
    check (status)
    unique index accounts_name (name)

audit_chains
    id: uuid
    sequence: integer
    hash: varchar(64)
    key (id)
    trigger audit_chains_are_kept before delete
    trigger audit_chains_only_grow before update

audit_events
    id: uuid
    chain_id: uuid of audit_chains
    sequence: integer
    type: varchar(64)
    occurred_at: instant
    actor_id: uuid of users or null
    subject_id: varchar(64) or null
    source_ip: varchar(45) or null
    summary: varchar(500)
    hashing_key_id: varchar(64) of server_keys
    hash: varchar(64)
    hash_version: integer
    key (id)
    check (hash)
    check (sequence)
    index audit_events_account_actor (chain_id, actor_id, sequence)
    index audit_events_account_type (chain_id, type, sequence)
    index audit_events_actor (actor_id, id)
    index audit_events_subject (subject_id, id)
    index audit_events_type (type, id)
    unique index audit_events_sequence (chain_id, sequence)
    trigger audit_events_are_fixed before update
    trigger audit_events_are_kept before delete
    trigger audit_events_have_no_gap before insert

check_changes
    epoch: bigint
    subject_id: varchar(64)
    key (epoch)

check_epoch
    id: integer
    value: bigint
    key (id)
    check (id)

credential_usage
    credential_id: uuid of credentials
    day: varchar(10)
    allowed: bigint
    denied: bigint
    key (credential_id, day)
    check (allowed)
    check (denied)
    index credential_usage_day (day)

credentials
    id: uuid
    account_id: uuid of accounts
    owner_id: uuid of users
    service_id: uuid of services
    identity_id: uuid of identities
    name: varchar(64)
    api_key: varchar(64)
    secret_hash: varchar(64)
    hashing_key_id: varchar(64) of server_keys
    delivery_method: varchar(16)
    public_key_fingerprint: varchar(64) or null
    created_at: instant
    expires_at: instant
    revoked_at: instant or null
    revocation_reason: varchar(32) or null
    last_used_at: instant
    predecessor_id: uuid of credentials or null
    rotated_at: instant or null
    allowed_networks: varchar(2500)
    key (id)
    check (delivery_method)
    check (name)
    check (secret_hash)
    check encrypted_files_name_their_key (delivery_method, public_key_fingerprint)
    check revocations_have_a_reason (revocation_reason, revoked_at)
    index credentials_account (account_id, id)
    index credentials_account_expiry (account_id, expires_at, id) where revoked_at IS NULL
    index credentials_account_living (account_id, id) where revoked_at IS NULL
    index credentials_account_name (account_id, name, id) where revoked_at IS NULL
    index credentials_account_revoked (account_id, id) where revoked_at IS NOT NULL
    index credentials_account_use (account_id, last_used_at, id) where revoked_at IS NULL
    index credentials_expiry (expires_at, id) where revoked_at IS NULL
    index credentials_identity (identity_id, id) where revoked_at IS NULL
    index credentials_living (id) where revoked_at IS NULL
    index credentials_name (name, id) where revoked_at IS NULL
    index credentials_owner (owner_id, id) where revoked_at IS NULL
    index credentials_revoked (id) where revoked_at IS NOT NULL
    index credentials_service (service_id, id) where revoked_at IS NULL
    index credentials_use (last_used_at, id) where revoked_at IS NULL
    unique index credentials_api_key (api_key)
    unique index credentials_living_name (account_id, name) where revoked_at IS NULL AND rotated_at IS NULL
    unique index credentials_predecessor (predecessor_id) where predecessor_id IS NOT NULL
    trigger credentials_are_hashed_anew_under_another_key before update
    trigger credentials_are_hashed_anew_under_living_keys before update
    trigger credentials_are_kept before delete
    trigger credentials_are_made_under_living_keys before insert
    trigger credentials_are_of_one_account before insert
    trigger credentials_identity_is_fixed before update
    trigger credentials_keep_their_predecessor before update
    trigger credentials_move_within_one_account before update
    trigger credentials_revoked_stay_revoked before update
    trigger credentials_rotated_stay_rotated before update

expiry_notices
    subject_id: varchar(64)
    days: integer
    expires_at: instant
    key (subject_id, days, expires_at)
    index expiry_notices_expiry (expires_at)

idempotent_answers
    key_hash: varchar(64)
    request_hash: varchar(64)
    answer: text
    expires_at: instant
    key (key_hash)
    index idempotent_answers_expiry (expires_at)

identities
    id: uuid
    account_id: uuid of accounts
    name: varchar(200)
    kind: varchar(16)
    decision: varchar(16)
    valid_until: instant
    created_at: instant
    key (id)
    check (decision)
    check (kind)
    check (name)
    index identities_account (account_id, id)
    index identities_account_name (account_id, name, id)
    index identities_name (name, id)
    trigger identities_are_fixed before update

invitations
    id: uuid
    user_id: uuid of users
    token_hash: varchar(64)
    created_at: instant
    expires_at: instant
    accepted_at: instant or null
    key (id)
    index invitations_user (user_id)
    unique index invitations_token (token_hash)

revoked_tokens
    id: varchar(64)
    expires_at: instant
    key (id)
    index revoked_tokens_expiry (expires_at)

server_keys
    id: varchar(64)
    check_value: varchar(64)
    created_at: instant
    retired_at: instant or null
    key (id)
    trigger server_keys_retired_stay_retired before update

service_identities
    service_id: uuid of services
    identity_id: uuid of identities
    created_at: instant
    key (service_id, identity_id)
    index service_identities_identity (identity_id, service_id)
    trigger service_identities_are_fixed before update
    trigger service_identities_are_of_one_account before insert

services
    id: uuid
    account_id: uuid of accounts
    name: varchar(200)
    code: varchar(64)
    starts_at: instant
    expires_at: instant
    suspended_at: instant or null
    cancelled_at: instant or null
    created_at: instant
    key (id)
    check (code)
    check (name)
    check services_start_before_they_end (expires_at, starts_at)
    index services_account (account_id, id)
    index services_account_expiry (account_id, expires_at, id)
    index services_account_name (account_id, name, id)
    index services_expiry (expires_at, id)
    index services_name (name, id)
    unique index services_living_code (account_id, code) where cancelled_at IS NULL
    trigger services_cancelled_stay_cancelled before update
    trigger services_keep_their_account before update

sessions
    id: uuid
    user_id: uuid of users
    token_hash: varchar(64)
    created_at: instant
    expires_at: instant
    ended_at: instant or null
    last_seen_at: instant
    key (id)
    index sessions_user (user_id)
    unique index sessions_token (token_hash)

throttles
    key: varchar(64)
    tries: integer
    since: bigint
    closed_until: bigint
    key (key)
    index throttles_since (since)

usage_batches
    id: varchar(36)
    day: varchar(10)
    key (id)
    index usage_batches_day (day)

users
    id: uuid
    account_id: uuid of accounts or null
    email: varchar(254)
    display_name: varchar(200)
    role: varchar(16)
    status: varchar(16)
    api_access: flag
    password_hash: varchar(200) or null
    created_at: instant
    oidc_issuer: varchar(255) or null
    oidc_subject: varchar(255) or null
    key (id)
    check (email)
    check (role)
    check (status)
    check operators_belong_to_no_account (account_id, role)
    index users_account (account_id, id)
    unique index users_email (email)
    unique index users_oidc (oidc_issuer, oidc_subject) where oidc_subject IS NOT NULL
    trigger users_keep_their_account before update

webhook_announcements
    id: integer
    account_id: uuid of accounts
    party: varchar(8)
    party_id: uuid
    blockers: varchar(200)
    occurred_at: instant
    told_upto: uuid or null
    key (id)
    index webhook_announcements_account (account_id, id)

webhook_deliveries
    id: uuid
    endpoint_id: uuid of webhook_endpoints
    event_type: varchar(64)
    body: text
    created_at: instant
    attempts: integer
    next_attempt_at: instant
    key (id)
    index webhook_deliveries_due (next_attempt_at, endpoint_id)
    index webhook_deliveries_endpoint (endpoint_id, next_attempt_at)

webhook_endpoints
    id: uuid
    account_id: uuid of accounts
    url: varchar(2000)
    sealed_secret: varchar(200)
    sealing_key_id: varchar(64) of server_keys
    event_types: varchar(500)
    created_at: instant
    removed_at: instant or null
    last_delivered_at: instant or null
    disabled_at: instant or null
    key (id)
    index webhook_endpoints_account (account_id, id)
    trigger webhook_endpoints_are_made_under_living_keys before insert
"""


_OF_ONE_ENGINE = (" before truncate", "_are_not_replaced before insert")


def test_the_database_is_made_of_what_is_listed_here_and_nothing_else(database_url: str) -> None:
    rows = Rows(database_url)
    expected = SCHEMA.splitlines() if rows.engine == "postgres" else SCHEMA.replace(": flag", ": integer").splitlines()
    found = [line for line in describe(rows).splitlines() if not line.endswith(_OF_ONE_ENGINE)]
    assert found == expected


@pytest.mark.engine("postgres")
def test_what_is_kept_for_good_is_kept_from_truncate_too(database_url: str) -> None:
    found = [line.strip() for line in describe(Rows(database_url)).splitlines() if line.endswith(" before truncate")]
    assert found == [
        "trigger audit_chains_are_not_truncated before truncate",
        "trigger audit_events_are_not_truncated before truncate",
        "trigger credentials_are_not_truncated before truncate",
    ]


@pytest.mark.engine("sqlite")
def test_what_is_kept_for_good_is_kept_from_replacing_too(database_url: str) -> None:
    found = [line.strip() for line in describe(Rows(database_url)).splitlines() if "_are_not_replaced" in line]
    assert found == [
        "trigger audit_chains_are_not_replaced before insert",
        "trigger audit_events_are_not_replaced before insert",
    ]


@pytest.mark.engine("postgres")
def test_names_sort_by_their_bytes_whatever_the_locale_of_the_database(database_url: str) -> None:
    """SQLite does so by itself. Cursors hold names, so both must agree on what comes after one."""
    ordered = Rows(database_url).execute(
        """SELECT attrelid::regclass || '.' || attname FROM pg_attribute JOIN pg_collation c ON c.oid = attcollation
        JOIN pg_class t ON t.oid = attrelid AND relkind = 'r' AND t.relnamespace = 'public'::regnamespace
        WHERE collname = 'C' ORDER BY 1"""
    )
    assert ordered == [("accounts.name",), ("credentials.name",), ("identities.name",), ("services.name",)]
