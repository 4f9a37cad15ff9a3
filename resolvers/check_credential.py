"""The check itself: is this key and secret to be let in, now?

Parse, look up, keyed hash (also for a key that does not exist), constant-time compare, blockers by the clock,
decision. Logging in and being checked are both made of this.
"""

import asyncio
from asyncio import get_running_loop
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from auth.crypto.access_token import AccessToken, issue_access_token
from auth.crypto.credential_format import is_api_key, is_api_secret
from auth.crypto.secret import Secret
from auth.crypto.secret_hash import secret_matches
from auth.permissions import Permission
from auth.policy import Scope, authorize
from models.check_facts import CredentialFacts, KeptHash, read_facts, read_facts_here
from models.credential import WITH_PARTIES, Credential, CredentialBlocker, blockers_of
from models.database import is_sqlite, transaction
from models.ids import Kind
from resolvers.audit import EventType, record
from resolvers.caller import Caller, Deployment
from resolvers.check_memory import hash_shown
from resolvers.errors import BadArgument, ErrorCode, Refusal, Refused
from resolvers.networks import is_address_allowed
from resolvers.rehashing import KeyMissing
from resolvers.throttling import LOGIN, throttled

MAXIMUM_BATCH = 100
# A wrong secret of a key that is remembered is found out sooner than that a key does not exist: neither is answered
# before both have been.
_CONCEALED_SECONDS = 0.005


class Decision(StrEnum):
    ALLOW = "ALLOW"
    DENY = "DENY"


class DecisionCode(StrEnum):
    OK = "OK"
    INVALID_CREDENTIALS = "INVALID_CREDENTIALS"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"
    OWNER_ACCESS_REMOVED = "OWNER_ACCESS_REMOVED"
    OWNER_DEACTIVATED = "OWNER_DEACTIVATED"
    ACCOUNT_SUSPENDED = "ACCOUNT_SUSPENDED"
    IDENTITY_NOT_ACTIVE = "IDENTITY_NOT_ACTIVE"
    SERVICE_NOT_STARTED = "SERVICE_NOT_STARTED"
    SERVICE_EXPIRED = "SERVICE_EXPIRED"
    SERVICE_SUSPENDED = "SERVICE_SUSPENDED"
    SERVICE_CANCELLED = "SERVICE_CANCELLED"
    ADDRESS_NOT_ALLOWED = "ADDRESS_NOT_ALLOWED"
    WRONG_SERVICE = "WRONG_SERVICE"


@dataclass(slots=True)
class Verdict:
    """The answer to a gateway. The credential is told only to who had its right secret."""

    code: DecisionCode
    known: CredentialFacts | None

    @property
    def decision(self) -> Decision:
        return Decision.ALLOW if self.code is DecisionCode.OK else Decision.DENY


@dataclass(slots=True)
class Question:
    """A key and secret as they were sent, the code of the service they must be for, if any, and the address of who
    sent them, which only the gateway knows."""

    api_key: str
    api_secret: Secret
    service: str | None = None
    client_address: str | None = None


def verify_at_once(
    deployment: Deployment, scope: Scope, shown: bytes, service: str | None, client_address: str | None, now: datetime
) -> Verdict | None:
    """The same as `verify_credential`, at once, where the secret is right and nobody need be waited for; else None.
    `shown` is key and secret, `key:secret`."""
    shown_hash = hash_shown(shown)
    found = deployment.memory.find(shown_hash)
    is_remembered = found is not None
    found = found or _authenticate_here(deployment, shown, shown_hash)
    if found is None:
        return None
    _renew_hash(deployment, found, shown)
    return judge(deployment, scope, found, service, client_address, now, from_memory=is_remembered)


async def verify_credential(caller: Caller, question: Question, began: float | None = None) -> Verdict:
    """What a gateway asks. `began`: when work on it began, by the event loop's time, if that was before."""
    began = began or get_running_loop().time()
    verdict = await _verify(caller, authorize(caller.principal, Permission.VERIFY_CREDENTIALS), question)
    if verdict.known is None:
        await _conceal(began)
    return verdict


async def verify_credentials(caller: Caller, questions: Sequence[Question]) -> list[Verdict]:
    """Up to 100 questions, answered in the order asked. Raises BadArgument."""
    scope = authorize(caller.principal, Permission.VERIFY_CREDENTIALS)
    if len(questions) > MAXIMUM_BATCH:
        raise BadArgument(f"At most {MAXIMUM_BATCH} credentials at once, please.")
    began = get_running_loop().time()
    verdicts = [await _verify(caller, scope, question) for question in questions]
    if any(verdict.known is None for verdict in verdicts):
        await _conceal(began)
    return verdicts


async def login(caller: Caller, *, api_key: str, api_secret: Secret) -> AccessToken:
    """A short-lived access token for a key and secret. While the service may not be used, its scope is empty.

    Raises Throttled, and Refused: INVALID_CREDENTIALS, the same for an unknown key and a wrong secret; with the right
    secret the true reason.
    """
    async with throttled(caller, LOGIN, api_key):
        began = get_running_loop().time()
        found = await authenticate(caller.deployment, api_key, api_secret)
        blockers = list(blockers_of(found, caller.now)) if found else []
        refusal = _login_refusal(found, blockers, caller.source_ip) if found else _INVALID
        if found is None or refusal:
            if found is not None:
                caller.deployment.usage.count(found, caller.now, allowed=False)
            await _record_denied(caller, api_key)
            await _conceal(began)
            raise Refused(refusal or _INVALID)
    deployment = caller.deployment
    deployment.usage.count(found, caller.now, allowed=True)
    deployment.counts.logins += 1
    return issue_access_token(
        deployment.keyring.signing_key(caller.now),
        issuer=deployment.issuer,
        subject=api_key,
        scope="" if blockers else found.service.code,
        now=caller.now,
        lifetime=deployment.access_token_lifetime,
        ends_at=found.expires_at,
    )


async def _verify(caller: Caller, scope: Scope, question: Question) -> Verdict:
    found, from_memory = await _authenticate(caller.deployment, question.api_key, question.api_secret)
    return judge(
        caller.deployment,
        scope,
        found,
        question.service,
        question.client_address,
        caller.now,
        from_memory=from_memory,
    )


async def rows_of(verdicts: Sequence[Verdict]) -> dict[bytes, Credential]:
    """The credentials that verdicts are about, as they are now, by global id."""
    ids = {verdict.known.row_id: verdict.known.id for verdict in verdicts if verdict.known}
    rows = await Credential.filter(id__in=list(ids)).select_related(*WITH_PARTIES)
    return {ids[row.id]: row for row in rows}


def judge(
    deployment: Deployment,
    scope: Scope,
    found: CredentialFacts | None,
    service: str | None,
    client_address: str | None,
    now: datetime,
    *,
    from_memory: bool = False,
) -> Verdict:
    """The verdict on a credential that has been authenticated, or was not; counted."""
    counts = deployment.counts
    if found is None or (scope.account_id is not None and scope.account_id != found.account_id):
        counts.check(DecisionCode.INVALID_CREDENTIALS, from_memory=from_memory)
        return Verdict(DecisionCode.INVALID_CREDENTIALS, None)
    code = _decide(found, service, client_address, now)
    is_let_in = code is DecisionCode.OK
    deployment.usage.count(found, now, allowed=is_let_in)
    if is_let_in and from_memory:
        counts.let_in_from_memory += 1
    else:
        counts.check(code, from_memory=from_memory)
    return Verdict(code, found)


async def authenticate(deployment: Deployment, api_key: str, api_secret: Secret) -> CredentialFacts | None:
    """The credential that a key and secret belong to, whatever its state; remembered, or read in one statement. A key
    that does not exist costs the same keyed hash, and a text that can be no key or secret asks no database. Raises
    KeyMissing where another process has hashed under a key that this one has not been given."""
    found, _ = await _authenticate(deployment, api_key, api_secret)
    return found


async def _authenticate(
    deployment: Deployment, api_key: str, api_secret: Secret
) -> tuple[CredentialFacts | None, bool]:
    """The same, and whether it was remembered."""
    shown = f"{api_key}:{api_secret.reveal()}".encode(errors="surrogatepass")
    shown_hash = hash_shown(shown)
    found = deployment.memory.find(shown_hash)
    is_remembered = found is not None
    found = found or await _read(deployment, api_key, api_secret, shown_hash)
    if found is not None:
        _renew_hash(deployment, found, shown)
    return found, is_remembered


async def _read(deployment: Deployment, api_key: str, api_secret: Secret, shown: bytes) -> CredentialFacts | None:
    memory, epoch = deployment.memory, deployment.memory.epoch
    if not is_api_key(api_key) or not is_api_secret(api_secret.reveal()):
        return None
    read = await read_facts(api_key, memory.find_parties)
    if read and not deployment.keyring.knows(read[0].hashing_key_id):
        deployment.keys_wanted.add(read[0].hashing_key_id)
        raise KeyMissing(read[0].hashing_key_id)
    return _remembered_if_right(deployment, read, api_key, api_secret, shown, epoch)


def _renew_hash(deployment: Deployment, found: CredentialFacts, shown: bytes) -> None:
    if found.hashing_key_id in deployment.rehashing.outdated:
        deployment.rehashing.note(deployment.keyring, found, shown)


def _authenticate_here(deployment: Deployment, shown: bytes, shown_hash: bytes) -> CredentialFacts | None:
    """The same where a row is read in the time that it takes to ask another thread for it: on SQLite."""
    api_key, _, secret = shown.decode(errors="replace").partition(":")
    if not is_sqlite() or not is_api_key(api_key) or not is_api_secret(secret):
        return None
    epoch = deployment.memory.epoch
    read = read_facts_here(api_key, deployment.memory.find_parties)
    if read and not deployment.keyring.knows(read[0].hashing_key_id):
        return None
    return _remembered_if_right(deployment, read, api_key, Secret(secret), shown_hash, epoch)


def _remembered_if_right(
    deployment: Deployment,
    read: tuple[CredentialFacts, KeptHash] | None,
    api_key: str,
    api_secret: Secret,
    shown: bytes,
    read_at_epoch: int,
) -> CredentialFacts | None:
    found, kept = read or (None, None)
    hashing_key_id = found.hashing_key_id if found else None
    if not secret_matches(deployment.keyring, hashing_key_id, kept, api_key, api_secret) or found is None:
        return None
    deployment.memory.remember(shown, found, read_at_epoch)
    return found


def is_usable(found: CredentialFacts, now: datetime) -> bool:
    """Whether nothing keeps it out."""
    return next(blockers_of(found, now), None) is None


def _decide(found: CredentialFacts, service: str | None, client_address: str | None, now: datetime) -> DecisionCode:
    for blocker in blockers_of(found, now):
        return DecisionCode(blocker.value)
    if not is_address_allowed(found.networks, client_address):
        return DecisionCode.ADDRESS_NOT_ALLOWED
    if service is not None and service != found.service.code:
        return DecisionCode.WRONG_SERVICE
    return DecisionCode.OK


def _login_refusal(found: CredentialFacts, blockers: list[CredentialBlocker], source_ip: str | None) -> Refusal | None:
    """Why a credential whose secret was right can't log in, if it can't."""
    refusal = next((_LOGIN_REFUSALS[blocker] for blocker in blockers if blocker in _LOGIN_REFUSALS), None)
    if refusal is None and not is_address_allowed(found.networks, source_ip):
        return Refusal(ErrorCode.ADDRESS_NOT_ALLOWED, "This credential may not be used from your address.")
    return refusal


async def _conceal(began: float) -> None:
    # By the loop's own time: it wakes nobody but at whole milliseconds of that, so that what is left of five, by any
    # other clock, would be rounded, and how it is would tell how much had been done.
    await asyncio.sleep(max(0.0, began + _CONCEALED_SECONDS - get_running_loop().time()))


async def _record_denied(caller: Caller, api_key: str) -> None:
    credential = await Credential.get_or_none(api_key=api_key) if is_api_key(api_key) else None
    async with transaction():
        await record(
            caller,
            EventType.LOGIN_DENIED,
            f"A login with credential {credential.name} was refused"
            if credential
            else "A login with an unknown API key was refused",
            account_id=credential.account_id if credential else None,
            subject=(Kind.CREDENTIAL, credential.id) if credential else None,
        )


_INVALID = Refusal(ErrorCode.INVALID_CREDENTIALS, "The API key or the API secret is not right.")
# Why a credential can't log in, where its secret was right. A service that may not be used now is not among them: the
# credential is still good.
_LOGIN_REFUSALS = {
    CredentialBlocker.REVOKED: Refusal(ErrorCode.CREDENTIAL_NOT_ACTIVE, "This credential was revoked."),
    CredentialBlocker.EXPIRED: Refusal(ErrorCode.CREDENTIAL_NOT_ACTIVE, "This credential has expired."),
    CredentialBlocker.OWNER_ACCESS_REMOVED: Refusal(
        ErrorCode.API_ACCESS_REMOVED, "The API access of this credential's owner was removed."
    ),
    CredentialBlocker.OWNER_DEACTIVATED: Refusal(
        ErrorCode.OWNER_DEACTIVATED, "The owner of this credential was deactivated."
    ),
    CredentialBlocker.ACCOUNT_SUSPENDED: Refusal(
        ErrorCode.ACCOUNT_SUSPENDED, "The account of this credential is suspended."
    ),
    CredentialBlocker.IDENTITY_NOT_ACTIVE: Refusal(
        ErrorCode.IDENTITY_NOT_ACTIVE, "The identity of this credential is not active."
    ),
}
