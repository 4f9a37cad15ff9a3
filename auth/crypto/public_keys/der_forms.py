"""Telling what a blob of bytes is, by its first bytes and then by the tags of its parts.

The label that it came under is not asked: people mix up those of PKCS#1 and SubjectPublicKeyInfo all the
time.
"""

from collections.abc import Callable

from auth.crypto import der
from auth.crypto.der import BIT_STRING, INTEGER, OBJECT_IDENTIFIER, SEQUENCE, Element, NotDer, TrailingBytes
from auth.crypto.public_keys.certificate import read_certificate
from auth.crypto.public_keys.private_material import refuse_private_der
from auth.crypto.public_keys.refusal import invalid
from auth.crypto.public_keys.rsa_numbers import RsaNumbers
from auth.crypto.public_keys.spki import read_pkcs1, read_spki

_NOT_DER = {
    b"-----": "This is a PEM file in base64 once more. Decode it once and send the PEM text.",
    b"ssh-": "This is an SSH line in base64 once more. Decode it once and send the line.",
    b"{": "This is JSON in base64. Decode it once and send the JSON text.",
    b"\0\0\0": "This is the middle of an SSH line. Send the whole line, with the word in front of it.",
}


def _not_a_key(_: Element) -> RsaNumbers:
    raise invalid("This is a PKCS#7 or CMS file. Take the certificate out of it, or send the bare public key.")


_SHAPES: dict[tuple[int, ...], Callable[[Element], RsaNumbers]] = {
    (SEQUENCE, BIT_STRING): read_spki,
    (INTEGER, INTEGER): read_pkcs1,
    (SEQUENCE, SEQUENCE, BIT_STRING): read_certificate,
    (OBJECT_IDENTIFIER, der.context(0)): _not_a_key,
}


def read_der(data: bytes) -> RsaNumbers:
    """The numbers of the RSA public key in these bytes; raises PublicKeyRefused."""
    refuse_private_der(data)
    for beginning, message in _NOT_DER.items():
        if data.startswith(beginning):
            raise invalid(message)
    try:
        return _read_known(der.read(data, SEQUENCE))
    except TrailingBytes:
        raise invalid("There are more bytes after the end of the key. Send the key alone.") from None
    except NotDer:
        raise invalid("The key is damaged, cut short or not DER. Export it again and send the whole of it.") from None


def _read_known(outer: Element) -> RsaNumbers:
    read = _SHAPES.get(tuple(part.tag for part in outer.children()))
    if read is None:
        raise invalid("The bytes are DER, but no public key known here. Export the public key as PEM and send that.")
    return read(outer)
