"""What an error of the database's comes from, and a name for it that may be told: the driver's own text may hold values
of what was asked."""

import errno
import sqlite3

import asyncpg
from tortoise.exceptions import BaseORMException

from models.sqlite_errors import error_name


def cause_of(error: BaseException) -> BaseException:
    """The driver's error, which Tortoise's have in them."""
    cause = error.args[0] if isinstance(error, BaseORMException) and error.args else error
    return cause if isinstance(cause, BaseException) else error


def reason_of(error: BaseException) -> str:
    """SQLite's name of the error (SQLITE_FULL), PostgreSQL's SQLSTATE (53100), the system's name (ECONNREFUSED), or
    else the error's type."""
    cause = cause_of(error)
    if isinstance(cause, sqlite3.Error):
        return error_name(cause)
    if isinstance(cause, asyncpg.PostgresError) and cause.sqlstate:
        return str(cause.sqlstate)
    if isinstance(cause, OSError) and cause.errno:
        return errno.errorcode.get(cause.errno, str(cause.errno))
    return type(cause).__name__
