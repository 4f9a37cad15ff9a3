"""Taking a public key from a person: any common form in, one vetted RSA key out, or a refusal that helps.

read_public_key   cleans and bounds the text, refuses private keys, tells the form
└── pem, jwk, ssh, der_forms   each form to two numbers, without asking a library
    └── rsa_numbers   what the numbers must be
        └── RecipientKey   the only thing that envelopes can be sealed to
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import SubjectKeyIdentifier

from auth.crypto.public_keys import rsa_numbers
from auth.crypto.public_keys.der_forms import read_der
from auth.crypto.public_keys.jwk import read_jwk
from auth.crypto.public_keys.pem import read_pem
from auth.crypto.public_keys.private_material import refuse_private_keys
from auth.crypto.public_keys.refusal import PublicKeyFault, PublicKeyRefused, invalid
from auth.crypto.public_keys.rsa_numbers import RsaNumbers
from auth.crypto.public_keys.ssh import read_ssh, refuse_options, refuse_ssh2
from auth.crypto.strict_base64 import Base64Refused, decode_base64

__all__ = ["MAXIMUM_CHARACTERS", "PublicKeyFault", "PublicKeyRefused", "RecipientKey", "read_public_key"]

# A certificate with a key of 16384 bits takes about 7,000 characters; the rest is room for text around it.
MAXIMUM_CHARACTERS = 32 * 1024

_BYTE_ORDER_MARK = "\ufeff"
_UNPRINTABLE = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class RecipientKey:
    """An RSA public key that has passed every check, and so may be sealed to. Made by `read_public_key` only.

    `fingerprint`: SHA-256 of the DER SubjectPublicKeyInfo, 64 characters of lower-case hex.
    `bits`: length of the modulus.
    `subject_key_identifier`: 20 bytes, SHA-1 of the subjectPublicKey (RFC 5280 section 4.2.1.2 method 1).
    """

    rsa: RSAPublicKey
    fingerprint: str
    bits: int
    subject_key_identifier: bytes


def read_public_key(text: str, *, minimum_bits: int = 2048) -> RecipientKey:
    """The RSA public key in a text: PEM or base64 DER (SPKI, PKCS#1, certificate), JWK or one ssh-rsa line.

    The forms of one key all give the same fingerprint. Raises PublicKeyRefused, and for no text anything else.
    """
    refuse_private_keys(text[:MAXIMUM_CHARACTERS])
    if len(text) > MAXIMUM_CHARACTERS:
        raise invalid(f"The text is longer than {MAXIMUM_CHARACTERS} characters. Send one public key and nothing else.")
    found = _read_numbers(text.strip().removeprefix(_BYTE_ORDER_MARK).strip())
    rsa_numbers.check(found, minimum_bits)
    return _recipient(found)


def _read_numbers(text: str) -> RsaNumbers:
    if not text:
        raise invalid("The text is empty. Paste the public key.")
    if _UNPRINTABLE.search(text):
        raise invalid("The text has characters that no text has, as binary files do. Send PEM, or DER in base64.")
    return next(read for looks, read in _FORMS if looks.search(text))(text)


def _read_base64(text: str) -> RsaNumbers:
    try:
        return read_der(decode_base64(text))
    except Base64Refused as refused:
        raise invalid(
            f"This is no PEM, JWK or SSH line, and not base64 either: {refused}. Copy the whole key again."
        ) from None


def _refuse_xml(_: str) -> RsaNumbers:
    raise invalid("This is XML, which is not read here. Export the key as PEM and send that.")


def _refuse_hexadecimal(_: str) -> RsaNumbers:
    raise invalid("This is hexadecimal. Send the same bytes in base64, or the key as PEM.")


def _refuse_address(_: str) -> RsaNumbers:
    raise invalid("This is where a key can be found, not the key. Open it and paste what is in it.")


# The first form whose pattern is found reads the text; the last one takes the rest.
_FORMS: list[tuple[re.Pattern[str], Callable[[str], RsaNumbers]]] = [
    (re.compile(r"-----(BEGIN|END)"), read_pem),
    (re.compile(r"---- BEGIN SSH2"), refuse_ssh2),
    (re.compile(r"^[{\[]"), read_jwk),
    (re.compile(r"^(ssh|ecdsa|sk)-[a-z0-9]"), read_ssh),
    (re.compile(r"\s(ssh|ecdsa|sk)-[a-z0-9@.-]+\s+AAAA"), refuse_options),
    (re.compile(r"^<"), _refuse_xml),
    (re.compile(r"^(https?:|file:|~?/[^\s]*\.)"), _refuse_address),
    (re.compile(r"^(0x)?30(8[0-9a-f]|[0-7][0-9a-f])[0-9a-f:\s]+$", re.IGNORECASE), _refuse_hexadecimal),
    (re.compile(r""), _read_base64),
]


def _recipient(found: RsaNumbers) -> RecipientKey:
    rsa = RSAPublicNumbers(e=found.exponent, n=found.modulus).public_key()
    spki = rsa.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return RecipientKey(
        rsa=rsa,
        fingerprint=hashlib.sha256(spki).hexdigest(),
        bits=rsa.key_size,
        subject_key_identifier=SubjectKeyIdentifier.from_public_key(rsa).digest,
    )
