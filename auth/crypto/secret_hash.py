"""What is kept of a secret: an HMAC-SHA256 under a key of the server's, over the API key and the secret.

A plain hash would do against guessing 256 random bits; the server's key makes a copied database worthless on its own,
and binding the API key stops one row's hash from being moved to another.
"""

import hmac

from auth.crypto.keyring import Keyring, Purpose, SymmetricKey
from auth.crypto.secret import Secret

_DOMAIN = "sealkey credential secret v1"


def hash_secret(key: SymmetricKey, api_key: str, secret: Secret) -> str:
    """The hash to keep, 64 hex digits."""
    return key.mac(_DOMAIN, api_key.encode(), secret.reveal().encode())


def secret_matches(
    keyring: Keyring, hashing_key_id: str | None, kept: bytes | None, api_key: str, secret: Secret
) -> bool:
    """Whether a secret belongs to a kept hash (32 bytes), in constant time. Called with None for a key that does not
    exist, it does the same work and answers no."""
    key = keyring.symmetric_keys.get(hashing_key_id or "") or keyring.symmetric_key(Purpose.CREDENTIAL_HASHING)
    given = key.digest(_DOMAIN, api_key.encode(), secret.reveal().encode())
    return hmac.compare_digest(given, kept or _NOTHING) and kept is not None


_NOTHING = bytes(32)
