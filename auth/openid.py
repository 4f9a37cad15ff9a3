"""Tokens of an OpenID Connect provider (OpenID Connect Core 1.0, 3.1.3.7; Discovery 1.0).

OpenIdRefused       the token is not to be believed; the message says why
OpenIdUnavailable   the provider's keys can't be had, so that nothing can be decided
"""

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError, SecurityWarning
from joserfc.jwk import JWKRegistry, Key, KeySet
from joserfc.jwt import JWTClaimsRegistry

from auth.crypto.secret import Secret

Fetch = Callable[[str], Awaitable[Mapping[str, Any]]]

# Only signatures that the provider alone can make: with an HMAC, its public key would pass for a secret.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
# What an issuer signs for other purposes, logout tokens say, has a type of its own (RFC 8725, 3.11).
_TYPES = {"jwt", "at+jwt"}
_KEYS_ARE_FRESH = timedelta(minutes=10)
# A signature that no key fits may be a new key's, or nonsense: the provider is asked again no more often than this.
_ASK_AGAIN_AFTER = timedelta(seconds=30)
# While it does not answer, requests are not held up to ask it, save one this often.
_TRY_AGAIN_AFTER = timedelta(seconds=5)
_LEEWAY_SECONDS = 30
_NO_KEY_FITS = (InvalidKeyIdError, BadSignatureError)


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
    create_operators: bool
    verified_email_only: bool


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
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise OpenIdUnavailable(f"the OpenID provider did not answer: {type(error).__name__}") from None
    if not isinstance(found, dict):
        raise OpenIdUnavailable("the OpenID provider did not answer with a JSON object")
    return found


class OpenIdProvider:
    """Believes one provider's tokens. Its keys are found by discovery, kept for a while, and asked for again when a
    token's signature fits none of them."""

    def __init__(self, rules: OpenIdRules, fetch: Fetch = fetch_json) -> None:
        self.rules = rules
        self._fetch = fetch
        self._keys: Keys | None = None
        self._failed_at: datetime | None = None
        self._asking = asyncio.Lock()

    async def verify(self, token: Secret, now: datetime) -> Mapping[str, Any]:
        """The claims of a token. Raises OpenIdRefused, OpenIdUnavailable."""
        if token.reveal().count(".") != 2:
            # Anybody can send what is no JWT: the provider is not troubled with it.
            raise OpenIdRefused("the token is not a signed JWT")
        keys = await self._fresh_keys(now, _KEYS_ARE_FRESH)
        try:
            return self._claims(token, keys, now)
        except _NO_KEY_FITS:
            keys = await self._fresh_keys(now, _ASK_AGAIN_AFTER)
        try:
            return self._claims(token, keys, now)
        except _NO_KEY_FITS:
            raise OpenIdRefused("the token is not signed with a key of the provider's") from None

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
            decoded = jwt.decode(token.reveal(), keys.key_set, algorithms=list(self.rules.algorithms))
            registry.validate(decoded.claims)
        except _NO_KEY_FITS:
            raise
        except (JoseError, ValueError, TypeError) as error:
            raise OpenIdRefused(f"the token was refused: {type(error).__name__}") from None
        if str(decoded.header.get("typ", "JWT")).lower().removeprefix("application/") not in _TYPES:
            raise OpenIdRefused("the token is of a type that signs nobody in")
        return decoded.claims

    async def _fresh_keys(self, now: datetime, no_older_than: timedelta) -> Keys:
        if self._keys is not None and self._keys.fetched_at > now - no_older_than:
            return self._keys
        async with self._asking:  # One asks; who waited for it finds the answer.
            if self._keys is None or self._keys.fetched_at <= now - no_older_than:
                self._keys = await self._ask(now)
            return self._keys

    async def _ask(self, now: datetime) -> Keys:
        if self._failed_at is not None and now - self._failed_at < _TRY_AGAIN_AFTER:
            raise OpenIdUnavailable("the OpenID provider did not answer a moment ago")
        try:
            return Keys(await self._fetch_keys(), now)
        except OpenIdUnavailable:
            self._failed_at = now
            raise

    async def _fetch_keys(self) -> KeySet:
        found = await self._fetch(f"{self.rules.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self.rules.issuer:
            raise OpenIdUnavailable("the OpenID provider's discovery document names another issuer")
        address = str(found.get("jwks_uri"))
        if self.rules.issuer.startswith("https:") and not address.startswith("https:"):
            raise OpenIdUnavailable("the OpenID provider's keys are at an address that is not https")
        keys = list(_usable((await self._fetch(address)).get("keys")))
        if not keys:
            raise OpenIdUnavailable("the OpenID provider's keys are not a JWK Set with a key that can be used")
        return KeySet(keys)


def _usable(keys: object) -> Iterator[Key]:
    """Those of a JWK Set, less the ones that are malformed, too small or of a kind not known here: the provider may
    have more than it signs these tokens with (RFC 7517, 5)."""
    for key in keys if isinstance(keys, list) else ():
        with warnings.catch_warnings():
            warnings.simplefilter("error", SecurityWarning)
            try:
                yield JWKRegistry.import_key(key)
            except (JoseError, SecurityWarning, ValueError, TypeError, KeyError):
                continue
