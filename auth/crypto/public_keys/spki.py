"""The numbers in a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) or an RSAPublicKey (RFC 8017 A.1.1)."""

from auth.crypto import der
from auth.crypto.der import Element, NotDer, oid
from auth.crypto.public_keys.refusal import PublicKeyRefused, invalid, not_rsa
from auth.crypto.public_keys.rsa_numbers import RsaNumbers

_RSA_ENCRYPTION = oid("1.2.840.113549.1.1.1")

# RFC 4055 section 1.2: the key may be used with this scheme and no other.
_RESTRICTED = {
    oid("1.2.840.113549.1.1.10"): "This RSA key is restricted to PSS signatures and must not be used to encrypt. "
    "Send a key without that limit.",
    oid("1.2.840.113549.1.1.7"): "This RSA key carries the mark of OAEP, which few programs can read. "
    "Send it as a plain RSA key.",
}
_OTHER_KINDS = {
    oid("1.2.840.10045.2.1"): "an elliptic-curve (EC) key",
    oid("1.2.840.10040.4.1"): "a DSA key",
    oid("1.2.840.113549.1.3.1"): "a Diffie-Hellman key",
    oid("1.2.840.10046.2.1"): "a Diffie-Hellman key (X9.42)",
    oid("1.3.101.110"): "an X25519 key",
    oid("1.3.101.111"): "an X448 key",
    oid("1.3.101.112"): "an Ed25519 key",
    oid("1.3.101.113"): "an Ed448 key",
}


def read_spki(spki: Element) -> RsaNumbers:
    """Raises PublicKeyRefused for a key that is not plain RSA, NotDer for anything else."""
    algorithm, key = spki.parts(der.SEQUENCE, der.BIT_STRING)
    members = algorithm.children()
    if not members or members[0].tag != der.OBJECT_IDENTIFIER:
        raise NotDer
    if members[0].body != _RSA_ENCRYPTION:
        raise _other_algorithm(members[0].body)
    if members[1:] not in ([], [Element(der.NULL, b"")]):  # left out by some, against RFC 3279 section 2.3.1
        raise invalid("The key's algorithm has parameters, which a plain RSA key has not. Export the key again.")
    return read_pkcs1(der.read(der.bits(key), der.SEQUENCE))


def read_pkcs1(key: Element) -> RsaNumbers:
    """Raises PublicKeyRefused for a negative number, NotDer for anything but two integers."""
    numbers = key.parts(der.INTEGER, der.INTEGER)
    if any(number.body[:1] >= b"\x80" for number in numbers):
        raise invalid("A number of the key is negative, which none can be. Send the key as its program wrote it.")
    return RsaNumbers(*map(der.unsigned, numbers))


def _other_algorithm(name: bytes) -> PublicKeyRefused:
    if name in _RESTRICTED:
        return invalid(_RESTRICTED[name])
    return not_rsa(_OTHER_KINDS.get(name, "a key of a kind unknown here"))
