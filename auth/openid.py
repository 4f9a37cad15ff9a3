"""Tokens of an OpenID Connect provider (OpenID Connect Core 1.0, 3.1.3.7; Discovery 1.0).

OpenIdRefused       the token is not to be believed; the message says why
OpenIdUnavailable   the provider's keys can't be had, so that nothing can be decided
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry

from auth.crypto.secret import Secret

Fetch = Callable[[str], Awaitable[Mapping[str, Any]]]

# Only signatures that the provider alone can make: with an HMAC, its public key would pass for a secret.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
_KEYS_ARE_FRESH = timedelta(minutes=10)
# An unknown key id may be a new key's, or nonsense: the provider is asked again no more often than this.
_ASK_AGAIN_AFTER = timedelta(seconds=30)
_LEEWAY_SECONDS = 30


class OpenIdRefused(Exception):
    """The token is not to be believed; the message says why, and nothing of the token."""


class OpenIdUnavailable(Exception):
    """The provider's keys can't be had."""


@dataclass(frozen=True)
class OpenIdRules:
    """Whom to believe, and which claims say what. Claim names of the account (its name), the role and API access."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    account_claim: str
    role_claim: str
    api_access_claim: str
    create_users: bool


@dataclass(frozen=True)
class Keys:
    key_set: KeySet
    fetched_at: datetime


async def fetch_json(url: str) -> Mapping[str, Any]:
    """A JSON object from the provider. Raises OpenIdUnavailable."""
    try:
        async with httpx.AsyncClient(timeout=5, follow_redirects=False) as client:
            response = (await client.get(url)).raise_for_status()
            found = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise OpenIdUnavailable(f"the OpenID provider did not answer: {type(error).__name__}") from None
    if not isinstance(found, dict):
        raise OpenIdUnavailable("the OpenID provider did not answer with a JSON object")
    return found


class OpenIdProvider:
    """Believes one provider's tokens. Its keys are found by discovery, kept for a while, and asked for again when a
    token names one that is not among them."""

    def __init__(self, rules: OpenIdRules, fetch: Fetch = fetch_json) -> None:
        self.rules = rules
        self._fetch = fetch
        self._keys: Keys | None = None

    async def verify(self, token: Secret, now: datetime) -> Mapping[str, Any]:
        """The claims of a token. Raises OpenIdRefused, OpenIdUnavailable."""
        keys = await self._fresh_keys(now, _KEYS_ARE_FRESH)
        try:
            return self._claims(token, keys, now)
        except InvalidKeyIdError:
            keys = await self._fresh_keys(now, _ASK_AGAIN_AFTER)
        try:
            return self._claims(token, keys, now)
        except InvalidKeyIdError:
            raise OpenIdRefused("the token is signed with a key that the provider does not have") from None

    def _claims(self, token: Secret, keys: Keys, now: datetime) -> Mapping[str, Any]:
        registry = JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": self.rules.issuer},
            aud={"essential": True, "value": self.rules.audience},
            sub={"essential": True},
            exp={"essential": True},
        )
        try:
            claims = jwt.decode(token.reveal(), keys.key_set, algorithms=list(self.rules.algorithms)).claims
            registry.validate(claims)
        except InvalidKeyIdError:
            raise
        except (JoseError, ValueError, TypeError) as error:
            raise OpenIdRefused(f"the token was refused: {type(error).__name__}") from None
        return claims

    async def _fresh_keys(self, now: datetime, no_older_than: timedelta) -> Keys:
        if self._keys is None or self._keys.fetched_at <= now - no_older_than:
            self._keys = Keys(await self._fetch_keys(), now)
        return self._keys

    async def _fetch_keys(self) -> KeySet:
        found = await self._fetch(f"{self.rules.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self.rules.issuer:
            raise OpenIdUnavailable("the OpenID provider's discovery document names another issuer")
        try:
            return KeySet.import_key_set(dict(await self._fetch(str(found.get("jwks_uri")))))  # type: ignore[arg-type]
        except (JoseError, KeyError, TypeError, ValueError):
            raise OpenIdUnavailable("the OpenID provider's keys are not a JWK Set") from None
