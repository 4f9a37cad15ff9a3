"""Keys for the tests, made once per process, and the forms that a public key can be written in."""

import datetime
import json
import random
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from functools import cache
from itertools import count
from math import gcd, prod

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from auth.crypto.public_keys import RecipientKey, read_public_key

PASSPHRASE = b"correct horse"
UNPROTECTED = NoEncryption()
PROTECTED = BestAvailableEncryption(PASSPHRASE)

_SMALL_PRIMES = prod(n for n in range(2, 10_000) if all(n % d for d in range(2, int(n**0.5) + 1)))


@cache
def _private_key(bits: int, name: str) -> RSAPrivateKey:
    return generate_private_key(65_537, bits)


def private_key(bits: int = 2048, *, name: str = "Jo") -> RSAPrivateKey:
    """The same key for the same arguments."""
    return _private_key(bits, name)


def public_key(bits: int = 2048) -> RSAPublicKey:
    return private_key(bits).public_key()


def recipient(bits: int = 2048) -> RecipientKey:
    return read_public_key(spki_pem(public_key(bits)))


def private_pem(form: PrivateFormat = PrivateFormat.PKCS8, protection: KeySerializationEncryption = UNPROTECTED) -> str:
    return private_key().private_bytes(Encoding.PEM, form, protection).decode()


def modulus(bits: int) -> int:
    """An odd number of that many bits without small factors: all that can be asked of a modulus from outside."""
    numbers = random.Random(bits)
    top_and_odd = 1 << bits - 1 | 1
    return next(n for n in (numbers.getrandbits(bits) | top_and_odd for _ in count()) if gcd(n, _SMALL_PRIMES) == 1)


PRIVATE_FORMS = {
    "PKCS#8": PrivateFormat.PKCS8,
    "PKCS#1": PrivateFormat.TraditionalOpenSSL,
    "OpenSSH": PrivateFormat.OpenSSH,
}


def base64(data: bytes) -> str:
    return b64encode(data).decode()


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def pem(label: str, data: bytes) -> str:
    body = base64(data)
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""))


def unsigned(number: int) -> bytes:
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")


def spki(key: RSAPublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def pkcs1(key: RSAPublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.PKCS1)


def spki_pem(key: RSAPublicKey) -> str:
    return pem("PUBLIC KEY", spki(key))


def jwk(key: RSAPublicKey, **members: object) -> str:
    numbers = key.public_numbers()
    n, e = (base64url(unsigned(number)) for number in (numbers.n, numbers.e))
    return json.dumps({"kty": "RSA", "n": n, "e": e, **members})


def ssh_line(key: RSAPublicKey) -> str:
    return f"{key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()} jo@laptop"


def certificate(usage: x509.KeyUsage | None = None, *, key: CertificateIssuerPrivateKeyTypes | None = None) -> bytes:
    """DER, signed by the key itself; without extensions unless a usage is given."""
    key = key or private_key()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Jo")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=start,
        not_valid_after=start + datetime.timedelta(days=1),
    )
    if usage:
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def usage(*, key_encipherment: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=key_encipherment,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


# Every form that is taken, of the key of 2048 bits.
FORMS: dict[str, Callable[[], str]] = {
    "SubjectPublicKeyInfo in PEM": lambda: spki_pem(public_key()),
    "PKCS#1 in PEM": lambda: pem("RSA PUBLIC KEY", pkcs1(public_key())),
    "a certificate in PEM": lambda: pem("CERTIFICATE", certificate()),
    "a certificate of old OpenSSL in PEM": lambda: pem("X509 CERTIFICATE", certificate()),
    "a certificate for encrypting": lambda: pem("CERTIFICATE", certificate(usage(key_encipherment=True))),
    "SubjectPublicKeyInfo in base64": lambda: base64(spki(public_key())),
    "PKCS#1 in base64": lambda: base64(pkcs1(public_key())),
    "a certificate in base64": lambda: base64(certificate()),
    "SubjectPublicKeyInfo in base64url": lambda: base64url(spki(public_key())),
    "a JWK": lambda: jwk(public_key()),
    "a JWK for encrypting": lambda: jwk(public_key(), use="enc", key_ops=["encrypt"], alg="RSA-OAEP-256", kid="jo"),
    "a JWK for wrapping keys": lambda: jwk(public_key(), key_ops=["wrapKey"]),
    "an SSH line": lambda: ssh_line(public_key()),
}
