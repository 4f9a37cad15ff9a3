"""What deciding about a credential takes: the facts of it and of whom it depends on, read in one statement, or in one
more where none of these is remembered.

Facts, not verdicts: dates and statuses, to be judged by the clock each time. They are made to be kept by the hundred
thousand: credentials share the facts of their account, owner, identity and service.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from sys import intern
from typing import Any
from uuid import UUID

from models.account import AccountStatus
from models.database import fetch_row, read_row_here
from models.identity import Identity, IdentityStatus
from models.ids import Kind
from models.instants import NEVER
from models.user import Role, UserStatus


@dataclass(slots=True)
class PartyFacts:
    """Of whom or what a credential depends on: its global id, as it is told, and whether this is still so, as far as
    this process knows."""

    id: bytes
    is_current: bool


@dataclass(slots=True)
class AccountFacts(PartyFacts):
    status: AccountStatus


@dataclass(slots=True)
class OwnerFacts(PartyFacts):
    role: Role
    status: UserStatus
    api_access: bool


@dataclass(slots=True)
class IdentityFacts(PartyFacts):
    decision: IdentityStatus
    valid_until: datetime

    # The same rule, on what is remembered.
    status = Identity.status


@dataclass(slots=True)
class ServiceFacts(PartyFacts):
    code: str
    starts_at: datetime
    expires_at: datetime
    suspended_at: datetime | None
    cancelled_at: datetime | None


@dataclass(slots=True, eq=False)
class CredentialFacts:
    """A credential and all that decides whether it is let in."""

    id: bytes
    name: str
    expires_at: datetime
    revoked_at: datetime | None
    networks: tuple[IPv4Network | IPv6Network, ...]
    hashing_key_id: str
    """The server's key that its secret is hashed under, or is to be before long (see resolvers.rehashing)."""
    account: AccountFacts
    owner: OwnerFacts
    identity: IdentityFacts
    service: ServiceFacts
    used_at: datetime | None = None
    """The minute of a use that this process has counted, which need not be noted again."""

    @property
    def row_id(self) -> UUID:
        return _uuid(self.id)

    @property
    def account_id(self) -> UUID:
        return _uuid(self.account.id)


KeptHash = bytes
"""What is kept of a credential's secret (see auth.crypto.secret_hash), for the one time that it is compared."""

_ALONE = """
    SELECT id, name, secret_hash, hashing_key_id, expires_at, revoked_at, allowed_networks,
        account_id, owner_id, identity_id, service_id
    FROM credentials WHERE api_key = $1
"""
_WITH_PARTIES = """
    SELECT c.id, c.name, c.secret_hash, c.hashing_key_id, c.expires_at, c.revoked_at, c.allowed_networks,
        a.id, o.id, i.id, s.id, a.status, o.role, o.status, o.api_access, i.decision, i.valid_until,
        s.code, s.starts_at, s.expires_at, s.suspended_at, s.cancelled_at
    FROM credentials c
    JOIN accounts a ON a.id = c.account_id JOIN users o ON o.id = c.owner_id
    JOIN identities i ON i.id = c.identity_id JOIN services s ON s.id = c.service_id
    WHERE c.api_key = $1
"""

Parties = tuple[AccountFacts, OwnerFacts, IdentityFacts, ServiceFacts]
FindParties = Callable[[bytes, bytes, bytes, bytes], Parties | None]
"""What is remembered of an account, owner, identity and service, by their ids; None if it is not all of it."""


async def read_facts(api_key: str, remembered: FindParties) -> tuple[CredentialFacts, KeptHash] | None:
    """The facts of the credential with a public key, whose secret nobody has shown yet."""
    alone = await fetch_row(_ALONE, api_key)
    if alone is None:
        return None
    if parties := remembered(*_party_ids(alone)):
        return _facts(alone, parties)
    return _facts_of_all(await fetch_row(_WITH_PARTIES, api_key))


def read_facts_here(api_key: str, remembered: FindParties) -> tuple[CredentialFacts, KeptHash] | None:
    """The same at once, on SQLite."""
    alone = read_row_here(_ALONE, api_key)
    if alone is None:
        return None
    if parties := remembered(*_party_ids(alone)):
        return _facts(alone, parties)
    return _facts_of_all(read_row_here(_WITH_PARTIES, api_key))


def _facts_of_all(row: Any) -> tuple[CredentialFacts, KeptHash] | None:
    """None also where the credential was there a moment ago: another server took over that never had it."""
    return None if row is None else _facts(row, _parties(row))


def _facts(row: Any, parties: Parties) -> tuple[CredentialFacts, KeptHash]:
    networks = tuple(ip_network(network) for network in row[6].split()) if row[6] else ()
    id_, expires_at, revoked_at = _id(Kind.CREDENTIAL, row[0]), _instant(row[4]), _instant_or_none(row[5])
    return (
        CredentialFacts(id_, row[1], expires_at, revoked_at, networks, intern(row[3]), *parties),
        bytes.fromhex(row[2]),
    )


def _parties(row: Any) -> Parties:
    account, owner, identity, service = _party_ids(row)
    suspended_at, cancelled_at = _instant_or_none(row[20]), _instant_or_none(row[21])
    return (
        AccountFacts(account, True, AccountStatus(row[11])),
        OwnerFacts(owner, True, Role(row[12]), UserStatus(row[13]), bool(row[14])),
        IdentityFacts(identity, True, IdentityStatus(row[15]), _instant(row[16])),
        ServiceFacts(service, True, row[17], _instant(row[18]), _instant(row[19]), suspended_at, cancelled_at),
    )


def _party_ids(row: Any) -> tuple[bytes, bytes, bytes, bytes]:
    return _id(Kind.ACCOUNT, row[7]), _id(Kind.USER, row[8]), _id(Kind.IDENTITY, row[9]), _id(Kind.SERVICE, row[10])


def _id(kind: Kind, value: Any) -> bytes:
    """SQLite has text where PostgreSQL has a UUID."""
    return (kind.value + "_" + (value.replace("-", "") if isinstance(value, str) else value.hex)).encode()


def _uuid(id_: bytes) -> UUID:
    return UUID(hex=id_.rpartition(b"_")[2].decode())


def _instant(value: Any) -> datetime:
    instant: datetime = datetime.fromisoformat(value) if isinstance(value, str) else value
    return NEVER if instant == NEVER else instant  # the one object for all of them


def _instant_or_none(value: Any) -> datetime | None:
    return None if value is None else _instant(value)
