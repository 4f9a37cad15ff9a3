"""Public keys as JWK (RFC 7517; the numbers: RFC 7518 section 6.3.1)."""

import json
from typing import Any

from auth.crypto.public_keys.private_material import PRIVATE_MEMBERS
from auth.crypto.public_keys.refusal import PublicKeyRefused, invalid, not_rsa, private
from auth.crypto.public_keys.rsa_numbers import RsaNumbers
from auth.crypto.strict_base64 import Base64Refused, decode_base64url

_OTHER_TYPES = {
    "EC": "a JWK on an elliptic curve (EC)",
    "OKP": "a JWK on an Edwards or Montgomery curve (OKP)",
    "oct": "a JWK for a symmetric key (oct)",
}


def read_jwk(text: str) -> RsaNumbers:
    """The numbers of an RSA JWK that may be used to encrypt; raises PublicKeyRefused."""
    jwk = _only_object(_parse(text))
    _check_type(jwk)
    _check_purpose(jwk)
    return RsaNumbers(modulus=_number(jwk, "n"), exponent=_number(jwk, "e"))


def _parse(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except PublicKeyRefused:
        raise
    except RecursionError:
        raise invalid("The JSON is nested too deeply to be a JWK. Send the one key alone.") from None
    except ValueError:  # also for an integer of more digits than Python reads
        raise invalid("This is not JSON, though it begins like it. Copy the whole JWK again.") from None


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Called for every object at any depth, with its names unescaped."""
    names = {name for name, _ in members}
    if names & PRIVATE_MEMBERS:
        raise private("a JWK with private members, their names escaped")
    if len(names) < len(members):  # RFC 7517 section 4: which of the two is meant, programs disagree
        raise invalid("A member of the JSON is there twice. Send the JWK as its program wrote it.")
    return dict(members)


def _only_object(parsed: object) -> dict[str, Any]:
    if not isinstance(parsed, dict):
        raise invalid("This is a JSON array. Send one JWK, which is a JSON object.")
    if "keys" in parsed:
        raise invalid("This is a JWK set. Send one key of it, alone.")
    return parsed


def _check_type(jwk: dict[str, Any]) -> None:
    key_type = jwk.get("kty")
    if key_type is None:
        raise invalid("This is JSON, but no JWK: it has no kty. Send the JWK itself.")
    if key_type != "RSA":
        known = _OTHER_TYPES.get(key_type) if isinstance(key_type, str) else None
        raise not_rsa(known or "a JWK of a kind unknown here")


def _check_purpose(jwk: dict[str, Any]) -> None:
    if jwk.get("use", "enc") != "enc":
        raise invalid("The JWK's use says that it is not for encrypting. Send a key whose use is enc, or has none.")
    operations = jwk.get("key_ops", ["encrypt"])
    if not isinstance(operations, list) or not ("encrypt" in operations or "wrapKey" in operations):
        raise invalid("The JWK's key_ops do not let it encrypt. Send a key whose key_ops do, or that has none.")
    if jwk.get("alg", "RSA-OAEP-256") != "RSA-OAEP-256":
        # A library that minds alg would refuse to open the envelope, and the secret is given only once.
        raise invalid("The JWK's alg is not OAEP with SHA-256, which is used here. Set it so, or leave alg out.")


def _number(jwk: dict[str, Any], name: str) -> int:
    value = jwk.get(name)
    if not isinstance(value, str) or not value:
        raise invalid(f"The JWK has no {name}, or not as a text. Send the JWK as its program wrote it.")
    octets = _octets(value, name)
    if octets[0] == 0:  # RFC 7518 section 2, Base64urlUInt: the minimum number of octets
        raise invalid(f"The JWK's {name} begins with needless zeros. Send the JWK as its program wrote it.")
    return int.from_bytes(octets, "big")


def _octets(value: str, name: str) -> bytes:
    try:
        return decode_base64url(value)
    except Base64Refused as refused:
        raise invalid(f"The JWK's {name} is not base64url: {refused}. Copy the whole JWK again.") from None
