"""The server's own keys: a JWK Set (RFC 7517, 5) in one file, each key with the purpose it serves.

Every purpose has versions, newest last: the newest makes, older ones still check. A key's id (`kid`) is its purpose
and its version, `credential-hashing-1`; what was made under a key is stored with that id.

Signing keys may say from when they sign (`nbf`) and until when their signatures are believed (`exp`), in seconds since
1970. Before and between, each is published: whoever checks tokens knows a key before the first token signed with it,
and as long as the last.
"""

import hmac
import re
import secrets
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc.errors import JoseError
from joserfc.jwk import ECKey


class KeyringUnreadable(ValueError):
    """The server's keys can't be used; the message says why and what to do, and nothing of the keys."""


class Purpose(StrEnum):
    CREDENTIAL_HASHING = "credential-hashing"
    AUDIT_HASHING = "audit-hashing"
    SEALING = "sealing"
    TOKEN_SIGNING = "token-signing"  # noqa: S105
    CHECKPOINT_SIGNING = "checkpoint-signing"


@dataclass(frozen=True)
class SymmetricKey:
    """A symmetric key of 32 bytes, to hash or, for its own purpose, to seal with."""

    id: str
    key: bytes

    def __repr__(self) -> str:
        return f"SymmetricKey({self.id})"

    def mac(self, domain: str, *parts: bytes) -> str:
        """HMAC-SHA256 in hex over a domain and parts, each preceded by its length (8 bytes, big endian) so that no
        two lists of parts give the same input."""
        message = b"".join(len(part).to_bytes(8, "big") + part for part in (domain.encode(), *parts))
        return hmac.digest(self.key, message, "sha256").hex()

    def seal(self, content: bytes, context: str) -> str:
        """AES-256-GCM in base64, bound to a context; the nonce is random."""
        nonce = secrets.token_bytes(12)
        return b64encode(nonce + AESGCM(self.key).encrypt(nonce, content, context.encode())).decode()

    def open(self, sealed: str, context: str) -> bytes:
        """What was sealed for this context. Raises cryptography's InvalidTag for anything else."""
        data = b64decode(sealed)
        return AESGCM(self.key).decrypt(data[:12], data[12:], context.encode())


@dataclass(frozen=True)
class SigningKey:
    """An EC P-256 key for ES256 (RFC 7518, 3.4), and from when it signs and until when it is believed."""

    id: str
    key: ECKey
    starts_at: int = 0
    ends_at: int | None = None

    def __repr__(self) -> str:
        return f"SigningKey({self.id})"

    def is_believed(self, now: datetime) -> bool:
        """Also before it signs: another process's clock may be ahead."""
        return self.ends_at is None or now.timestamp() < self.ends_at


@dataclass(frozen=True)
class Keyring:
    """All keys by id, in the order of the file; build one with `read_keyring` or `generate_keyring`.

    checkpoint_keys: none until the first checkpoint is wanted.
    """

    symmetric_keys: Mapping[str, SymmetricKey]
    signing_keys: Mapping[str, SigningKey]
    checkpoint_keys: Mapping[str, Ed25519PrivateKey] = field(default_factory=dict)

    def symmetric_key(self, purpose: Purpose) -> SymmetricKey:
        """The newest symmetric key of a purpose."""
        return [key for key in self.symmetric_keys.values() if key.id.startswith(f"{purpose}-")][-1]

    def signing_key(self, now: datetime) -> SigningKey:
        """The newest signing key that has started."""
        keys = list(self.signing_keys.values())
        return [key for key in keys if key.starts_at <= now.timestamp() or key is keys[0]][-1]

    def published_keys(self, now: datetime) -> list[SigningKey]:
        """The signing keys by which a token may be checked."""
        return [key for key in self.signing_keys.values() if key.is_believed(now)]

    def check_values(self) -> dict[str, str]:
        """For each key id a value that only the same key gives again, and that tells nothing of the key."""
        values = {id_: key.mac("sealkey key check") for id_, key in self.symmetric_keys.items()}
        return values | {id_: key.key.thumbprint() for id_, key in self.signing_keys.items()}


def generate_keyring() -> bytes:
    """A new key file: one key for each purpose."""
    symmetric = (Purpose.CREDENTIAL_HASHING, Purpose.AUDIT_HASHING, Purpose.SEALING)
    keys = [*(_symmetric(purpose) for purpose in symmetric), _signing()]
    return orjson.dumps({"keys": keys}, option=orjson.OPT_INDENT_2) + b"\n"


def read_keyring(data: bytes) -> Keyring:
    """The keys in a key file. Raises KeyringUnreadable."""
    try:
        keys: list[dict[str, Any]] = orjson.loads(data)["keys"]
        hashing = [SymmetricKey(_id(key), _unpadded(key["k"])) for key in keys if key["kty"] == "oct"]
        signing = [_signing_key(key) for key in keys if key["kty"] == "EC"]
        checkpoints = {_id(key): _checkpoint_key(key) for key in keys if key["kty"] == "OKP"}
    except (ValueError, KeyError, TypeError, JoseError):
        # Not chained: what the parser would quote is key material.
        raise KeyringUnreadable("the key file is not a JWK Set as Sealkey writes it") from None
    _check(hashing, signing)
    return Keyring({key.id: key for key in hashing}, {key.id: key for key in signing}, checkpoints)


def add_checkpoint_key(data: bytes) -> bytes:
    """The key file with a further key that signs checkpoints. Raises KeyringUnreadable."""
    read_keyring(data)
    keys: list[dict[str, Any]] = orjson.loads(data)["keys"]
    version = 1 + max(version_of(key["kid"], Purpose.CHECKPOINT_SIGNING) or 0 for key in keys)
    return orjson.dumps({"keys": [*keys, _checkpoint(version)]}, option=orjson.OPT_INDENT_2) + b"\n"


def rotate_signing_key(data: bytes, *, now: datetime, starts_at: datetime, older_end_at: datetime) -> bytes:
    """The key file with a further signing key, which signs from `starts_at`. The older ones end at `older_end_at`, or
    sooner where they already do, and are left out once they have. Raises KeyringUnreadable."""
    read_keyring(data)
    keys: list[dict[str, Any]] = orjson.loads(data)["keys"]
    version = 1 + max(version_of(key["kid"], Purpose.TOKEN_SIGNING) or 0 for key in keys)
    kept = [key for key in keys if key["kty"] != "EC" or key.get("exp", now.timestamp() + 1) > now.timestamp()]
    ends_at = int(older_end_at.timestamp())
    for key in kept:
        if key["kty"] == "EC":
            key["exp"] = min(key.get("exp", ends_at), ends_at)
    new = {**_signing(version), "nbf": int(starts_at.timestamp())}
    return orjson.dumps({"keys": [*kept, new]}, option=orjson.OPT_INDENT_2) + b"\n"


def version_of(key_id: str, purpose: Purpose) -> int | None:
    """The version that an id of this purpose has."""
    found = re.fullmatch(rf"{purpose}-([1-9][0-9]{{0,8}})", key_id)
    return int(found[1]) if found else None


def _check(hashing: list[SymmetricKey], signing: list[SigningKey]) -> None:
    if any(len(key.key) != 32 for key in hashing):
        raise KeyringUnreadable("a symmetric key does not have 32 bytes")
    if not all(key.key.is_private and key.key.curve_name == "P-256" for key in signing):
        raise KeyringUnreadable("a signing key is not a private key on the curve P-256")
    # Those that sign checkpoints are made when the first is wanted.
    for purpose in [purpose for purpose in Purpose if purpose is not Purpose.CHECKPOINT_SIGNING]:
        fit: Sequence[SymmetricKey | SigningKey] = signing if purpose is Purpose.TOKEN_SIGNING else hashing
        if not any(key.id.startswith(f"{purpose}-") for key in fit):
            raise KeyringUnreadable(f"there is no {purpose} key")
    ids = [key.id for key in hashing] + [key.id for key in signing]
    for id_ in ids:
        if ids.count(id_) > 1:
            raise KeyringUnreadable(f"two keys have the id {id_}")


def _id(key: Mapping[str, Any]) -> str:
    if not isinstance(key["kid"], str):
        raise TypeError("kid")
    return key["kid"]


def _signing_key(key: Mapping[str, Any]) -> SigningKey:
    starts_at, ends_at = key.get("nbf", 0), key.get("exp")
    if type(starts_at) is not int or type(ends_at) not in (int, type(None)):
        raise TypeError("nbf, exp")
    material = {name: value for name, value in key.items() if name not in ("nbf", "exp")}
    return SigningKey(_id(key), ECKey.import_key(material), starts_at, ends_at)


def _checkpoint_key(key: Mapping[str, Any]) -> Ed25519PrivateKey:
    private = Ed25519PrivateKey.from_private_bytes(_unpadded(key["d"]))
    if key["crv"] != "Ed25519" or _unpadded(key["x"]) != private.public_key().public_bytes_raw():
        raise ValueError("crv, x")
    return private


def _symmetric(purpose: Purpose) -> dict[str, str]:
    return {"kty": "oct", "kid": f"{purpose}-1", "k": _padless(secrets.token_bytes(32))}


def _checkpoint(version: int) -> dict[str, str]:
    """RFC 8037, 2."""
    key = Ed25519PrivateKey.generate()
    x, d = _padless(key.public_key().public_bytes_raw()), _padless(key.private_bytes_raw())
    kid = f"{Purpose.CHECKPOINT_SIGNING}-{version}"
    return {"kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "alg": "Ed25519", "x": x, "d": d}


def _signing(version: int = 1) -> dict[str, Any]:
    kid = f"{Purpose.TOKEN_SIGNING}-{version}"
    return {**ECKey.generate_key("P-256").as_dict(private=True), "kid": kid, "use": "sig", "alg": "ES256"}


def _padless(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _unpadded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
