"""What an error of the database's means: that it can't be asked now, or that a rule of its kept a change out."""

import sqlite3

import asyncpg
from tortoise.exceptions import BaseORMException, DBConnectionError, IntegrityError

from models.reasons import cause_of
from models.sqlite_errors import primary_code


def is_unavailable(error: BaseException) -> bool:
    """Whether an error means that the database can't be asked now, not that the question is wrong."""
    cause = cause_of(error)
    if isinstance(cause, sqlite3.Error):
        return primary_code(cause) in _SQLITE_UNAVAILABLE
    return isinstance(error, _UNAVAILABLE) or isinstance(cause, _UNAVAILABLE)


class Unavailable(Exception):
    """Something else without which nothing can be decided now."""


# PostgreSQL's classes of errors 08 (connection), 28 (it lets nobody in), 40 (a transaction that another stood in the
# way of), 53 (resources), 57 (operator intervention) and 58 (system), of others those that follow from locks, limits
# of time, taking a standby for the server, a database or a schema that is gone or closed or a right that is, and data
# that can't be read; and the driver's own.
_UNAVAILABLE = (
    Unavailable,
    OSError,
    DBConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.TargetServerAttributeNotMatched,  # of several hosts none takes writes
    asyncpg.PostgresConnectionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.TransactionRollbackError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.DataCorruptedError,
    asyncpg.IndexCorruptedError,
)
# What comes of asking, and not of anything else that is done while connected: a key file, say, can't be read either.
OF_DATABASE = (
    sqlite3.Error,
    BaseORMException,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ConnectionError,
    TimeoutError,
)
# Somebody else has held the file for longer than anybody waits, or the disk is full, broken, read-only or gone; or the
# file is damaged, as the log then says by the name.
_SQLITE_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
}


def violated_index(error: IntegrityError) -> str | None:
    """The name of the unique index that a change would have violated, None where it was another constraint."""
    cause = error.args[0]
    if name := getattr(cause, "constraint_name", None):
        return str(name)
    # SQLite names the columns, so these are looked up.
    columns = str(cause).removeprefix("UNIQUE constraint failed: ")
    return _SQLITE_UNIQUE.get(columns)


_SQLITE_UNIQUE = {
    "accounts.name": "accounts_name",
    "users.email": "users_email",
    "users.oidc_issuer, users.oidc_subject": "users_oidc",
    "services.account_id, services.code": "services_living_code",
    "credentials.account_id, credentials.name": "credentials_living_name",
    "idempotent_answers.key_hash": "idempotent_answers_pkey",
    "expiry_notices.subject_id, expiry_notices.days, expiry_notices.expires_at": "expiry_notices_pkey",
}
