"""The rows that are measured, and files of what is sent: a million credentials in a minute or so, made once and kept.

All keys and secrets follow from the seed and their number. They are kept in files of records of one width, which the
load generator reads by place.
"""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import UUID
from zlib import crc32

import asyncpg
import orjson

from auth.crypto.access_token import issue_access_token
from auth.crypto.credential_format import is_api_key, is_api_secret
from auth.crypto.keyring import Keyring, Purpose, load_keyring
from auth.crypto.secret import Secret
from auth.crypto.secret_hash import hash_secret
from auth.opaque_token import TokenPurpose, generate_token, hash_token
from auth.permissions import Permission
from bench.progress import say, watched
from models.ids import new_id
from models.instants import LONG_AGO, NEVER

SEALKEY = (sys.executable, "-c", "from server.cli import main; main()")
"""The command `sealkey` of this checkout."""

ISSUER = "http://sealkey.example"
"""What every measured server calls itself, so that one file of tokens is good for all."""

_DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TO_DIGITS = bytes(_DIGITS[byte % 62] for byte in range(256))
_MEMBERS = 20  # of an account
_SERVICES = 3
_IDENTITIES = 3
_AT_ONCE = 10_000
_FORMAT = 1  # counted up when what is kept changes

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Records:
    """A file of lines of one length, the line's end included."""

    path: Path
    width: int
    count: int

    def __getitem__(self, number: int) -> str:
        with self.path.open("rb") as file:
            file.seek(number * self.width)
            return file.read(self.width - 1).decode()


@dataclass(frozen=True)
class Data:
    """Where everything of one size is kept. `warm` is how many credentials the warm cases ask about."""

    directory: Path
    credentials: int
    warm: int
    seed: int

    @property
    def accounts(self) -> int:
        return min(1000, max(2, self.credentials // 20))

    @property
    def keys_file(self) -> Path:
        return self.directory / "server-keys.json"

    @property
    def pairs(self) -> Records:
        """`key:secret`."""
        return self._records("pairs", self.credentials)

    @property
    def basic(self) -> Records:
        """The same in base64, as in Authorization: Basic."""
        return self._records("basic", self.credentials)

    @property
    def tokens(self) -> Records:
        """Access tokens of the first credentials."""
        return self._records("tokens", self.warm)

    def _records(self, name: str, count: int) -> Records:
        path = self.directory / name
        with path.open("rb") as file:
            width = len(file.readline())
        return Records(path, width, count)

    @cached_property
    def tokens_of_ours(self) -> dict[str, str]:
        """A gateway's token, and an operator's."""
        tokens: dict[str, str] = orjson.loads((self.directory / "tokens.json").read_bytes())
        return tokens

    @property
    def gateway_token(self) -> str:
        return self.tokens_of_ours["gateway"]

    @property
    def operator_token(self) -> str:
        return self.tokens_of_ours["operator"]

    @cached_property
    def keyring(self) -> Keyring:
        return load_keyring(self.keys_file)


def prepare(root: Path, *, credentials: int, warm: int, seed: int, fresh: bool) -> Data:
    """The files of a size, made unless they are there."""
    directory = root / f"v{_FORMAT}-{credentials}-{warm}-{seed}"
    if fresh:
        shutil.rmtree(directory, ignore_errors=True)
    data = Data(directory, credentials, min(warm, credentials), seed)
    finished = directory / "finished"
    if finished.exists():
        say(f"Using the {credentials:,} keys in {directory}.")
        return data
    directory.mkdir(parents=True, exist_ok=True)
    load_keyring(data.keys_file)
    _write(directory / "pairs", (":".join(pair(seed, number)) for number in range(credentials)))
    _write(directory / "basic", (b64encode(":".join(pair(seed, n)).encode()).decode() for n in range(credentials)))
    _write(directory / "tokens", watched(_access_tokens(data), data.warm, "Access tokens"))
    ours = {"gateway": TokenPurpose.GATEWAY, "operator": TokenPurpose.PERSONAL}
    tokens = {name: generate_token(purpose).reveal() for name, purpose in ours.items()}
    (directory / "tokens.json").write_bytes(orjson.dumps(tokens))
    finished.touch()
    return data


def pair(seed: int, number: int) -> tuple[str, str]:
    """The key and the secret of a credential, by its number."""
    digits = blake2b(f"{seed}:{number}".encode()).digest().translate(_TO_DIGITS).decode()
    body = f"sealkey_secret_{digits[16:59]}"
    checksum, text = crc32(body.encode()), ""
    for _ in range(6):
        checksum, digit = divmod(checksum, 62)
        text = chr(_DIGITS[digit]) + text
    return f"sealkey_key_{digits[:16]}", body + text


def sqlite_database(data: Data) -> Path:
    """A SQLite database with the rows, closed and to be copied; filled unless it is there."""
    path = data.directory / "sealkey.sqlite3"
    if not path.exists():
        part = data.directory / "part.sqlite3"
        for leftover in data.directory.glob("part.sqlite3*"):
            leftover.unlink()
        _create(f"sqlite://{part}")
        _fill_sqlite(data, part)
        part.rename(path)
    return path


def fill_postgres(data: Data, url: str) -> None:
    """Fills an empty PostgreSQL database with the rows."""
    _create(url)
    asyncio.run(_fill_postgres(data, url))


def _create(url: str) -> None:
    """The schema. By the command, since one process can't speak to both engines."""
    environment = {**os.environ, "SEALKEY_DATABASE_URL": url}
    subprocess.run([*SEALKEY, "db", "upgrade"], env=environment, check=True, stdout=subprocess.DEVNULL)


def _write(path: Path, lines: Iterator[str]) -> None:
    with path.open("w", encoding="ascii", newline="\n") as file:
        for line in lines:
            file.write(f"{line}\n")


def _access_tokens(data: Data) -> Iterator[str]:
    now, key = _long_ago(), data.keyring.signing_key()
    for number in range(data.warm):
        api_key, _ = pair(data.seed, number)
        code = _service_code(_place(data, number)[1])
        yield issue_access_token(
            key, issuer=ISSUER, subject=api_key, scope=code, now=now, lifetime=timedelta(days=3650)
        ).token.reveal()


# Tables. Numbers stand for rows until each has its id.


@dataclass(frozen=True)
class _Table:
    name: str
    columns: Sequence[str]
    rows: Callable[[], Iterator[Row]]
    count: int


def _long_ago() -> datetime:
    """When all of it was made: in the past, in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)


def _place(data: Data, number: int) -> tuple[int, int, int, int]:
    """Account, service, owner and identity of a credential, as their numbers."""
    account = number % data.accounts
    turn = number // data.accounts
    return (
        account,
        account * _SERVICES + turn % _SERVICES,
        account * _MEMBERS + turn % _MEMBERS,
        (account * _IDENTITIES + turn % _IDENTITIES),
    )


def _service_code(service: int) -> str:
    return f"service-{service:06}"


def _tables(data: Data) -> Iterator[_Table]:
    now = _long_ago()

    def ids(count: int) -> list[UUID]:
        return [new_id(now) for _ in range(count)]

    accounts = ids(data.accounts)
    members, services, identities = (ids(data.accounts * each) for each in (_MEMBERS, _SERVICES, _IDENTITIES))
    operator, (gateway_token, operator_token) = new_id(now), ids(2)

    def account_rows() -> Iterator[Row]:
        for number, id_ in enumerate(accounts):
            yield id_, f"Account {number:06}", "ACTIVE", 1000, 12, True, True, True, 2048, now

    def user_rows() -> Iterator[Row]:
        yield operator, None, "operator@bench.example", "Operator", "OPERATOR", "ACTIVE", False, None, now
        for number, id_ in enumerate(members):
            email = f"member{number:06}@bench.example"
            yield id_, accounts[number // _MEMBERS], email, "Member", "MEMBER", "ACTIVE", True, None, now

    def service_rows() -> Iterator[Row]:
        for number, id_ in enumerate(services):
            yield id_, accounts[number // _SERVICES], "Service", _service_code(number), now, NEVER, now

    def identity_rows() -> Iterator[Row]:
        for number, id_ in enumerate(identities):
            yield id_, accounts[number // _IDENTITIES], "Identity", "ORGANIZATION", "ACTIVE", NEVER, now

    def link_rows() -> Iterator[Row]:
        for number, service in enumerate(services):
            first = number // _SERVICES * _IDENTITIES
            for identity in identities[first : first + _IDENTITIES]:
                yield service, identity, now

    def token_rows() -> Iterator[Row]:
        hashes = {name: hash_token(Secret(token)) for name, token in data.tokens_of_ours.items()}
        ends = now + timedelta(days=3650)
        gateways = Permission.VERIFY_CREDENTIALS.value
        yield gateway_token, "GATEWAY", None, None, "bench", hashes["gateway"], gateways, now, ends, LONG_AGO
        theirs = f"{Permission.MANAGE_ALL_CREDENTIALS} {Permission.READ_CREDENTIALS} {Permission.MANAGE_ACCOUNTS}"
        yield operator_token, "PERSONAL", None, operator, "bench", hashes["operator"], theirs, now, ends, LONG_AGO

    def credential_rows() -> Iterator[Row]:
        key = data.keyring.symmetric_key(Purpose.CREDENTIAL_HASHING)
        assert all(is_api_key(key) and is_api_secret(secret) for key, secret in [pair(data.seed, 0)])
        for number in range(data.credentials):
            account, service, owner, identity = _place(data, number)
            api_key, secret = pair(data.seed, number)
            kept = hash_secret(key, api_key, Secret(secret))
            parties = accounts[account], members[owner], services[service], identities[identity]
            name = f"credential-{number:08}"
            yield new_id(now), *parties, name, api_key, kept, key.id, "VIEW_AND_COPY", now, NEVER, LONG_AGO

    def key_rows() -> Iterator[Row]:
        for id_, check_value in data.keyring.check_values().items():
            yield id_, check_value, now

    yield _Table("server_keys", ["id", "check_value", "created_at"], key_rows, 4)
    yield _Table("accounts", _ACCOUNT_COLUMNS, account_rows, len(accounts))
    yield _Table("audit_chains", ["id", "sequence", "hash"], lambda: ((id_, 0, "") for id_ in accounts), len(accounts))
    yield _Table("users", _USER_COLUMNS, user_rows, len(members) + 1)
    yield _Table("services", _SERVICE_COLUMNS, service_rows, len(services))
    yield _Table("identities", _IDENTITY_COLUMNS, identity_rows, len(identities))
    yield _Table("service_identities", ["service_id", "identity_id", "created_at"], link_rows, len(services) * 3)
    yield _Table("access_tokens", _TOKEN_COLUMNS, token_rows, 2)
    yield _Table("credentials", _CREDENTIAL_COLUMNS, credential_rows, data.credentials)


_ACCOUNT_COLUMNS = [
    "id",
    "name",
    "status",
    "max_active_credentials_per_user",
    "default_expiry_months",
    "never_expires_allowed",
    "view_and_copy_allowed",
    "encrypted_file_allowed",
    "minimum_rsa_key_bits",
    "created_at",
]
_USER_COLUMNS = [
    "id",
    "account_id",
    "email",
    "display_name",
    "role",
    "status",
    "api_access",
    "password_hash",
    "created_at",
]
_SERVICE_COLUMNS = ["id", "account_id", "name", "code", "starts_at", "expires_at", "created_at"]
_IDENTITY_COLUMNS = ["id", "account_id", "name", "kind", "decision", "valid_until", "created_at"]
_TOKEN_COLUMNS = [
    "id",
    "kind",
    "account_id",
    "user_id",
    "name",
    "token_hash",
    "permissions",
    "created_at",
    "expires_at",
    "last_used_at",
]
_CREDENTIAL_COLUMNS = [
    "id",
    "account_id",
    "owner_id",
    "service_id",
    "identity_id",
    "name",
    "api_key",
    "secret_hash",
    "hashing_key_id",
    "delivery_method",
    "created_at",
    "expires_at",
    "last_used_at",
]


# SQLite


def _fill_sqlite(data: Data, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -1000000")
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'credentials' AND sql IS NOT NULL"
        ).fetchall()
        connection.execute("BEGIN")
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        for table in _tables(data):
            statement = (
                f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({', '.join('?' * len(table.columns))})"
            )
            rows = (tuple(map(_for_sqlite, row)) for row in table.rows())
            connection.executemany(statement, watched(rows, table.count, f"SQLite, {table.name}"))
        for _, sql in watched(indexes, len(indexes), "SQLite, indexes of credentials"):
            connection.execute(sql)
        connection.execute("COMMIT")
        connection.execute("ANALYZE")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _for_sqlite(value: Any) -> Any:
    """As Tortoise writes it there."""
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat(" ") if isinstance(value, datetime) else value


# PostgreSQL


async def _fill_postgres(data: Data, url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await _copy(data, connection)
    finally:
        await connection.close()


async def _copy(data: Data, connection: Any) -> None:
    indexes = await connection.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'credentials' AND indexname <> 'credentials_pkey'"
    )
    # Foreign keys are asked by triggers, a row at a time; these rows are known to be right.
    await connection.execute("SET session_replication_role = replica")
    await connection.execute("SET maintenance_work_mem = '512MB'")
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['indexname']}")
    for table in _tables(data):
        rows = watched(table.rows(), table.count, f"PostgreSQL, {table.name}")
        await connection.copy_records_to_table(table.name, records=rows, columns=table.columns)
    for index in watched(indexes, len(indexes), "PostgreSQL, indexes of credentials"):
        await connection.execute(index["indexdef"])
    await connection.execute("VACUUM ANALYZE")
