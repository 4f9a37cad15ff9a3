"""Private keys in all their forms, each made here: what people paste by mistake."""

import json
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from tests.auth.crypto.der_writer import element, integer, octets, sequence
from tests.auth.crypto.keys import (
    PROTECTED,
    UNPROTECTED,
    base64,
    base64url,
    jwk,
    pem,
    private_key,
    private_pem,
    public_key,
    spki_pem,
    unsigned,
)

PUTTY = """PuTTY-User-Key-File-3: ssh-rsa
Encryption: none
Comment: laptop
Public-Lines: 1
AAAAB3NzaC1yc2EAAAADAQABAAABAQ==
Private-Lines: 1
AAABAQC1
Private-MAC: 0123456789abcdef
"""

WRITTEN_OUT = """Private-Key: (2048 bit, 2 primes)
modulus:
    00:c3:5b:11
privateExponent:
    51:a9:33:07
"""


def der(form: PrivateFormat) -> bytes:
    return private_key().private_bytes(Encoding.DER, form, UNPROTECTED)


def elliptic(form: PrivateFormat, encoding: Encoding) -> bytes:
    return generate_ec_key(SECP256R1()).private_bytes(encoding, form, UNPROTECTED)


def dsa() -> bytes:
    return sequence(*map(integer, (0, 2**1024 + 1, 2**160 + 1, 3, 5, 7)))


def pkcs8(version: int, oid: str) -> str:
    """Of another algorithm, `oid` in hex."""
    return pem("PRIVATE KEY", sequence(integer(version), sequence(element(6, bytes.fromhex(oid))), octets(b"k" * 40)))


def private_jwk() -> str:
    d = private_key().private_numbers().d
    return jwk(public_key(), d=base64url(unsigned(d)))


def pkcs12() -> bytes:
    return serialize_key_and_certificates(b"jo", private_key(), None, None, PROTECTED)


# What it is, as the message has to name it, and the text.
PRIVATE_KEYS: dict[str, Callable[[], str]] = {
    "a private key (PKCS#8)": private_pem,
    "an RSA private key (PKCS#1)": lambda: private_pem(PrivateFormat.TraditionalOpenSSL),
    "an OpenSSH private key": lambda: private_pem(PrivateFormat.OpenSSH),
    "a private key under a passphrase (PKCS#8)": lambda: private_pem(protection=PROTECTED),
    "a private key under a passphrase, in the form of old OpenSSL": lambda: private_pem(
        PrivateFormat.TraditionalOpenSSL, PROTECTED
    ),
    "an elliptic-curve private key": lambda: elliptic(PrivateFormat.TraditionalOpenSSL, Encoding.PEM).decode(),
    "a DSA private key": lambda: pem("DSA PRIVATE KEY", dsa()),
    "an SSH2 private key": lambda: "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nP2/56wAAAgI=",
    "a PGP private key": lambda: "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBGc=\n",
    "a PuTTY private key file (.ppk)": lambda: PUTTY,
    "a private key": lambda: pem("TSS2 PRIVATE KEY", b"\x30\x03\x02\x01\x07"),
    "an age private key": lambda: "AGE-SECRET-KEY-1QQPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
    "a private key written out in numbers": lambda: WRITTEN_OUT,
    "a private key in hexadecimal": lambda: der(PrivateFormat.PKCS8).hex(":"),
    "a private key in XML": lambda: "<RSAKeyValue><Modulus>w1s=</Modulus><D>Uak=</D></RSAKeyValue>",
    "a JWK with private members": private_jwk,
    "a JWK with private members, their names escaped": lambda: private_jwk().replace('"d"', r'"\u0064"'),
    "a JWK with a symmetric key, which is secret": lambda: json.dumps({"kty": "oct", "k": "c2VjcmV0"}),
    "the DER of a private key (PKCS#8)": lambda: base64(der(PrivateFormat.PKCS8)),
    "the DER of an RSA or DSA private key": lambda: base64(der(PrivateFormat.TraditionalOpenSSL)),
    "the DER of an elliptic-curve private key": lambda: base64(
        elliptic(PrivateFormat.TraditionalOpenSSL, Encoding.DER)
    ),
    "the DER of an encrypted private key": lambda: base64(
        private_key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, PROTECTED)
    ),
    "a PKCS#12 file, which holds a private key": lambda: base64(pkcs12()),
    "the body of an OpenSSH private key": lambda: "".join(private_pem(PrivateFormat.OpenSSH).split("\n")[1:-2]),
    "a Java key store, which holds a private key": lambda: base64(b"\xfe\xed\xfe\xed\0\0\0\2\0\0\0\1\0\0\0\1"),
}


def wrapped(text: str, width: int) -> str:
    return "\n".join(text[at : at + width] for at in range(0, len(text), width))


# Ways in which a private key comes in disguise. All of them must be found, whatever the message calls them.
DISGUISES: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "spaces for line breaks": lambda text: text.replace("\n", " "),
    "escaped line breaks": lambda text: text.replace("\n", r"\n"),
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "no line breaks": lambda text: text.replace("\n", ""),
    "no-break spaces": lambda text: text.replace(" ", "\u00a0"),
    "plus signs for spaces, as in an address": lambda text: text.replace(" ", "+"),
    "en dashes, as word processors like them": lambda text: text.replace("--", "\u2013"),
    "small letters in the labels": lambda text: text.replace("PRIVATE KEY", "Private Key"),
    "first line lost": lambda text: text.partition("\n")[2],
    "last line lost": lambda text: text.rstrip().rpartition("\n")[0],
    "second half lost": lambda text: text[: len(text) // 2],
    "labelled as public": lambda text: text.replace("PRIVATE", "PUBLIC"),
    "labels lost": lambda text: "\n".join(text.splitlines()[1:-1]),
    "labels lost and quoted": lambda text: f'key: "{"".join(text.splitlines()[1:-1])}"',
    "in JSON": lambda text: json.dumps({"private_key": text}),
    "in base64 once more": lambda text: base64(text.encode()),
    "in base64 once more, wrapped": lambda text: wrapped(base64(text.encode()), 76),
    "in base64 once more, in short lines": lambda text: wrapped(base64(text.encode()), 8),
    "labels lost, escaped line breaks left": lambda text: r"\n".join(["", *text.splitlines()[1:-1], ""]),
    "after a public key": lambda text: spki_pem(public_key()) + text,
    "before a public key": lambda text: text + spki_pem(public_key()),
    "after much else": lambda text: "x" * 20_000 + "\n" + text,
    "before far too much": lambda text: text + "x" * 100_000,
}

DISGUISED: dict[str, Callable[[], str]] = {
    "PKCS#8": private_pem,
    "PKCS#1": lambda: private_pem(PrivateFormat.TraditionalOpenSSL),
    "OpenSSH": lambda: private_pem(PrivateFormat.OpenSSH),
    "PKCS#8 under a passphrase": lambda: private_pem(protection=PROTECTED),
    "elliptic": lambda: elliptic(PrivateFormat.TraditionalOpenSSL, Encoding.PEM).decode(),
    "Ed25519": lambda: pkcs8(0, "2b6570"),
    "X448 in the second version of PKCS#8": lambda: pkcs8(1, "2b656f"),
}
