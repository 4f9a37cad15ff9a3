"""What a process remembers of credentials, so that checking them again costs no statement.

Facts are remembered, not verdicts: dates and statuses, judged by the clock each time. What is remembered is believed
only while the epoch (see models.check_epoch) was asked within the last moment; a change seen there drops what it
concerns, and a process that can't ask believes nothing and asks the database for each check.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from time import monotonic
from uuid import UUID

from models.access_token import AccessToken
from models.account import AccountStatus
from models.check_epoch import changes_since, current_epoch
from models.credential import Credential, Parties
from models.identity import Identity, IdentityStatus
from models.ids import Kind, parse_global_id
from models.user import Role, UserStatus

# How long after the epoch was asked what is remembered is believed: less than the second that is promised.
BELIEVED_SECONDS = 0.9
MOST_CREDENTIALS = 120_000
MOST_GATEWAYS = 1_000
_CHANGES_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class AccountFacts:
    status: AccountStatus


@dataclass(frozen=True, slots=True)
class OwnerFacts:
    role: Role
    status: UserStatus
    api_access: bool


@dataclass(frozen=True, slots=True)
class IdentityFacts:
    decision: IdentityStatus
    valid_until: datetime

    # The same rule, on what is remembered.
    status = Identity.status


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    code: str
    starts_at: datetime
    expires_at: datetime
    suspended_at: datetime | None
    cancelled_at: datetime | None


@dataclass(frozen=True, slots=True)
class CredentialFacts:
    """What a check needs of a credential."""

    id: UUID
    api_key: str
    name: str
    secret_hash: str
    hashing_key_id: str
    expires_at: datetime
    revoked_at: datetime | None
    networks: tuple[IPv4Network | IPv6Network, ...]
    account_id: UUID
    owner_id: UUID
    identity_id: UUID
    service_id: UUID


@dataclass(frozen=True, slots=True)
class Known:
    """A credential and all it depends on."""

    credential: CredentialFacts
    parties: Parties
    service: ServiceFacts


class CheckMemory:
    """Bounded; the oldest goes first. Only what has shown its right secret gets in, so guesses can't fill it."""

    def __init__(self, seconds: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._credentials: dict[str, CredentialFacts] = {}
        self._keys: dict[UUID, str] = {}
        self._parties: dict[UUID, AccountFacts | OwnerFacts | IdentityFacts | ServiceFacts] = {}
        self._gateways: dict[str, AccessToken] = {}
        self._epoch = -1
        self._believed_until = -1.0

    @property
    def epoch(self) -> int:
        """The epoch of what is remembered. Note it before reading the database, and hand it over with what was read."""
        return self._epoch

    def is_believed(self) -> bool:
        return self._seconds() < self._believed_until

    def find(self, api_key: str) -> Known | None:
        """What is remembered of a key, if it is all there and may be believed."""
        if not self.is_believed():
            return None
        credential = self._credentials.get(api_key)
        if credential is None:
            return None
        account, owner = self._parties.get(credential.account_id), self._parties.get(credential.owner_id)
        identity, service = self._parties.get(credential.identity_id), self._parties.get(credential.service_id)
        if (
            isinstance(account, AccountFacts)
            and isinstance(owner, OwnerFacts)
            and isinstance(identity, IdentityFacts)
            and isinstance(service, ServiceFacts)
        ):
            return Known(credential, Parties(account, owner, identity, service), service)
        return None

    def remember(self, known: Known, read_at_epoch: int) -> None:
        """Remembers what was read from the database, unless something has changed since."""
        if read_at_epoch != self._epoch:
            return
        credential = known.credential
        if len(self._credentials) >= MOST_CREDENTIALS:
            self._forget_credential(next(iter(self._credentials)))
        if len(self._parties) >= 2 * MOST_CREDENTIALS:
            self._parties.clear()
        self._credentials[credential.api_key] = credential
        self._keys[credential.id] = credential.api_key
        ids = (credential.account_id, credential.owner_id, credential.identity_id, credential.service_id)
        for id_, facts in zip(ids, known.parties, strict=True):
            self._parties[id_] = facts  # type: ignore[assignment]

    def find_gateway(self, token_hash: str) -> AccessToken | None:
        return self._gateways.get(token_hash) if self.is_believed() else None

    def remember_gateway(self, token_hash: str, token: AccessToken, read_at_epoch: int) -> None:
        if read_at_epoch == self._epoch and len(self._gateways) < MOST_GATEWAYS:
            self._gateways[token_hash] = token

    async def refresh(self) -> None:
        """Asks for the epoch and drops what has changed. Raises what the database's driver raises."""
        asked_at = self._seconds()
        epoch = await current_epoch()
        if epoch != self._epoch:
            await self._catch_up(epoch)
        self._believed_until = asked_at + BELIEVED_SECONDS

    async def settle(self) -> None:
        """After a change of this process's own and before it is answered: nothing older is believed from now on."""
        try:
            await self.refresh()
        except BaseException:
            self._believed_until = -1.0
            raise

    async def _catch_up(self, epoch: int) -> None:
        changes = await changes_since(self._epoch, _CHANGES_AT_ONCE) if self._epoch >= 0 else []
        is_whole = len(changes) >= epoch - self._epoch and len(changes) < _CHANGES_AT_ONCE
        if not is_whole:
            self.forget()
        for change in changes:
            self._drop(change.subject_id)
        self._epoch = max(epoch, changes[-1].epoch if changes else epoch)

    def _drop(self, subject_id: str) -> None:
        parsed = parse_global_id(subject_id)
        if parsed is None:
            self.forget()
            return
        kind, id_ = parsed
        self._parties.pop(id_, None)
        if kind is Kind.CREDENTIAL and id_ in self._keys:
            self._forget_credential(self._keys[id_])
        if kind in {Kind.ACCOUNT, Kind.ACCESS_TOKEN, Kind.USER}:
            self._gateways.clear()

    def _forget_credential(self, api_key: str) -> None:
        self._keys.pop(self._credentials.pop(api_key).id, None)

    def forget(self) -> None:
        """Forgets everything."""
        self._credentials.clear()
        self._keys.clear()
        self._parties.clear()
        self._gateways.clear()


def known(row: Credential) -> Known:
    """What a check needs of a row loaded with its parties."""
    service = ServiceFacts(
        row.service.code,
        row.service.starts_at,
        row.service.expires_at,
        row.service.suspended_at,
        row.service.cancelled_at,
    )
    parties = Parties(
        AccountFacts(row.account.status),
        OwnerFacts(row.owner.role, row.owner.status, row.owner.api_access),
        IdentityFacts(row.identity.decision, row.identity.valid_until),
        service,
    )
    facts = CredentialFacts(
        id=row.id,
        api_key=row.api_key,
        name=row.name,
        secret_hash=row.secret_hash,
        hashing_key_id=row.hashing_key_id,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        networks=tuple(row.networks),
        account_id=row.account_id,
        owner_id=row.owner_id,
        identity_id=row.identity_id,
        service_id=row.service_id,
    )
    return Known(facts, parties, service)
