"""Opaque bearer tokens of 256 random bits: handed over once, kept as their SHA-256.

A fast hash is enough: there is nothing to guess.
"""

import hashlib
import secrets

from auth.crypto.secret import Secret


def generate_token(purpose: str) -> Secret:
    """A new token, `sealkey_<purpose>_<43 base64url>`."""
    return Secret(f"sealkey_{purpose}_{secrets.token_urlsafe(32)}")


def hash_token(token: Secret) -> str:
    """What is kept of it, 64 hex digits."""
    return hashlib.sha256(token.reveal().encode(errors="surrogateescape")).hexdigest()
