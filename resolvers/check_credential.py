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
from resolvers.throttling import LOGIN, throttled

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
    """A key and secret as they were sent, and the code of the service they must be for, if any."""

    api_key: str
    api_secret: Secret
    service: str | None = None


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
    async with throttled(caller, LOGIN, api_key):
        credential = await _authenticate(caller.deployment.keyring, api_key, api_secret)
        blockers = credential.blockers(caller.now) if credential else []
        refusal = next((_LOGIN_REFUSALS[blocker] for blocker in blockers if blocker in _LOGIN_REFUSALS), None)
        if credential is None or refusal:
            await _record_denied(caller, api_key)
            raise Refused(refusal or _INVALID)
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
    return Verdict(_decide(credential, question.service, caller.now), credential)


async def _authenticate(keyring: Keyring, api_key: str, api_secret: Secret) -> Credential | None:
    """The credential that a key and secret belong to, whatever its state."""
    if not is_api_key(api_key) or not is_api_secret(api_secret.reveal()):
        return None
    credential = await Credential.get_or_none(api_key=api_key).select_related(*WITH_PARTIES)
    hashing_key_id, kept = (credential.hashing_key_id, credential.secret_hash) if credential else (None, None)
    return credential if secret_matches(keyring, hashing_key_id, kept, api_key, api_secret) else None


def _decide(credential: Credential, service: str | None, now: datetime) -> DecisionCode:
    for blocker in credential.blockers(now):
        return DecisionCode(blocker.value)
    if service is not None and service != credential.service.code:
        return DecisionCode.WRONG_SERVICE
    return DecisionCode.OK


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
