"""Access tokens: signed JWTs in the profile of RFC 9068, ES256."""

from base64 import urlsafe_b64decode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwt import JWTClaimsRegistry

from auth.crypto.keyring import Keyring, SigningKey
from auth.crypto.secret import Secret


@dataclass(frozen=True)
class AccessToken:
    """A token and what its user must know: seconds until it expires, and its scope (empty: nothing)."""

    token: Secret
    expires_in: int
    scope: str


def issue_access_token(
    key: SigningKey, *, issuer: str, subject: str, scope: str, now: datetime, lifetime: timedelta, ends_at: datetime
) -> AccessToken:
    """A token for an API key (`sub` and `client_id`), to be accepted by what trusts the issuer (`iss` and `aud`), for
    its lifetime, but not beyond the end of what it is for."""
    issued_at = int(now.timestamp())
    expires_in = int(min(now + lifetime, ends_at).timestamp()) - issued_at
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


@dataclass(frozen=True)
class Claims:
    """What a token of ours says: whose it is, for what, from when to when (seconds since 1970), and its own id; and
    which key signed it."""

    client_id: str
    scope: str
    issued_at: int
    expires_at: int
    token_id: str
    signing_key_id: str

    def holds(self, keyring: Keyring, now: datetime) -> bool:
        """Whether it still says so: it has not expired, and its key is believed."""
        key = keyring.signing_keys.get(self.signing_key_id)
        return key is not None and key.is_believed(now) and now.timestamp() < self.expires_at


def read_access_token(keyring: Keyring, token: Secret, *, issuer: str, now: datetime) -> Claims | None:
    """The claims of a token that one of our keys signed and that has not expired; None for anything else."""
    registry = JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=0,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": issuer},
        exp={"essential": True},
    )
    try:
        key = _signer(keyring, token, now)
        decoded = jwt.decode(token.reveal(), key.key, algorithms=["ES256"])
        registry.validate(decoded.claims)
        claims = decoded.claims
        if decoded.header.get("typ") != "at+jwt" or claims["exp"] <= int(now.timestamp()):
            return None
        return Claims(claims["client_id"], claims["scope"], claims["iat"], claims["exp"], claims["jti"], key.id)
    except (JoseError, KeyError, ValueError, TypeError):
        return None


def public_jwks(keyring: Keyring, now: datetime) -> dict[str, list[dict[str, Any]]]:
    """The public half of every signing key that tokens may be checked by, as a JWK Set (RFC 7517, 5)."""
    return {
        "keys": [
            {**key.key.as_dict(private=False), "kid": key.id, "use": "sig", "alg": "ES256"}
            for key in keyring.published_keys(now)
        ]
    }


def _signer(keyring: Keyring, token: Secret, now: datetime) -> SigningKey:
    """The key that a token names. Raises KeyError, ValueError."""
    header = token.reveal().partition(".")[0]
    key = keyring.signing_keys[orjson.loads(urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]]
    if not key.is_believed(now):
        raise KeyError(key.id)
    return key
