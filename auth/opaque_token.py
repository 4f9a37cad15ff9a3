"""Opaque bearer tokens of 256 random bits: handed over once, kept as their SHA-256.

A fast hash is enough: there is nothing to guess.
"""

import hashlib
import secrets
from enum import StrEnum

from auth.crypto.secret import Secret


class TokenPurpose(StrEnum):
    """What a token is for; the value stands in the token, for people and scanners to see."""

    SESSION = "session"
    PERSONAL = "pat"
    GATEWAY = "gateway"
    INVITATION = "invitation"


_PURPOSES = [(f"sealkey_{purpose}_", purpose) for purpose in TokenPurpose]


def generate_token(purpose: TokenPurpose) -> Secret:
    """A new token, `sealkey_<purpose>_<43 base64url>`."""
    return Secret(f"sealkey_{purpose}_{secrets.token_urlsafe(32)}")


def purpose_of(token: Secret) -> TokenPurpose | None:
    """What a text claims to be a token for."""
    text = token.reveal()
    return next((purpose for prefix, purpose in _PURPOSES if text.startswith(prefix)), None)


def hash_token(token: Secret) -> str:
    """What is kept of it, 64 hex digits."""
    return hash_sent_token(token.reveal().encode(errors="surrogateescape"))


def hash_sent_token(token: bytes) -> str:
    """The same of a token as it was sent."""
    return hashlib.sha256(token).hexdigest()
