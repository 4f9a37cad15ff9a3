"""Writes DER, sound or not, for the tests of what reads it."""


def element(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def sequence(*parts: bytes) -> bytes:
    return element(0x30, *parts)


def integer(number: int) -> bytes:
    """Also a negative one."""
    return element(2, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def octets(data: bytes) -> bytes:
    return element(4, data)


def spki(oid: str, key: bytes, *parameters: bytes) -> bytes:
    """SubjectPublicKeyInfo; `oid` in hex."""
    return sequence(sequence(element(6, bytes.fromhex(oid)), *parameters), element(3, b"\0", key))


NULL = element(5)
RSA_OID = "2a864886f70d010101"


def rsa_pkcs1(modulus: int, exponent: int) -> bytes:
    return sequence(integer(modulus), integer(exponent))


def rsa_spki(modulus: int, exponent: int) -> bytes:
    return spki(RSA_OID, rsa_pkcs1(modulus, exponent), NULL)
