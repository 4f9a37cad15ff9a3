"""The first schema: accounts, people, identities, services, credentials, the audit log, and what must hold of them."""

from tortoise.migrations.migration import Migration as BaseMigration

from models.migrations._sql import Statements, refuse

# NOT NULL on the keys is for SQLite, which lets them be null otherwise.
_TABLES = [
    """CREATE TABLE accounts (
        id UUID NOT NULL PRIMARY KEY,
        name VARCHAR(200) COLLATE "C" NOT NULL CHECK (length(name) > 0),
        status VARCHAR(16) NOT NULL CHECK (status IN ('ACTIVE', 'SUSPENDED')),
        max_active_credentials_per_user INT NOT NULL CHECK (max_active_credentials_per_user >= 0),
        default_expiry_months INT CHECK (default_expiry_months > 0),
        never_expires_allowed BOOLEAN NOT NULL,
        view_and_copy_allowed BOOLEAN NOT NULL,
        encrypted_file_allowed BOOLEAN NOT NULL,
        minimum_rsa_key_bits INT NOT NULL CHECK (minimum_rsa_key_bits BETWEEN 2048 AND 16384),
        created_at TIMESTAMPTZ NOT NULL
    )""",
    """CREATE TABLE users (
        id UUID NOT NULL PRIMARY KEY,
        account_id UUID REFERENCES accounts (id),
        email VARCHAR(254) NOT NULL CHECK (email = lower(email)),
        display_name VARCHAR(200) NOT NULL,
        role VARCHAR(16) NOT NULL CHECK (role IN ('OPERATOR', 'ADMINISTRATOR', 'MEMBER', 'AUDITOR')),
        status VARCHAR(16) NOT NULL CHECK (status IN ('ACTIVE', 'DEACTIVATED')),
        api_access BOOLEAN NOT NULL,
        password_hash VARCHAR(200),
        created_at TIMESTAMPTZ NOT NULL,
        CONSTRAINT operators_belong_to_no_account CHECK ((role = 'OPERATOR') = (account_id IS NULL))
    )""",
    """CREATE TABLE invitations (
        id UUID NOT NULL PRIMARY KEY,
        user_id UUID NOT NULL REFERENCES users (id),
        token_hash VARCHAR(64) NOT NULL,
        created_at TIMESTAMPTZ NOT NULL,
        expires_at TIMESTAMPTZ NOT NULL,
        accepted_at TIMESTAMPTZ
    )""",
    """CREATE TABLE sessions (
        id UUID NOT NULL PRIMARY KEY,
        user_id UUID NOT NULL REFERENCES users (id),
        token_hash VARCHAR(64) NOT NULL,
        created_at TIMESTAMPTZ NOT NULL,
        expires_at TIMESTAMPTZ NOT NULL,
        ended_at TIMESTAMPTZ
    )""",
    """CREATE TABLE identities (
        id UUID NOT NULL PRIMARY KEY,
        account_id UUID NOT NULL REFERENCES accounts (id),
        name VARCHAR(200) COLLATE "C" NOT NULL CHECK (length(name) > 0),
        kind VARCHAR(16) NOT NULL CHECK (kind IN ('ORGANIZATION', 'INDIVIDUAL', 'DOMAIN')),
        decision VARCHAR(16) NOT NULL CHECK (decision IN ('PENDING_VETTING', 'ACTIVE', 'REJECTED', 'SUSPENDED')),
        valid_until TIMESTAMPTZ NOT NULL,
        created_at TIMESTAMPTZ NOT NULL
    )""",
    """CREATE TABLE services (
        id UUID NOT NULL PRIMARY KEY,
        account_id UUID NOT NULL REFERENCES accounts (id),
        name VARCHAR(200) COLLATE "C" NOT NULL CHECK (length(name) > 0),
        code VARCHAR(64) NOT NULL CHECK (length(code) > 0),
        starts_at TIMESTAMPTZ NOT NULL,
        expires_at TIMESTAMPTZ NOT NULL,
        suspended_at TIMESTAMPTZ,
        cancelled_at TIMESTAMPTZ,
        created_at TIMESTAMPTZ NOT NULL,
        CONSTRAINT services_start_before_they_end CHECK (starts_at < expires_at)
    )""",
    """CREATE TABLE service_identities (
        service_id UUID NOT NULL REFERENCES services (id),
        identity_id UUID NOT NULL REFERENCES identities (id),
        created_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (service_id, identity_id)
    )""",
    """CREATE TABLE credentials (
        id UUID NOT NULL PRIMARY KEY,
        account_id UUID NOT NULL REFERENCES accounts (id),
        owner_id UUID NOT NULL REFERENCES users (id),
        service_id UUID NOT NULL REFERENCES services (id),
        identity_id UUID NOT NULL REFERENCES identities (id),
        name VARCHAR(64) COLLATE "C" NOT NULL CHECK (length(name) > 0),
        api_key VARCHAR(64) NOT NULL,
        secret_hash VARCHAR(64) NOT NULL CHECK (length(secret_hash) = 64),
        hashing_key_id VARCHAR(64) NOT NULL REFERENCES server_keys (id),
        delivery_method VARCHAR(16) NOT NULL CHECK (delivery_method IN ('VIEW_AND_COPY', 'ENCRYPTED_FILE')),
        public_key_fingerprint VARCHAR(64),
        created_at TIMESTAMPTZ NOT NULL,
        expires_at TIMESTAMPTZ NOT NULL,
        revoked_at TIMESTAMPTZ,
        revocation_reason VARCHAR(32),
        last_used_at TIMESTAMPTZ NOT NULL,
        CONSTRAINT encrypted_files_name_their_key
            CHECK ((delivery_method = 'ENCRYPTED_FILE') = (public_key_fingerprint IS NOT NULL)),
        CONSTRAINT revocations_have_a_reason CHECK ((revoked_at IS NULL) = (revocation_reason IS NULL))
    )""",
    """CREATE TABLE audit_chains (
        id UUID NOT NULL PRIMARY KEY,
        sequence INT NOT NULL,
        hash VARCHAR(64) NOT NULL
    )""",
    """CREATE TABLE audit_events (
        id UUID NOT NULL PRIMARY KEY,
        chain_id UUID NOT NULL REFERENCES audit_chains (id),
        sequence INT NOT NULL CHECK (sequence > 0),
        type VARCHAR(64) NOT NULL,
        occurred_at TIMESTAMPTZ NOT NULL,
        actor_id UUID REFERENCES users (id),
        subject_id VARCHAR(64),
        source_ip VARCHAR(45),
        summary VARCHAR(500) NOT NULL,
        hashing_key_id VARCHAR(64) NOT NULL REFERENCES server_keys (id),
        hash VARCHAR(64) NOT NULL CHECK (length(hash) = 64)
    )""",
]
_SERVER_KEYS = """CREATE TABLE server_keys (
        id VARCHAR(64) NOT NULL PRIMARY KEY,
        check_value VARCHAR(64) NOT NULL,
        created_at TIMESTAMPTZ NOT NULL
    )"""

# The deployment's own chain, of what belongs to no account; accounts bring theirs.
_FIRST_ROWS = ["INSERT INTO audit_chains VALUES ('00000000-0000-0000-0000-000000000000', 0, '')"]

# Each page of the API reads one of these in order: an account's rows (or, for operators, all) by creation (the id
# carries it), name, expiry or last use.
_INDEXES = [
    "CREATE UNIQUE INDEX accounts_name ON accounts (name)",
    "CREATE UNIQUE INDEX users_email ON users (email)",
    "CREATE INDEX users_account ON users (account_id, id)",
    "CREATE UNIQUE INDEX invitations_token ON invitations (token_hash)",
    "CREATE INDEX invitations_user ON invitations (user_id)",
    "CREATE UNIQUE INDEX sessions_token ON sessions (token_hash)",
    "CREATE INDEX sessions_user ON sessions (user_id)",
    "CREATE INDEX identities_account ON identities (account_id, id)",
    "CREATE INDEX identities_account_name ON identities (account_id, name, id)",
    "CREATE INDEX services_account ON services (account_id, id)",
    "CREATE INDEX services_account_name ON services (account_id, name, id)",
    "CREATE INDEX services_account_expiry ON services (account_id, expires_at, id)",
    "CREATE UNIQUE INDEX services_living_code ON services (account_id, code) WHERE cancelled_at IS NULL",
    "CREATE INDEX service_identities_identity ON service_identities (identity_id, service_id)",
    "CREATE UNIQUE INDEX credentials_api_key ON credentials (api_key)",
    "CREATE UNIQUE INDEX credentials_living_name ON credentials (account_id, name) WHERE revoked_at IS NULL",
    "CREATE INDEX credentials_account ON credentials (account_id, id)",
    "CREATE INDEX credentials_account_name ON credentials (account_id, name, id)",
    "CREATE INDEX credentials_account_expiry ON credentials (account_id, expires_at, id)",
    "CREATE INDEX credentials_account_use ON credentials (account_id, last_used_at, id)",
    "CREATE INDEX credentials_owner ON credentials (owner_id, id)",
    "CREATE INDEX credentials_service ON credentials (service_id, id)",
    "CREATE INDEX credentials_identity ON credentials (identity_id, id)",
    "CREATE INDEX credentials_name ON credentials (name, id)",
    "CREATE INDEX credentials_expiry ON credentials (expires_at, id)",
    "CREATE INDEX credentials_use ON credentials (last_used_at, id)",
    "CREATE UNIQUE INDEX audit_events_sequence ON audit_events (chain_id, sequence)",
    "CREATE INDEX audit_events_subject ON audit_events (subject_id, id)",
    "CREATE INDEX audit_events_actor ON audit_events (actor_id, id)",
]

_RULES = [
    refuse(
        "credentials_identity_is_fixed",
        "UPDATE",
        "credentials",
        "NEW.id <> OLD.id OR NEW.name <> OLD.name OR NEW.api_key <> OLD.api_key OR NEW.account_id <> OLD.account_id"
        " OR NEW.owner_id <> OLD.owner_id",
        "a credential keeps its id, name, key, owner and account",
    ),
    refuse(
        "credentials_revoked_stay_revoked",
        "UPDATE",
        "credentials",
        "OLD.revoked_at IS NOT NULL AND (NEW.revoked_at IS NULL OR NEW.revoked_at <> OLD.revoked_at"
        " OR NEW.revocation_reason <> OLD.revocation_reason)",
        "a revocation is final",
    ),
    refuse("credentials_are_kept", "DELETE", "credentials", "", "a credential is revoked, never removed"),
    refuse(
        "identities_are_fixed",
        "UPDATE",
        "identities",
        "NEW.name <> OLD.name OR NEW.kind <> OLD.kind OR NEW.account_id <> OLD.account_id",
        "an identity keeps its name, kind and account",
    ),
    refuse(
        "services_cancelled_stay_cancelled",
        "UPDATE",
        "services",
        "OLD.cancelled_at IS NOT NULL AND (NEW.cancelled_at IS NULL OR NEW.cancelled_at <> OLD.cancelled_at)",
        "a cancellation is final",
    ),
    refuse("audit_events_are_fixed", "UPDATE", "audit_events", "", "audit events do not change"),
    refuse("audit_events_are_kept", "DELETE", "audit_events", "", "audit events are kept"),
]
# SQLite allows a subquery in WHEN, PostgreSQL only inside the function; the rule is the same.
_GAPLESS = "sequence of an audit event follows the one before"
_SQLITE_GAPLESS = [
    "CREATE TRIGGER audit_events_have_no_gap BEFORE INSERT ON audit_events FOR EACH ROW "
    "WHEN (NEW.sequence <> 1 + coalesce((SELECT max(sequence) FROM audit_events WHERE chain_id = NEW.chain_id), 0)) "
    f"BEGIN SELECT RAISE(ABORT, '{_GAPLESS}'); END",
]
_POSTGRES_GAPLESS = [
    "CREATE FUNCTION audit_events_have_no_gap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "IF NEW.sequence <> 1 + coalesce((SELECT max(sequence) FROM audit_events WHERE chain_id = NEW.chain_id), 0) THEN "
    f"RAISE EXCEPTION '{_GAPLESS}' USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW; END $$",
    "CREATE TRIGGER audit_events_have_no_gap BEFORE INSERT ON audit_events FOR EACH ROW "
    "EXECUTE FUNCTION audit_events_have_no_gap()",
]
# TRUNCATE removes rows without asking those that refuse to be removed one by one.
_POSTGRES_KEPT = [
    f"CREATE TRIGGER {table}_are_not_truncated BEFORE TRUNCATE ON {table} FOR EACH STATEMENT "
    f"EXECUTE FUNCTION {table}_are_kept()"
    for table in ("credentials", "audit_events")
]


class Migration(BaseMigration):
    initial = True
    operations = [  # noqa: RUF012
        Statements(
            [_SERVER_KEYS, *_TABLES, *_INDEXES, *_FIRST_ROWS],
            sqlite=[statement for rule in _RULES for statement in rule[0]] + _SQLITE_GAPLESS,
            postgres=[statement for rule in _RULES for statement in rule[1]] + _POSTGRES_GAPLESS + _POSTGRES_KEPT,
        )
    ]
