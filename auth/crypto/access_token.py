"""Access tokens: signed JWTs in the profile of RFC 9068, ES256."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from joserfc import jwt

from auth.crypto.keyring import SigningKey
from auth.crypto.secret import Secret


@dataclass(frozen=True)
class AccessToken:
    """A token and what its user must know: seconds until it expires, and its scope (empty: nothing)."""

    token: Secret
    expires_in: int
    scope: str


def issue_access_token(
    key: SigningKey, *, issuer: str, subject: str, scope: str, now: datetime, lifetime: timedelta
) -> AccessToken:
    """A token for an API key (`sub` and `client_id`), to be accepted by what trusts the issuer (`iss` and `aud`)."""
    issued_at = int(now.timestamp())
    expires_in = int(lifetime.total_seconds())
    claims = {
        "iss": issuer,
        "aud": issuer,
        "sub": subject,
        "client_id": subject,
        "iat": issued_at,
        "exp": issued_at + expires_in,
        "jti": uuid4().hex,
        "scope": scope,
    }
    token = jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": key.id}, claims, key.key)
    return AccessToken(Secret(token), expires_in, scope)
