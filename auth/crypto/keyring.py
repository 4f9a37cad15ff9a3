"""The server's own keys: a JWK Set (RFC 7517, 5) in one file, each key with the purpose it serves.

Every purpose has versions, newest last: the newest makes, older ones still check. A key's id (`kid`) is its purpose
and its version, `credential-hashing-1`; what was made under a key is stored with that id.

A key may say from when it makes (`nbf`), in seconds since 1970: every process, and whoever checks tokens, knows it
before the first thing made with it. A signing key may say until when its signatures are believed (`exp`), a symmetric
one that it leaked, and since when nothing is made with it.
"""

import hmac
import re
import secrets
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, TypeVar

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


class Key:
    """What all keys have: from when each makes, and until when that is believed, in seconds since 1970."""

    id: str
    starts_at: int
    ends_at: int | None

    def is_believed(self, now: datetime) -> bool:
        """Whether it has not ended. Also before it starts: another process's clock may be ahead."""
        return self.ends_at is None or now.timestamp() < self.ends_at


AnyKey = TypeVar("AnyKey", bound=Key)

# A key that signs checkpoints is made when the first is wanted.
_NEEDED = [purpose for purpose in Purpose if purpose is not Purpose.CHECKPOINT_SIGNING]


@dataclass(frozen=True)
class SymmetricKey(Key):
    """A symmetric key of 32 bytes, to hash or, for its own purpose, to seal with. One that leaked has an end, after
    which it still checks what was made with it."""

    id: str
    key: bytes
    starts_at: int = 0
    ends_at: int | None = None

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
class SigningKey(Key):
    """An EC P-256 key for ES256 (RFC 7518, 3.4), and from when it signs and until when it is believed."""

    id: str
    key: ECKey
    starts_at: int = 0
    ends_at: int | None = None

    def __repr__(self) -> str:
        return f"SigningKey({self.id})"


@dataclass(frozen=True)
class CheckpointKey(Key):
    """An Ed25519 key that signs checkpoints of the audit log."""

    id: str
    key: Ed25519PrivateKey
    starts_at: int = 0
    ends_at: int | None = None

    def __repr__(self) -> str:
        return f"CheckpointKey({self.id})"


@dataclass(frozen=True)
class Keyring:
    """All keys by id, in the order of the file; build one with `read_keyring` or `generate_keyring`.

    checkpoint_keys: none until the first checkpoint is wanted.
    """

    symmetric_keys: Mapping[str, SymmetricKey]
    signing_keys: Mapping[str, SigningKey]
    checkpoint_keys: Mapping[str, CheckpointKey] = field(default_factory=dict)
    retired: frozenset[str] = frozenset()
    """The ids of keys that are used no more, as far as this process knows."""

    def symmetric_key(self, purpose: Purpose, now: datetime) -> SymmetricKey:
        """The newest symmetric key of a purpose that has started."""
        return newest(_of(purpose, self.symmetric_keys.values()), now)

    def steady_key(self, purpose: Purpose, now: datetime) -> SymmetricKey:
        """The oldest that has not leaked: for what is looked for by its hash, which a rotation must not change."""
        keys = _of(purpose, self.symmetric_keys.values())
        return next((key for key in keys if key.is_believed(now)), keys[-1])

    def signing_key(self, now: datetime) -> SigningKey:
        """The newest signing key that has started."""
        return newest(list(self.signing_keys.values()), now)

    def published_keys(self, now: datetime) -> list[SigningKey]:
        """The signing keys by which a token may be checked."""
        return [key for key in self.signing_keys.values() if key.is_believed(now)]

    def versions(self, purpose: Purpose) -> list[Key]:
        """The keys of a purpose, of whatever kind, the newest last."""
        keys = [*self.symmetric_keys.values(), *self.signing_keys.values(), *self.checkpoint_keys.values()]
        return _of(purpose, keys)

    def knows(self, key_id: str) -> bool:
        """Whether this is a symmetric key of these, or one that was; else another process has keys that this one has
        yet to be given."""
        return key_id in self.symmetric_keys or key_id in self.retired

    def without(self, key_ids: Collection[str]) -> "Keyring":
        """The same but for keys that were retired."""
        return replace(
            self,
            symmetric_keys={id_: key for id_, key in self.symmetric_keys.items() if id_ not in key_ids},
            signing_keys={id_: key for id_, key in self.signing_keys.items() if id_ not in key_ids},
            checkpoint_keys={id_: key for id_, key in self.checkpoint_keys.items() if id_ not in key_ids},
            retired=frozenset(key_ids),
        )

    def check_values(self) -> dict[str, str]:
        """For each key id a value that only the same key gives again, and that tells nothing of the key."""
        values = {id_: key.mac("sealkey key check") for id_, key in self.symmetric_keys.items()}
        values |= {id_: key.key.thumbprint() for id_, key in self.signing_keys.items()}
        return values | {id_: _fingerprint(key.key) for id_, key in self.checkpoint_keys.items()}


def newest(keys: Sequence[AnyKey], now: datetime) -> AnyKey:
    """The newest of the versions that has started; the oldest where the clock is before all of them."""
    return [key for key in keys if key.starts_at <= now.timestamp() or key is keys[0]][-1]


def waits(key: Key, versions: Sequence[Key], now: datetime) -> bool:
    """Whether a key is still to come into use, which it never does where a newer one starts no later."""
    newer = versions[[each.id for each in versions].index(key.id) + 1 :]
    return key.starts_at > now.timestamp() and all(each.starts_at > key.starts_at for each in newer)


def generate_keyring() -> bytes:
    """A new key file: one key for each purpose that must have one."""
    return _written([_generate(purpose, 1) for purpose in _NEEDED])


def read_keyring(data: bytes) -> Keyring:
    """The keys in a key file. Raises KeyringUnreadable."""
    try:
        keys: list[dict[str, Any]] = orjson.loads(data)["keys"]
        hashing = [_symmetric_key(key) for key in keys if key["kty"] == "oct"]
        signing = [_signing_key(key) for key in keys if key["kty"] == "EC"]
        checkpoints = [_checkpoint_key(key) for key in keys if key["kty"] == "OKP"]
    except (ValueError, KeyError, TypeError, JoseError):
        # Not chained: what the parser would quote is key material.
        raise KeyringUnreadable("the key file is not a JWK Set as Sealkey writes it") from None
    _check(hashing, signing)
    _check_ids([*hashing, *signing, *checkpoints])
    return Keyring(_by_id(hashing), _by_id(signing), _by_id(checkpoints))


def add_keys(
    data: bytes,
    purposes: Iterable[Purpose],
    *,
    now: datetime,
    starts_at: datetime,
    ends: Mapping[Purpose, datetime],
    known: Iterable[str] = (),
) -> bytes:
    """The key file with a further key for each of these purposes, which makes from `starts_at`. The older ones of a
    purpose in `ends` end then, or sooner where they already do; signing keys are left out once they have ended. No id
    of `known` is given again. Raises KeyringUnreadable."""
    read_keyring(data)
    keys: list[dict[str, Any]] = orjson.loads(data)["keys"]
    for purpose in purposes:
        ids = [*known, *(key["kid"] for key in keys)]
        version = 1 + max(version_of(id_, purpose) or 0 for id_ in ids)
        keys = [key for key in keys if not _has_ended(key, purpose, now)]
        if purpose in ends:
            _end([key for key in keys if version_of(key["kid"], purpose)], int(ends[purpose].timestamp()))
        keys.append({**_generate(purpose, version), "nbf": int(starts_at.timestamp())})
    return _written(keys)


def remove_key(data: bytes, key_id: str) -> bytes:
    """The key file without one key. Raises KeyringUnreadable where that leaves none of its purpose."""
    kept = _written([key for key in orjson.loads(data)["keys"] if key["kid"] != key_id])
    read_keyring(kept)
    return kept


def purpose_of(key_id: str) -> Purpose | None:
    """The purpose that an id names."""
    return next((purpose for purpose in Purpose if version_of(key_id, purpose)), None)


def version_of(key_id: str, purpose: Purpose) -> int | None:
    """The version that an id of this purpose has."""
    found = re.fullmatch(rf"{purpose}-([1-9][0-9]{{0,8}})", key_id)
    return int(found[1]) if found else None


def _fingerprint(key: Ed25519PrivateKey) -> str:
    return sha256(key.public_key().public_bytes_raw()).hexdigest()


def _by_id(keys: Iterable[AnyKey]) -> dict[str, AnyKey]:
    return {key.id: key for key in keys}


def _of(purpose: Purpose, keys: Iterable[AnyKey]) -> list[AnyKey]:
    return [key for key in keys if key.id.startswith(f"{purpose}-")]


def _has_ended(key: Mapping[str, Any], purpose: Purpose, now: datetime) -> bool:
    """Whether nothing is left that a key is needed for: so it is with what signs tokens, all of which end."""
    if purpose is not Purpose.TOKEN_SIGNING or not version_of(key["kid"], purpose):
        return False
    return int(key.get("exp", now.timestamp() + 1)) <= now.timestamp()


def _end(keys: Iterable[dict[str, Any]], at: int) -> None:
    for key in keys:
        key["exp"] = min(key.get("exp", at), at)


def _written(keys: Sequence[Mapping[str, Any]]) -> bytes:
    return orjson.dumps({"keys": keys}, option=orjson.OPT_INDENT_2) + b"\n"


def _check(hashing: list[SymmetricKey], signing: list[SigningKey]) -> None:
    if any(len(key.key) != 32 for key in hashing):
        raise KeyringUnreadable("a symmetric key does not have 32 bytes")
    if not all(key.key.is_private and key.key.curve_name == "P-256" for key in signing):
        raise KeyringUnreadable("a signing key is not a private key on the curve P-256")
    for purpose in _NEEDED:
        fit: Sequence[SymmetricKey | SigningKey] = signing if purpose is Purpose.TOKEN_SIGNING else hashing
        if not any(key.id.startswith(f"{purpose}-") for key in fit):
            raise KeyringUnreadable(f"there is no {purpose} key")


def _check_ids(keys: Sequence[Key]) -> None:
    ids = [key.id for key in keys]
    for id_ in ids:
        if ids.count(id_) > 1:
            raise KeyringUnreadable(f"two keys have the id {id_}")


def _id(key: Mapping[str, Any]) -> str:
    if not isinstance(key["kid"], str):
        raise TypeError("kid")
    return key["kid"]


def _times(key: Mapping[str, Any]) -> tuple[int, int | None]:
    starts_at, ends_at = key.get("nbf", 0), key.get("exp")
    if type(starts_at) is not int or type(ends_at) not in (int, type(None)):
        raise TypeError("nbf, exp")
    return starts_at, ends_at


def _symmetric_key(key: Mapping[str, Any]) -> SymmetricKey:
    return SymmetricKey(_id(key), _unpadded(key["k"]), *_times(key))


def _signing_key(key: Mapping[str, Any]) -> SigningKey:
    material = {name: value for name, value in key.items() if name not in ("nbf", "exp")}
    return SigningKey(_id(key), ECKey.import_key(material), *_times(key))


def _checkpoint_key(key: Mapping[str, Any]) -> CheckpointKey:
    private = Ed25519PrivateKey.from_private_bytes(_unpadded(key["d"]))
    if key["crv"] != "Ed25519" or _unpadded(key["x"]) != private.public_key().public_bytes_raw():
        raise ValueError("crv, x")
    return CheckpointKey(_id(key), private, *_times(key))


def _generate(purpose: Purpose, version: int) -> dict[str, Any]:
    kid = f"{purpose}-{version}"
    match purpose:
        case Purpose.TOKEN_SIGNING:
            return {**ECKey.generate_key("P-256").as_dict(private=True), "kid": kid, "use": "sig", "alg": "ES256"}
        case Purpose.CHECKPOINT_SIGNING:
            return {"kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "alg": "Ed25519", **_generate_ed25519()}
    return {"kty": "oct", "kid": kid, "k": _padless(secrets.token_bytes(32))}


def _generate_ed25519() -> dict[str, str]:
    """RFC 8037, 2."""
    key = Ed25519PrivateKey.generate()
    return {"x": _padless(key.public_key().public_bytes_raw()), "d": _padless(key.private_bytes_raw())}


def _padless(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _unpadded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
