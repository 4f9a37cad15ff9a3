"""Checkpoints of audit chains, which are kept elsewhere: whoever has one sees when a chain was cut or rewritten since,
even by somebody with all of the server's keys.

A chain's tree has the hash of each event for a leaf, 32 bytes, in the order of their sequence.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from auth.crypto.keyring import CheckpointKey, Keyring, Purpose, add_keys, newest, read_keyring
from auth.crypto.keyring_file import locked_keyring, replace_keyring
from auth.crypto.signed_note import (
    Checkpoint,
    NoteRefused,
    NoteVerifier,
    SignedNote,
    parse_notes,
    sign_note,
    verifier_of,
)
from models.database import transaction
from models.server_key import ServerKey
from resolvers.audit_chains import chain_name, chain_of_name
from resolvers.audit_verification import Verified
from resolvers.caller import Caller
from resolvers.key_changes import KeyFile
from resolvers.server_keys import remember_keys


class CheckpointRefused(Exception):
    """A checkpoint can't be made or used; the message says why."""


def origin(issuer: str, chain_id: str) -> str:
    """What a chain's checkpoints and the key that signs them are called: its address, without the scheme."""
    address = urlsplit(issuer)
    return f"{address.netloc}{address.path.rstrip('/')}/audit/{chain_name(chain_id)}"


def signing_key(keyring: Keyring, now: datetime) -> CheckpointKey | None:
    """The newest key that signs checkpoints."""
    keys = [*keyring.checkpoint_keys.values()]
    return newest(keys, now) if keys else None


async def make_signing_key(caller: Caller, file: KeyFile) -> Keyring:
    """Adds a key that signs checkpoints to the key file, unless it has one by now, and answers what is in it then."""
    with locked_keyring(file.path, file.sealing) as data:
        known = await ServerKey.all()
        keyring = read_keyring(data).without([key.id for key in known if key.retired_at])
        if keyring.checkpoint_keys:
            return keyring
        purpose, now = Purpose.CHECKPOINT_SIGNING, caller.now
        changed = add_keys(data, [purpose], now=now, starts_at=now, ends={}, known=[key.id for key in known])
        keyring = read_keyring(changed)
        sealed = file.sealing.seal(changed)  # which may take a while, and nobody is to wait for
        async with transaction():
            await remember_keys(caller, keyring)
            # After the event: where the file can't be written, neither is the event.
            replace_keyring(file.path, sealed)
    return keyring


def sign_checkpoint(key: CheckpointKey, issuer: str, chain_id: str, verified: Verified) -> str:
    """The note that tells what a chain is now, which must have been verified."""
    name = origin(issuer, chain_id)
    return sign_note(Checkpoint(name, verified.size, verified.root).text(), name, key.key)


def read_checkpoints(
    files: Sequence[Path], keyring: Keyring, verifiers: Sequence[NoteVerifier]
) -> Mapping[str, list[Checkpoint]]:
    """The checkpoints in files, by chain, signed by one of the verifiers, or of the server's own keys where there are
    none. Raises CheckpointRefused and OSError."""
    found: dict[str, list[Checkpoint]] = {}
    for file in files:
        try:
            notes = parse_notes(file.read_bytes())
            checkpoints = [_checkpoint(note, keyring, verifiers) for note in notes]
        except NoteRefused as refused:
            raise CheckpointRefused(f"{file}: {refused}.") from None
        for chain_id, checkpoint in checkpoints:
            found.setdefault(chain_id, []).append(checkpoint)
    return found


def read_verifiers(file: Path) -> list[NoteVerifier]:
    """The keys in a file, one on each line. Raises CheckpointRefused and OSError."""
    try:
        found = [NoteVerifier.parse(line) for line in file.read_text().splitlines() if line.strip()]
    except NoteRefused as refused:
        raise CheckpointRefused(f"{file}: {refused}.") from None
    if not found:
        raise CheckpointRefused(f"{file}: there is no key in it.")
    return found


def _checkpoint(note: SignedNote, keyring: Keyring, verifiers: Sequence[NoteVerifier]) -> tuple[str, Checkpoint]:
    checkpoint = Checkpoint.parse(note.text)
    own = [verifier_of(checkpoint.origin, key.key) for key in keyring.checkpoint_keys.values()]
    named = [verifier for verifier in verifiers if verifier.name == checkpoint.origin]
    note.signed_by(named if verifiers else own)
    chain_id = chain_of_name(checkpoint.origin.rpartition("/")[2])
    if chain_id is None:
        raise NoteRefused("it is of no log of this server")
    return chain_id, checkpoint
