"""Texts that are no RSA public key to encrypt with, whatever else they are, each made here."""

import json
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.auth.crypto.der_writer import NULL, RSA_OID, element, integer, rsa_spki, sequence, spki
from tests.auth.crypto.keys import (
    base64,
    certificate,
    jwk,
    modulus,
    pem,
    pkcs1,
    private_key,
    public_key,
    spki_pem,
    ssh_line,
    usage,
)
from tests.auth.crypto.keys import spki as real_spki


def key_pem() -> str:
    return spki_pem(public_key())


def key_base64() -> str:
    return base64(real_spki(public_key()))


def request() -> bytes:
    builder = x509.CertificateSigningRequestBuilder(x509.Name([]))
    return builder.sign(private_key(), hashes.SHA256()).public_bytes(Encoding.DER)


def other(oid: str) -> str:
    """A key of another algorithm, `oid` in hex."""
    return pem("PUBLIC KEY", spki(oid, b"k" * 32))


def elliptic() -> bytes:
    key = generate_ec_key(SECP256R1()).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def with_member(name: str, value: object) -> str:
    return json.dumps({**json.loads(jwk(public_key())), name: value})


def without_member(name: str) -> str:
    members = json.loads(jwk(public_key()))
    del members[name]
    return json.dumps(members)


def prefixed_member(name: str, prefix: str) -> str:
    return with_member(name, prefix + json.loads(jwk(public_key()))[name])


def ssh_blob(*fields: bytes) -> str:
    return base64(b"".join(len(field).to_bytes(4, "big") + field for field in fields))


E, N = b"\x01\0\x01", b"\0" + b"\xc5" * 256

GENERAL: dict[str, Callable[[], str]] = {
    "nothing": lambda: " \ufeff\n",
    "too much": lambda: "A" * 32_769,
    "binary": lambda: "0\x82\x01\x22\0",
    "words": lambda: "Where is my key?",
    "padding in the wrong number": lambda: key_base64() + "=",
    "base64 without its last character": lambda: base64(real_spki(public_key())).rstrip("=")[:-3],
    "base64 with spare bits": lambda: "MAF",
    "a file name": lambda: "~/.ssh/id_rsa.pub",
    "XML": lambda: "<RSAKeyValue><Modulus>w1s=</Modulus><Exponent>AQAB</Exponent></RSAKeyValue>",
    "hexadecimal": lambda: real_spki(public_key()).hex(),
    "base64 of PEM": lambda: base64(key_pem().encode()),
    "base64 of an SSH line": lambda: base64(ssh_line(public_key()).encode()),
    "base64 of a JWK": lambda: base64(jwk(public_key()).encode()),
}

PEM: dict[str, Callable[[], str]] = {
    "without a last line": lambda: key_pem().replace("-----END PUBLIC KEY-----", ""),
    "with two labels": lambda: key_pem().replace("END PUBLIC", "END RSA PUBLIC"),
    "two keys": lambda: key_pem() * 2,
    "two keys, one as SSH": lambda: key_pem() + ssh_line(public_key()),
    "a character that base64 has not": lambda: key_pem().replace("MII", "M*I"),
    "of a PGP key": lambda: pem("PGP PUBLIC KEY BLOCK", b"\x99\x01\x0d\x04"),
    "of a PGP message": lambda: pem("PGP MESSAGE", b"\x85\x01\x0c\x03"),
    "of a request": lambda: pem("CERTIFICATE REQUEST", request()),
    "of a request, old": lambda: pem("NEW CERTIFICATE REQUEST", request()),
    "of a request, under another label": lambda: pem("CERTIFICATE", request()),
    "of a trusted certificate": lambda: pem("TRUSTED CERTIFICATE", certificate() + sequence()),
    "of a revocation list": lambda: pem("X509 CRL", sequence()),
    "of PKCS#7": lambda: pem("PKCS7", sequence()),
    "of CMS": lambda: pem("CMS", sequence()),
    "of a curve": lambda: pem("EC PARAMETERS", element(6, bytes.fromhex("2a8648ce3d030107"))),
    "of Diffie-Hellman parameters": lambda: pem("DH PARAMETERS", sequence(integer(23), integer(5))),
    "of DSA": lambda: pem("DSA PUBLIC KEY", integer(5)),
    "of something unknown": lambda: pem("SHOPPING LIST", b"milk"),
}

DER: dict[str, Callable[[], str]] = {
    "with bytes after it": lambda: base64(real_spki(public_key()) + b"\0"),
    "cut short": lambda: pem("PUBLIC KEY", real_spki(public_key())[:-1]),
    "of something unknown": lambda: base64(sequence(sequence(integer(1000), NULL), NULL)),
    "of a revocation list": lambda: base64(
        sequence(sequence(sequence(), sequence(), element(23, b"260101000000Z")), sequence(), element(3, b"\0"))
    ),
    "of PKCS#7": lambda: base64(sequence(element(6, bytes.fromhex("2a864886f70d010702")), element(0xA0, NULL))),
    "with a negative modulus": lambda: base64(rsa_spki(-modulus(2048), 65_537)),
    "with parameters": lambda: base64(spki(RSA_OID, pkcs1(public_key()), integer(7))),
    "restricted to PSS": lambda: other("2a864886f70d01010a"),
    "restricted to OAEP": lambda: other("2a864886f70d010107"),
    "on an elliptic curve": lambda: pem("PUBLIC KEY", elliptic()),
    "of DSA": lambda: other("2a8648ce380401"),
    "of Diffie-Hellman": lambda: other("2a864886f70d010301"),
    "of X9.42": lambda: other("2a8648ce3e0201"),
    "of X25519": lambda: other("2b656e"),
    "of X448": lambda: other("2b656f"),
    "of Ed25519": lambda: other("2b6570"),
    "of Ed448": lambda: other("2b6571"),
    "of an unknown algorithm": lambda: other("2b06010401"),
    "a certificate for signing": lambda: pem("CERTIFICATE", certificate(usage(key_encipherment=False))),
}

JWK: dict[str, Callable[[], str]] = {
    "not JSON": lambda: jwk(public_key())[:-1],
    "nested": lambda: "[" * 30_000,
    "an array": lambda: f"[{jwk(public_key())}]",
    "a set": lambda: json.dumps({"keys": [json.loads(jwk(public_key()))]}),
    "a member twice": lambda: jwk(public_key()).replace("{", '{"kty": "RSA", '),
    "without kty": lambda: without_member("kty"),
    "EC": lambda: json.dumps({"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"}),
    "OKP": lambda: json.dumps({"kty": "OKP", "crv": "X25519", "x": "AQ"}),
    "oct": lambda: json.dumps({"kty": "oct"}),
    "AKP": lambda: json.dumps({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AQ"}),
    "for signatures": lambda: jwk(public_key(), use="sig"),
    "for verifying": lambda: jwk(public_key(), key_ops=["verify"]),
    "for PS256": lambda: jwk(public_key(), alg="PS256"),
    "without n": lambda: without_member("n"),
    "with e as a number": lambda: with_member("e", 65_537),
    "n with zeros before it": lambda: prefixed_member("n", "AAAA"),
    "e with zeros before it": lambda: prefixed_member("e", "AAAA"),
    "n in base64": lambda: prefixed_member("n", "+/+/"),
    "n cut short": lambda: with_member("n", "AQABA"),
    "n with spare bits": lambda: with_member("n", "AQABAR"),
    "e in base64 with padding": lambda: with_member("e", "AQAB===="),
    "e cut short": lambda: with_member("e", "AQABA"),
}

SSH: dict[str, Callable[[], str]] = {
    "Ed25519": lambda: f"ssh-ed25519 {ssh_blob(b'ssh-ed25519', b'k' * 32)} jo",
    "Ed448": lambda: f"ssh-ed448 {ssh_blob(b'ssh-ed448', b'k' * 57)} jo",
    "DSA": lambda: f"ssh-dss {ssh_blob(b'ssh-dss', N)} jo",
    "ECDSA": lambda: f"ecdsa-sha2-nistp256 {ssh_blob(b'ecdsa-sha2-nistp256', b'nistp256', b'k')} jo",
    "in a security key": lambda: f"sk-ssh-ed25519@openssh.com {ssh_blob(b'sk', b'k')} jo",
    "a certificate": lambda: f"ssh-rsa-cert-v01@openssh.com {ssh_blob(b'ssh-rsa-cert-v01@openssh.com')}",
    "unknown": lambda: f"ssh-new {ssh_blob(b'ssh-new', b'k')}",
    "two lines": lambda: f"{ssh_line(public_key())}\n{ssh_line(public_key())}",
    "with options": lambda: f'from="10.0.0.0/8" {ssh_line(public_key())}',
    "without the key": lambda: "ssh-rsa",
    "not in base64": lambda: "ssh-rsa AAAA*AAA jo",
    "of two kinds": lambda: f"ssh-rsa {ssh_blob(b'ssh-dss', E, N)}",
    "cut short": lambda: f"ssh-rsa {ssh_blob(b'ssh-rsa', E)}",
    "with bytes after it": lambda: f"ssh-rsa {ssh_blob(b'ssh-rsa', E, N, b'')}",
    "with a negative number": lambda: f"ssh-rsa {ssh_blob(b'ssh-rsa', E, N[1:])}",
    "without its first word": lambda: ssh_line(public_key()).split()[1],
    "of RFC 4716": lambda: f"---- BEGIN SSH2 PUBLIC KEY ----\n{ssh_blob(b'ssh-rsa', E, N)}\n",
}

OTHER_TEXTS: dict[str, Callable[[], str]] = {
    f"{form}: {what}": text
    for form, table in {"": GENERAL, "PEM": PEM, "DER": DER, "JWK": JWK, "SSH": SSH}.items()
    for what, text in table.items()
}
