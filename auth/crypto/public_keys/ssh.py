"""Public keys as OpenSSH writes them, one line: key type, base64, comment (RFC 4253 section 6.6)."""

import re
from typing import NoReturn

from auth.crypto.public_keys.refusal import invalid, not_rsa
from auth.crypto.public_keys.rsa_numbers import RsaNumbers
from auth.crypto.strict_base64 import Base64Refused, decode_base64

_OTHER_TYPES = [
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r".*-cert-v0[01]@openssh\.com", "an OpenSSH certificate"),
        (r"sk-.*", "an SSH key in a security key (FIDO)"),
        (r"ssh-ed25519", "an SSH key on Ed25519"),
        (r"ssh-ed448", "an SSH key on Ed448"),
        (r"ssh-dss", "an SSH key for DSA"),
        (r"ecdsa-sha2-.*", "an SSH key for ECDSA"),
        (r".*", "an SSH key of a kind unknown here"),
    )
]


def read_ssh(text: str) -> RsaNumbers:
    """The numbers in one `ssh-rsa` line; raises PublicKeyRefused."""
    if len(text.splitlines()) > 1:
        raise invalid("There is more than one line. An SSH key is one line; send one, not broken up.")
    key_type, *rest = text.split(maxsplit=2)
    if key_type != "ssh-rsa":
        _refuse_type(key_type)
    if not rest:
        raise invalid("The SSH line has no key after its first word. Copy the whole line again.")
    try:
        return _read_blob(decode_base64(rest[0]))
    except Base64Refused as refused:
        raise invalid(f"The key in the SSH line is not base64: {refused}. Copy the whole line again.") from None


def refuse_options(_: str) -> NoReturn:
    """For a line of an authorized_keys file, with options before the key type."""
    raise invalid("There is something before the SSH key. Send the line from its key type on.")


def refuse_ssh2(_: str) -> NoReturn:
    """For the file format of RFC 4716, which other SSH programs write."""
    raise invalid("This is a public key in the SSH2 form. Convert it with: ssh-keygen -i -m RFC4716 -f key.pub")


def _refuse_type(key_type: str) -> NoReturn:
    raise not_rsa(next(kind for pattern, kind in _OTHER_TYPES if pattern.fullmatch(key_type)))


def _read_blob(blob: bytes) -> RsaNumbers:
    key_type, blob = _string(blob)
    if key_type != b"ssh-rsa":
        raise invalid("The word before the SSH key and the key itself name different kinds. Copy the line again.")
    exponent, blob = _string(blob)
    modulus, blob = _string(blob)
    if blob:
        raise invalid("The SSH key has more bytes after its end. Copy the whole line again.")
    return RsaNumbers(_mpint(modulus), _mpint(exponent))


def _string(blob: bytes) -> tuple[bytes, bytes]:
    """The first string of a blob and what follows it (RFC 4251 section 5: 4 octets of length first)."""
    end = 4 + int.from_bytes(blob[:4], "big")
    if len(blob) < max(4, end):
        raise invalid("The SSH line is damaged or cut short. Copy the whole line again.")
    return blob[4:end], blob[end:]


def _mpint(octets: bytes) -> int:
    first, second = (octets + b"\0\0")[:2]
    if first > 0x7F or (first == 0 and second <= 0x7F and octets):
        raise invalid("A number of the SSH key is negative or has needless zeros. Copy the line again.")
    return int.from_bytes(octets, "big")
