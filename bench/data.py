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
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import UUID
from zlib import crc32

import asyncpg
import orjson

from auth.crypto.access_token import issue_access_token
from auth.crypto.keyring import Keyring, Purpose
from auth.crypto.keyring_file import load_keyring
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
_TEN_YEARS = timedelta(days=3650)
_FORMAT = 2  # counted up when what is kept changes

Row = dict[str, Any]


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
        """Access tokens of the first credentials, a tenth of all."""
        return self._records("tokens", self.tokens_count)

    @property
    def tokens_count(self) -> int:
        return max(1, self.credentials // 10)

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
    directory = root / f"v{_FORMAT}-{credentials}-{seed}"
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
    _write(directory / "tokens", watched(_access_tokens(data), data.tokens_count, "Access tokens"))
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
    now = _yesterday()
    key = data.keyring.signing_key(now)
    for number in range(data.tokens_count):
        api_key, _ = pair(data.seed, number)
        code = _service_code(_place(data, number)[1])
        yield issue_access_token(
            key, issuer=ISSUER, subject=api_key, scope=code, now=now, lifetime=_TEN_YEARS, ends_at=NEVER
        ).token.reveal()


class _Table:
    """Rows on their way into a table: all with the columns of the first."""

    def __init__(self, name: str, rows: Iterator[Row], count: int) -> None:
        first = next(rows)
        self.name, self.columns, self.count = name, list(first), count
        self._rows = chain([first], rows)

    def values(self, engine: str) -> Iterator[tuple[Any, ...]]:
        for row in watched(self._rows, self.count, f"{engine}, {self.name}"):
            yield tuple(row.values())


def _yesterday() -> datetime:
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


class _Rows:
    """The rows of each table, made as they are asked for. Only ids are kept."""

    def __init__(self, data: Data) -> None:
        self.data, self.now = data, _yesterday()
        self.made: Row = {"created_at": self.now}
        self.operator = new_id(self.now)
        self.account_ids = self._ids(data.accounts)
        self.member_ids = self._ids(data.accounts * _MEMBERS)
        self.service_ids = self._ids(data.accounts * _SERVICES)
        self.identity_ids = self._ids(data.accounts * _IDENTITIES)

    def tables(self) -> list[_Table]:
        """In an order in which nothing refers to what is not there yet."""
        accounts = self.data.accounts
        return [
            _Table("server_keys", self.server_keys(), 4),
            _Table("accounts", self.accounts(), accounts),
            _Table("audit_chains", self.chains(), accounts),
            _Table("users", self.users(), accounts * _MEMBERS + 1),
            _Table("services", self.services(), accounts * _SERVICES),
            _Table("identities", self.identities(), accounts * _IDENTITIES),
            _Table("service_identities", self.links(), accounts * _SERVICES * _IDENTITIES),
            _Table("access_tokens", self.tokens(), 2),
            _Table("credentials", self.credentials(), self.data.credentials),
        ]

    def server_keys(self) -> Iterator[Row]:
        for id_, check_value in self.data.keyring.check_values().items():
            yield {"id": id_, "check_value": check_value, **self.made}

    def accounts(self) -> Iterator[Row]:
        for number, id_ in enumerate(self.account_ids):
            yield {
                "id": id_,
                "name": f"Account {number:06}",
                "status": "ACTIVE",
                "max_active_credentials_per_user": 1000,
                "never_expires_allowed": True,
                "view_and_copy_allowed": True,
                "encrypted_file_allowed": True,
                "minimum_rsa_key_bits": 2048,
                **self.made,
            }

    def chains(self) -> Iterator[Row]:
        for id_ in self.account_ids:
            yield {"id": id_, "sequence": 0, "hash": ""}

    def users(self) -> Iterator[Row]:
        common = {"display_name": "Somebody", "status": "ACTIVE", **self.made}
        who = {"email": "operator@bench.example", "role": "OPERATOR", "api_access": False}
        yield {"id": self.operator, "account_id": None, **who, **common}
        for number, id_ in enumerate(self.member_ids):
            who = {"email": f"member{number:06}@bench.example", "role": "MEMBER", "api_access": True}
            yield {"id": id_, "account_id": self.account_ids[number // _MEMBERS], **who, **common}

    def services(self) -> Iterator[Row]:
        times = {"starts_at": self.now, "expires_at": NEVER, **self.made}
        for number, id_ in enumerate(self.service_ids):
            account = self.account_ids[number // _SERVICES]
            yield {"id": id_, "account_id": account, "name": "A service", "code": _service_code(number), **times}

    def identities(self) -> Iterator[Row]:
        common = {"name": "Somebody", "kind": "ORGANIZATION", "decision": "ACTIVE", "valid_until": NEVER, **self.made}
        for number, id_ in enumerate(self.identity_ids):
            yield {"id": id_, "account_id": self.account_ids[number // _IDENTITIES], **common}

    def links(self) -> Iterator[Row]:
        for number, service in enumerate(self.service_ids):
            first = number // _SERVICES * _IDENTITIES
            for identity in self.identity_ids[first : first + _IDENTITIES]:
                yield {"service_id": service, "identity_id": identity, **self.made}

    def tokens(self) -> Iterator[Row]:
        gateway = ("GATEWAY", None, self.data.gateway_token, Permission.VERIFY_CREDENTIALS)
        operator = ("PERSONAL", self.operator, self.data.operator_token, " ".join(sorted(Permission)))
        for kind, user, token, permissions in (gateway, operator):
            yield {
                "id": new_id(self.now),
                "kind": kind,
                "user_id": user,
                "name": "bench",
                "token_hash": hash_token(Secret(token)),
                "permissions": str(permissions),
                "expires_at": self.now + _TEN_YEARS,
                "last_used_at": LONG_AGO,
                **self.made,
            }

    def credentials(self) -> Iterator[Row]:
        key = self.data.keyring.symmetric_key(Purpose.CREDENTIAL_HASHING, self.now)
        for number in range(self.data.credentials):
            account, service, owner, identity = _place(self.data, number)
            api_key, secret = pair(self.data.seed, number)
            yield {
                "id": new_id(self.now),
                "account_id": self.account_ids[account],
                "owner_id": self.member_ids[owner],
                "service_id": self.service_ids[service],
                "identity_id": self.identity_ids[identity],
                "name": f"credential-{number:08}",
                "api_key": api_key,
                "secret_hash": hash_secret(key, api_key, Secret(secret)),
                "hashing_key_id": key.id,
                "delivery_method": "VIEW_AND_COPY",
                "expires_at": NEVER,
                "last_used_at": LONG_AGO,
                **self.made,
            }

    def _ids(self, count: int) -> list[UUID]:
        return [new_id(self.now) for _ in range(count)]


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
        for table in _Rows(data).tables():
            statement = (
                f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({', '.join('?' * len(table.columns))})"
            )
            connection.executemany(statement, (tuple(map(_for_sqlite, row)) for row in table.values("SQLite")))
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
    for table in _Rows(data).tables():
        records = table.values("PostgreSQL")
        await connection.copy_records_to_table(table.name, records=records, columns=table.columns)
    for index in watched(indexes, len(indexes), "PostgreSQL, indexes of credentials"):
        await connection.execute(index["indexdef"])
    await connection.execute("VACUUM ANALYZE")
