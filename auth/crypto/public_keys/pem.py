"""Public keys in PEM (RFC 7468)."""

import re

from auth.crypto.public_keys.der_forms import read_der
from auth.crypto.public_keys.refusal import invalid
from auth.crypto.public_keys.rsa_numbers import RsaNumbers
from auth.crypto.strict_base64 import Base64Refused, decode_base64

_TAKEN = {"PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE", "X509 CERTIFICATE"}
_REFUSED = {
    "CERTIFICATE REQUEST": "a certificate request",
    "NEW CERTIFICATE REQUEST": "a certificate request (of the old form)",
    "TRUSTED CERTIFICATE": "a certificate with OpenSSL's own additions",
    "X509 CRL": "a list of revoked certificates",
    "PKCS7": "a PKCS#7 bundle",
    "CMS": "a CMS message",
    "PGP PUBLIC KEY BLOCK": "a PGP public key",
    "PGP MESSAGE": "a PGP message",
    "EC PARAMETERS": "the description of an elliptic curve",
    "DH PARAMETERS": "the description of a Diffie-Hellman group",
    "DSA PUBLIC KEY": "a DSA public key",
}

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*)-----END ([A-Z0-9 ]+)-----", re.DOTALL)
_LITERAL_BREAK = re.compile(r"(?:\\r)?\\n")
# Text around the block is allowed (RFC 7468 section 2; `openssl x509 -text` writes some), but no second key.
_KEY_LIKE = re.compile(r"[A-Za-z0-9+/=_-]{60}")


def read_pem(text: str) -> RsaNumbers:
    """The numbers of the RSA public key in the one PEM block of the text; raises PublicKeyRefused.

    Lines may be of any length, and their breaks may have become spaces or the two characters \\n on the way.
    """
    label, body = _only_block(_LITERAL_BREAK.sub("\n", text))
    if label not in _TAKEN:
        kind = _REFUSED.get(label, "a PEM block of a kind unknown here")
        raise invalid(f"This is {kind}. Send the RSA public key or its certificate instead.")
    try:
        return read_der(decode_base64(body))
    except Base64Refused as refused:
        raise invalid(f"The body of the PEM block is not base64: {refused}. Copy the whole file again.") from None


def _only_block(text: str) -> tuple[str, str]:
    if text.count("-----BEGIN") > 1:
        raise invalid("There are several PEM blocks. Send one key: of a certificate chain, the first certificate.")
    block = _BLOCK.search(text)
    if not block:
        raise invalid("The PEM block is not whole: its first or last line is missing or altered. Copy it again.")
    label, body, closing_label = block.groups()
    if label != closing_label:
        raise invalid("The first and the last line of the PEM block do not belong together. Copy it again.")
    if _KEY_LIKE.search(text[: block.start()]) or _KEY_LIKE.search(text[block.end() :]):
        raise invalid("There is something like another key before or after the PEM block. Send the block alone.")
    return label, body
