"""What the address of a PostgreSQL may say after its `?`: how its driver is to behave, and TLS in libpq's words."""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from models.unusable import DatabaseUnusable

_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_TLS = ("sslmode", *_FILES, "ssl_min_protocol_version", "ssl_max_protocol_version")
_OF_DRIVER = (
    *("timeout", "command_timeout", "statement_cache_size", "max_cached_statement_lifetime"),
    *(
        "max_cacheable_statement_size",
        "max_queries",
        "max_inactive_connection_lifetime",
        "minsize",
        "maxsize",
        "schema",
    ),
)
_NUMBERS = ("minsize", "maxsize")
_OF_ADDRESS = ("host", "port", "user", "password", "database", "hosts")


def unreadable() -> DatabaseUnusable:
    """For an address that has more in it, perhaps, than may be told."""
    return DatabaseUnusable(
        "SEALKEY_DATABASE_URL can't be read: percent-encode what is special in a URL, in the password too."
    )


def understood(credentials: Mapping[str, Any]) -> dict[str, Any]:
    """The same for asyncpg, which takes TLS in libpq's words from an address alone. Raises DatabaseUnusable for what
    there is not, for what is no number, and for a file that can't be read."""
    if unknown := credentials.keys() - {*_TLS, *_OF_DRIVER, *_OF_ADDRESS}:
        if any("@" in str(credentials[name]) for name in unknown):
            raise unreadable()  # what stands before an @ is rather a password with a ? in it
        names = ", ".join(sorted(unknown))
        allowed = ", ".join((*_TLS, *_OF_DRIVER))
        raise DatabaseUnusable(
            f"SEALKEY_DATABASE_URL has {names} after the ?, which is not known there: {allowed} are."
        )
    for name in _NUMBERS:
        if not str(credentials.get(name, 0)).isdecimal():
            raise DatabaseUnusable(f"SEALKEY_DATABASE_URL has a {name} that is no number.")
    for name in _FILES:
        if name in credentials and not os.access(path := credentials[name], os.R_OK):
            raise DatabaseUnusable(f"SEALKEY_DATABASE_URL has {name}={path}, and no such file can be read.")
    tls = {name: credentials[name] for name in _TLS if name in credentials}
    others = {name: value for name, value in credentials.items() if name not in tls}
    return {**others, "dsn": f"postgres://?{urlencode(tls)}"} if tls else others
