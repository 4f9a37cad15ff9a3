"""The form of API keys and secrets.

    key     <prefix>_key_<16 base62>
    secret  <prefix>_secret_<43 base62 of 32 random bytes><6 base62 of the CRC-32 of all before it>

The checksum lets a typo be told from a guess, and a scanner recognise a leaked secret, without asking a database.
The prefix is the deployment's, for people and scanners to see; it is stored with the key and never read back from it.
"""

import secrets
from zlib import crc32

from auth.crypto.secret import Secret

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY_LENGTH = 16
_SECRET_LENGTH = 43  # 62 ** 43 > 2 ** 256
_CHECKSUM_LENGTH = 6  # 62 ** 6 > 2 ** 32
_TAIL_LENGTH = _SECRET_LENGTH + _CHECKSUM_LENGTH
_PREFIX_LENGTH = 16  # at most


def generate_api_key(prefix: str) -> str:
    """A new public key: 95 random bits."""
    return f"{prefix}_key_" + "".join(secrets.choice(_DIGITS) for _ in range(_KEY_LENGTH))


def generate_api_secret(prefix: str) -> Secret:
    """A new secret: 256 random bits and their checksum."""
    body = f"{prefix}_secret_" + _base62(secrets.randbits(256), _SECRET_LENGTH)
    return Secret(body + _checksum(body))


def is_api_key(text: str) -> bool:
    """Whether a text can be one of our keys, whatever the prefix."""
    head, separator, tail = text.rpartition("_key_")
    return bool(separator) and _is_prefix(head) and _is_base62(tail, _KEY_LENGTH)


def is_api_secret(text: str) -> bool:
    """Whether a text can be one of our secrets: its form, and its checksum."""
    head, separator, tail = text.rpartition("_secret_")
    if not separator or not _is_prefix(head) or not _is_base62(tail, _TAIL_LENGTH):
        return False
    return _checksum(text[:-_CHECKSUM_LENGTH]) == text[-_CHECKSUM_LENGTH:]


def mask_api_key(api_key: str) -> str:
    """The key with all but its prefix and last four characters hidden."""
    head, separator, tail = api_key.rpartition("_key_")
    return f"{head}{separator}{'*' * (len(tail) - 4)}{tail[-4:]}"


def _checksum(body: str) -> str:
    return _base62(crc32(body.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def _is_prefix(text: str) -> bool:
    return 0 < len(text) <= _PREFIX_LENGTH and text.isascii() and text.isalnum()


def _is_base62(text: str, length: int) -> bool:
    return len(text) == length and text.isascii() and text.isalnum()
