"""What is kept of a secret: an HMAC-SHA256 under a key of the server's, over the API key and the secret.

A plain hash would do against guessing 256 random bits; the server's key makes a copied database worthless on its own,
and binding the API key stops one row's hash from being moved to another.
"""

import hmac

from auth.crypto.keyring import Keyring, SymmetricKey
from auth.crypto.secret import Secret

_DOMAIN = "sealkey credential secret v1"


def hash_secret(key: SymmetricKey, api_key: str, secret: Secret) -> str:
    """The hash to keep, 64 hex digits."""
    return _hash(key, api_key, secret).hex()


def secret_matches(
    keyring: Keyring, hashing_key_id: str | None, kept: bytes | None, api_key: str, secret: Secret
) -> bool:
    """Whether a secret belongs to a kept hash (32 bytes), in constant time. Called with None for a key that does not
    exist, it does the same work and answers no."""
    # Any key takes as long.
    key = keyring.symmetric_keys.get(hashing_key_id or "") or next(iter(keyring.symmetric_keys.values()))
    given, is_there = _hash(key, api_key, secret), kept is not None and key.id == hashing_key_id
    return hmac.compare_digest(given, kept or _NOTHING) and is_there


_NOTHING = bytes(32)


def _hash(key: SymmetricKey, api_key: str, secret: Secret) -> bytes:
    """`SymmetricKey.mac` of the domain and both, put together where it is asked for thousands of times a second."""
    first, second = api_key.encode(), secret.reveal().encode(errors="surrogatepass")
    message = _BEGINNING + len(first).to_bytes(8, "big") + first + len(second).to_bytes(8, "big") + second
    return hmac.digest(key.key, message, "sha256")


_BEGINNING = len(_DOMAIN).to_bytes(8, "big") + _DOMAIN.encode()
