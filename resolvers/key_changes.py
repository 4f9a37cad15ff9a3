"""Adding keys of the server's and taking them out of use, in the file that its processes share."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from auth.crypto.key_sealing import Sealing
from auth.crypto.keyring import Key, Keyring, Purpose, add_keys, newest, purpose_of, read_keyring, remove_key, waits
from auth.crypto.keyring_file import locked_keyring, replace_keyring
from models.database import transaction
from models.instants import write_instant
from models.server_key import ServerKey
from resolvers.audit import EventType, record
from resolvers.caller import Caller
from resolvers.credentials import revoke_hashed_under
from resolvers.key_purposes import use_of, what_needs
from resolvers.server_keys import remember_keys

# The longest that an access token can live by any setting there may have been, and what clocks may differ by.
BELIEVED_AFTERWARDS = timedelta(days=1, minutes=5)
# After a newer key has started some process may make something under the older one still: what clocks may differ by.
SETTLED_AFTER = timedelta(minutes=5)


class RotationRefused(Exception):
    """The keys can't be changed like that now; the message says why and what to do."""


@dataclass(frozen=True)
class KeyFile:
    """Where the keys are, and how they are sealed there."""

    path: Path
    sealing: Sealing


@dataclass(frozen=True)
class Rotation:
    """The keys that were added, and the older ones of their purposes."""

    newest: list[Key]
    older: list[Key]


async def rotate_keys(
    caller: Caller, file: KeyFile, purposes: Collection[Purpose], *, starts_in: timedelta, drops_older: bool
) -> Rotation:
    """Adds a key for each purpose to the file, to be used by every process from the same instant on. Older signing
    keys are believed for as long as tokens of theirs may live. With `drops_older` each older key ends when the new one
    starts: a signing key is believed no more, another one still checks what was made with it.

    Raises RotationRefused, KeyringUnreadable."""
    starts_at = (caller.now + starts_in).replace(microsecond=0)
    known = [key.id for key in await ServerKey.all()]
    with locked_keyring(file.path, file.sealing) as data:
        before = read_keyring(data)
        purposes = [purpose for purpose in purposes if before.versions(purpose)]
        if not purposes:
            raise RotationRefused(
                "There is no such key yet: `sealkey audit checkpoint` makes it when it is first wanted."
            )
        if not drops_older:
            _check_none_waits(caller, before, purposes)
        if drops_older:
            ends = dict.fromkeys(purposes, starts_at)
        else:
            ends = {Purpose.TOKEN_SIGNING: starts_at + BELIEVED_AFTERWARDS}
        changed = add_keys(data, purposes, now=caller.now, starts_at=starts_at, ends=ends, known=known)
        after = read_keyring(changed)
        versions = [after.versions(purpose) for purpose in purposes]
        sealed = file.sealing.seal(changed)  # which may take a while, and nobody is to wait for
        async with transaction():
            await remember_keys(caller, after)
            # Last of all: where the file can't be written, nothing else is. Where this is killed before all else is
            # certain, whoever reads the file next sees to the rest.
            replace_keyring(file.path, sealed)
    return Rotation([added for *_, added in versions], [key for *older, _ in versions for key in older])


async def retire_key(caller: Caller, file: KeyFile, key_id: str, *, forced: bool) -> int:
    """Takes a key that nothing needs any more out of use for good, and out of the file. A hashing key of credentials
    that some still need, and a key that was lost, goes only where it is forced: these credentials are revoked
    (KEY_COMPROMISE), and their number is answered. Raises RotationRefused, KeyringUnreadable."""
    revoked = 0
    with locked_keyring(file.path, file.sealing) as data:
        keyring = read_keyring(data)
        is_lost = key_id not in keyring.check_values()
        await _check_retirable(caller, keyring, key_id, is_lost=is_lost, forced=forced)
        sealed = file.sealing.seal(data if is_lost else remove_key(data, key_id))  # which may fail: before all else
        if forced and purpose_of(key_id) is Purpose.CREDENTIAL_HASHING:
            revoked = await revoke_hashed_under(caller, key_id)
        elif not (forced and is_lost) and (needs := await what_needs(key_id, caller.now)):
            raise RotationRefused(f"{key_id} is needed by {needs} still{use_of(key_id).advice}")
        async with transaction():
            told = f"The server key {key_id} was retired{', being lost' if is_lost else ''}"
            if await ServerKey.filter(id=key_id, retired_at__isnull=True).update(retired_at=caller.now):
                await record(caller, EventType.SERVER_KEY_RETIRED, told, account_id=None)
        # Once that is certain: a key that is retired and in the file does nothing, one that is neither is missing.
        replace_keyring(file.path, sealed)
    return revoked


def _check_none_waits(caller: Caller, keyring: Keyring, purposes: Collection[Purpose]) -> None:
    for purpose in purposes:
        versions = keyring.versions(purpose)
        for key in versions:
            if waits(key, versions, caller.now):
                does, at = use_of(key.id).verb, write_instant(_start_of(key))
                raise RotationRefused(f"{key.id} was added before and does not {does} yet: wait until {at}.")


def _start_of(key: Key) -> datetime:
    return datetime.fromtimestamp(key.starts_at, UTC)


async def _check_retirable(caller: Caller, keyring: Keyring, key_id: str, *, is_lost: bool, forced: bool) -> None:
    known = await ServerKey.get_or_none(id=key_id)
    purpose = purpose_of(key_id)
    if known is None or purpose is None:
        raise RotationRefused(f"There is no key {key_id}: `sealkey keys list` shows those that there are.")
    if purpose is Purpose.CHECKPOINT_SIGNING and not (is_lost and forced):
        raise RotationRefused(f"{key_id} stays: the checkpoints that it signed are verified with it.")
    if is_lost:
        if known.retired_at:
            raise RotationRefused(f"{key_id} was retired before, at {write_instant(known.retired_at)}.")
        return
    versions = keyring.versions(purpose)
    current = newest(versions, caller.now)
    ids = [key.id for key in versions]
    old, *newer = versions[ids.index(key_id) :]
    # Not the newest: a key that was superseded long before need not wait again for each rotation.
    successor = min(newer, key=lambda key: key.starts_at, default=None)
    if successor is None or ids.index(key_id) >= ids.index(current.id):
        state = f"{key_id} is {'in use' if key_id == current.id else 'to be used'}"
        if successor is not None:
            at = write_instant(_start_of(successor))
            raise RotationRefused(f"{state}: {successor.id} takes over at {at}, and it can retire after that.")
        raise RotationRefused(
            f"{state}: `sealkey keys rotate --purpose {purpose}` adds another, and it can retire once that is in use."
        )
    settled_at = _start_of(successor) + SETTLED_AFTER
    if caller.now < settled_at:
        # Also where it is forced: what a process whose clock is behind still makes under it would be lost.
        raise RotationRefused(
            f"{successor.id} has only just come into use, and something may be made under {key_id} still, by a clock "
            f"that is behind: retire it from {write_instant(settled_at)} on."
        )
    if purpose is Purpose.TOKEN_SIGNING and old.is_believed(caller.now):
        raise RotationRefused(
            f"Tokens that {key_id} signed are believed still; `sealkey keys list` shows how long. After a leak, "
            "`sealkey keys rotate --compromised` ends them."
        )
