"""Signed notes (https://c2sp.org/signed-note) with Ed25519, and the checkpoints that they can hold
(https://c2sp.org/tlog-checkpoint): so many events are in a log, and this is the root of the tree of them."""

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519 = b"\x01"


class NoteRefused(ValueError):
    """A note or a key to verify notes with can't be used; the message says why."""


@dataclass(frozen=True)
class Checkpoint:
    """What a log says of itself.

    origin: which log it is.
    size:   how many events it has.
    root:   of the Merkle tree of these, 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises NoteRefused. Lines beyond the third are nothing of ours, and may be there."""
        found = re.fullmatch(r"(.+)\n(0|[1-9][0-9]{0,17})\n(.+)\n(?:.+\n)*", text)
        root = _decoded(found[3]) if found else b""
        if found is None or len(root) != 32:
            raise NoteRefused("it is no checkpoint: an origin, a size and a root hash, each on its line")
        return cls(found[1], int(found[2]), root)


@dataclass(frozen=True)
class NoteVerifier:
    """A key that notes are verified with. Key names have neither spaces nor plus signs."""

    name: str
    key: bytes

    @property
    def key_id(self) -> bytes:
        return _key_id(self.name, self.key)

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """From a line as `name+id+key`. Raises NoteRefused."""
        name, _, rest = vkey.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        data = _decoded(encoded)
        verifier = cls(name, data[1:])
        if len(data) != 33 or data[:1] != _ED25519 or key_id != verifier.key_id.hex():
            raise NoteRefused("it is no verifier key for Ed25519: a name, eight digits and a key, with + between them")
        return verifier

    def vkey(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64encode(_ED25519 + self.key).decode()}"

    def accepts(self, text: str, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class SignedNote:
    """A text that ends with a newline, and its signatures as they came: name, id of the key, signature."""

    text: str
    signatures: Sequence[tuple[str, bytes, bytes]]

    def signed_by(self, verifiers: Sequence[NoteVerifier]) -> NoteVerifier:
        """Who of these has signed it; others' signatures are not looked at. Raises NoteRefused."""
        found = [
            (verifier, verifier.accepts(self.text, signature))
            for name, key_id, signature in self.signatures
            for verifier in verifiers
            if (name, key_id) == (verifier.name, verifier.key_id)
        ]
        if not found:
            raise NoteRefused("it is not signed by a key that is known here")
        if not all(accepted for _, accepted in found):
            raise NoteRefused("its signature is not right: it was altered")
        return found[0][0]


def verifier_of(name: str, key: Ed25519PrivateKey) -> NoteVerifier:
    return NoteVerifier(name, key.public_key().public_bytes_raw())


def sign_note(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """The note of a text that ends with a newline."""
    key_id = verifier_of(name, key).key_id
    return f"{text}\n— {name} {b64encode(key_id + key.sign(text.encode())).decode()}\n"


def parse_notes(data: bytes) -> list[SignedNote]:
    """The notes in a file that may have several, with an empty line between them; their texts must have none.
    Raises NoteRefused."""
    try:
        text = data.decode()
    except UnicodeError:
        raise NoteRefused("it is not in UTF-8") from None
    if re.search(r"[\x00-\x09\x0b-\x1f]", text):
        raise NoteRefused("it has control characters in it")
    parts = re.split(r"\n{2,}", text.strip("\n"))
    if len(parts) % 2:
        raise NoteRefused("it is no signed note: a text, an empty line, and the lines of its signatures")
    return [
        SignedNote(f"{text}\n", [_signature(line) for line in signatures.split("\n")])
        for text, signatures in zip(parts[::2], parts[1::2], strict=True)
    ]


def _signature(line: str) -> tuple[str, bytes, bytes]:
    found = re.fullmatch(r"— ([^\s+]+) (\S+)", line)
    data = _decoded(found[2]) if found else b""
    if found is None or len(data) <= 4:
        raise NoteRefused("a line of its signatures is not as it should be: a dash, a name, and base64")
    return found[1], data[:4], data[4:]


def _key_id(name: str, key: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + key).digest()[:4]


def _decoded(text: str) -> bytes:
    """The bytes of base64 as RFC 4648, 4 has it, to the last bit; nothing where it is anything else."""
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        return b""
    return data if b64encode(data).decode() == text else b""
