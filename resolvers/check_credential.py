"""The check itself: is this key and secret to be let in, now?

Parse, look up, keyed hash (also for a key that does not exist), constant-time compare, blockers by the clock,
decision. Logging in and being checked are both made of this.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from auth.crypto.access_token import AccessToken, issue_access_token
from auth.crypto.credential_format import is_api_key, is_api_secret
from auth.crypto.keyring import Keyring
from auth.crypto.secret import Secret
from auth.crypto.secret_hash import secret_matches
from auth.permissions import Permission
from auth.policy import Scope, authorize
from models.credential import WITH_PARTIES, Credential, CredentialBlocker
from models.database import transaction
from models.ids import Kind
from resolvers.audit import EventType, record
from resolvers.caller import Caller
from resolvers.errors import BadArgument, ErrorCode, Refusal, Refused
from resolvers.networks import is_address_allowed
from resolvers.throttling import throttled

MAXIMUM_BATCH = 100


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


@dataclass(frozen=True)
class Verdict:
    """The answer to a gateway. The credential is told only to who had its right secret."""

    code: DecisionCode
    credential: Credential | None

    @property
    def decision(self) -> Decision:
        return Decision.ALLOW if self.code is DecisionCode.OK else Decision.DENY


@dataclass(frozen=True)
class Question:
    """A key and secret as they were sent, the code of the service they must be for, if any, and the address of who
    sent them, which only the gateway knows."""

    api_key: str
    api_secret: Secret
    service: str | None = None
    client_address: str | None = None


async def verify_credential(caller: Caller, question: Question) -> Verdict:
    """What a gateway asks."""
    return await _verify(caller, authorize(caller.principal, Permission.VERIFY_CREDENTIALS), question)


async def verify_credentials(caller: Caller, questions: Sequence[Question]) -> list[Verdict]:
    """Up to 100 questions, answered in the order asked. Raises BadArgument."""
    scope = authorize(caller.principal, Permission.VERIFY_CREDENTIALS)
    if len(questions) > MAXIMUM_BATCH:
        raise BadArgument(f"At most {MAXIMUM_BATCH} credentials at once, please.")
    return [await _verify(caller, scope, question) for question in questions]


async def login(caller: Caller, *, api_key: str, api_secret: Secret) -> AccessToken:
    """A short-lived access token for a key and secret. While the service may not be used, its scope is empty.

    Raises Throttled, and Refused: INVALID_CREDENTIALS, the same for an unknown key and a wrong secret; with the right
    secret the true reason.
    """
    async with throttled(caller, api_key):
        credential = await _authenticate(caller.deployment.keyring, api_key, api_secret)
        refusal = _login_refusal(credential, caller)
        if credential is None or refusal:
            if credential is not None:
                caller.deployment.usage.count(credential, caller.now, allowed=False)
            await _record_denied(caller, api_key)
            raise Refused(refusal or _INVALID)
    blockers = credential.blockers(caller.now)
    caller.deployment.usage.count(credential, caller.now, allowed=True)
    deployment = caller.deployment
    return issue_access_token(
        deployment.keyring.signing_key(),
        issuer=deployment.issuer,
        subject=credential.api_key,
        scope="" if blockers else credential.service.code,
        now=caller.now,
        lifetime=deployment.access_token_lifetime,
    )


async def _verify(caller: Caller, scope: Scope, question: Question) -> Verdict:
    credential = await _authenticate(caller.deployment.keyring, question.api_key, question.api_secret)
    if credential is None or scope.account_id not in (None, credential.account_id):
        return Verdict(DecisionCode.INVALID_CREDENTIALS, None)
    verdict = Verdict(_decide(credential, question, caller.now), credential)
    caller.deployment.usage.count(credential, caller.now, allowed=verdict.decision is Decision.ALLOW)
    return verdict


async def _authenticate(keyring: Keyring, api_key: str, api_secret: Secret) -> Credential | None:
    """The credential that a key and secret belong to, whatever its state."""
    if not is_api_key(api_key) or not is_api_secret(api_secret.reveal()):
        return None
    credential = await Credential.get_or_none(api_key=api_key).select_related(*WITH_PARTIES)
    hashing_key_id, kept = (credential.hashing_key_id, credential.secret_hash) if credential else (None, None)
    return credential if secret_matches(keyring, hashing_key_id, kept, api_key, api_secret) else None


def _decide(credential: Credential, question: Question, now: datetime) -> DecisionCode:
    for blocker in credential.blockers(now):
        return DecisionCode(blocker.value)
    if not is_address_allowed(credential, question.client_address):
        return DecisionCode.ADDRESS_NOT_ALLOWED
    if question.service is not None and question.service != credential.service.code:
        return DecisionCode.WRONG_SERVICE
    return DecisionCode.OK


def _login_refusal(credential: Credential | None, caller: Caller) -> Refusal | None:
    """Why a credential whose secret was right can't log in, if it can't."""
    if credential is None:
        return None
    blockers = credential.blockers(caller.now)
    refusal = next((_LOGIN_REFUSALS[blocker] for blocker in blockers if blocker in _LOGIN_REFUSALS), None)
    if refusal is None and not is_address_allowed(credential, caller.source_ip):
        return Refusal(ErrorCode.ADDRESS_NOT_ALLOWED, "This credential may not be used from your address.")
    return refusal


async def _record_denied(caller: Caller, api_key: str) -> None:
    credential = await Credential.get_or_none(api_key=api_key)
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
