"""The numbers in an X.509 certificate (RFC 5280 section 4.1).

A certificate is only the wrapping of a key here: the sender is signed in already, so neither its signature
nor its dates are looked at, but what it says about the use of the key is.
"""

import re

from auth.crypto import der
from auth.crypto.der import Element, oid
from auth.crypto.public_keys.refusal import invalid
from auth.crypto.public_keys.rsa_numbers import RsaNumbers
from auth.crypto.public_keys.spki import read_spki

_KEY_USAGE = oid("2.5.29.15")
# keyEncipherment and dataEncipherment: bits 2 and 3 of KeyUsage, counted from the left (section 4.2.1.3)
_ENCIPHERMENT = 0b0011_0000
_EXTENSIONS = der.context(3)

# Tags of the signed part. [version,] serial, signature, issuer, validity, subject, and then the key.
_UP_TO_THE_KEY = re.compile(rb"\xa0?\x02\x30{4}(?=\x30)")
_REQUEST = re.compile(rb"\x02\x30\x30\xa0")


def read_certificate(signed: Element) -> RsaNumbers:
    """Also names what else has a certificate's three parts; raises PublicKeyRefused or NotDer."""
    parts = signed.children()[0].children()
    tags = bytes(part.tag for part in parts)
    if _REQUEST.match(tags):
        raise invalid("This is a certificate request (CSR). Send the certificate or the bare public key instead.")
    layout = _UP_TO_THE_KEY.match(tags)
    if not layout:
        raise invalid("This is signed data without a public key, such as a revocation list. Send the certificate.")
    for extension in _extensions(parts):
        _check_usage(extension)
    return read_spki(parts[layout.end()])


def _extensions(parts: list[Element]) -> list[Element]:
    if parts[-1].tag != _EXTENSIONS:
        return []
    (extensions,) = parts[-1].parts(der.SEQUENCE)
    return extensions.children()


def _check_usage(extension: Element) -> None:
    members = extension.children()
    if not members or members[0].body != _KEY_USAGE:
        return
    usage = der.read(members[-1].body, der.BIT_STRING)
    if not int.from_bytes(usage.body[1:2], "big") & _ENCIPHERMENT:
        raise invalid(
            "The certificate says that its key is not for encrypting (key usage). "
            "Send another certificate or the bare public key."
        )
