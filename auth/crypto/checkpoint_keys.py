"""The keys that sign checkpoints of the audit log: Ed25519 (RFC 8037, 2), among the server's others in the key file.

No file must have one: it is added when the first checkpoint is wanted. The newest, which stands last, signs.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PURPOSE = "checkpoint-signing"


def read_checkpoint_keys(keys: Iterable[Mapping[str, Any]]) -> dict[str, Ed25519PrivateKey]:
    """Those of a file's JWKs that sign checkpoints, by id. Raises ValueError, KeyError and TypeError."""
    return {_id(key): _private_key(key) for key in keys if key["kty"] == "OKP"}


def add_checkpoint_key(data: bytes) -> bytes:
    """A key file, which must have been read, with a further key that signs checkpoints."""
    keys = orjson.loads(data)["keys"]
    found = [re.fullmatch(rf"{_PURPOSE}-([1-9][0-9]{{0,8}})", key["kid"]) for key in keys]
    version = 1 + max((int(each[1]) for each in found if each), default=0)
    return orjson.dumps({"keys": [*keys, _generate(version)]}, option=orjson.OPT_INDENT_2) + b"\n"


def _generate(version: int) -> dict[str, str]:
    key = Ed25519PrivateKey.generate()
    material = {"x": _encoded(key.public_key().public_bytes_raw()), "d": _encoded(key.private_bytes_raw())}
    return {"kty": "OKP", "crv": "Ed25519", "kid": f"{_PURPOSE}-{version}", "use": "sig", "alg": "Ed25519", **material}


def _private_key(key: Mapping[str, Any]) -> Ed25519PrivateKey:
    private = Ed25519PrivateKey.from_private_bytes(_decoded(key["d"]))
    if key["crv"] != "Ed25519" or _decoded(key["x"]) != private.public_key().public_bytes_raw():
        raise ValueError("crv, x")
    return private


def _id(key: Mapping[str, Any]) -> str:
    if not isinstance(key["kid"], str):
        raise TypeError("kid")
    return key["kid"]


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
