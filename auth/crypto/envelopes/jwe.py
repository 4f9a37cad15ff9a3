"""JWE envelopes: RFC 7516 compact serialization, RSA-OAEP-256 and A256GCM (RFC 7518 sections 4.3 and 5.3)."""

import json

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from joserfc import jwe
from joserfc.jwk import RSAKey

from auth.crypto.envelopes.primitives import EnvelopeUnreadable, open_sealed
from auth.crypto.public_keys import RecipientKey
from auth.crypto.strict_base64 import Base64Refused, decode_base64url

_ALGORITHMS = ["RSA-OAEP-256", "A256GCM"]
# No `zip`: the length of a compressed secret tells about the secret.
_HEADER = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "text/csv"}


def seal_jwe(content: bytes, recipient: RecipientKey) -> bytes:
    """One line without an end, in ASCII, that only the holder of the recipient's private key can open.

    The content key, 256 bits, and the nonce, 96 bits, are new in each; the associated data is the header.
    """
    key = RSAKey.import_key(recipient.rsa)
    return jwe.encrypt_compact(dict(_HEADER), content, key, algorithms=_ALGORITHMS).encode()


def open_jwe(envelope: str, private_key: RSAPrivateKey) -> bytes:
    """The authenticated content of what `seal_jwe` made; raises EnvelopeUnreadable.

    Takes just that one header, so that an envelope can't choose how it is opened.
    """
    header, encrypted_key, nonce, ciphertext, tag = _segments(envelope)
    if not _is_expected(header):
        raise EnvelopeUnreadable("The envelope was altered or damaged, or was not made by Sealkey: see its header.")
    return open_sealed(
        private_key,
        encrypted_key=encrypted_key,
        nonce=nonce,
        ciphertext=ciphertext,
        tag=tag,
        associated_data=envelope.partition(".")[0].encode(),
    )


def _segments(envelope: str) -> list[bytes]:
    segments = envelope.split(".")
    if len(segments) != 5:
        raise EnvelopeUnreadable(f"A JWE has 5 parts between dots; this has {len(segments)}. Copy the whole file.")
    try:
        return [decode_base64url(segment) for segment in segments]
    except Base64Refused as refused:
        raise EnvelopeUnreadable(f"A part of the JWE is not base64url: {refused}.") from None


def _is_expected(header: bytes) -> bool:
    try:
        return bool(json.loads(header) == _HEADER)
    except (ValueError, RecursionError):
        return False
