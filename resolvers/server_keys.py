"""The server's keys as its processes hold them. Keys and database belong together, which is noticed at start and not at
the first login; and a key that was added to the file is in use everywhere without a restart."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from auth.crypto.keyring import (
    Keyring,
    KeyringUnreadable,
    Purpose,
    SigningKey,
    read_keyring,
    rotate_signing_key,
    version_of,
)
from auth.crypto.keyring_file import load_keyring, locked_keyring, read_keyring_file, replace_keyring, stamp
from models.database import transaction
from models.instants import write_instant
from models.server_key import ServerKey
from resolvers.audit import EventType, record
from resolvers.caller import Caller

# The longest that an access token can live by any setting there may have been, and what clocks may differ by.
BELIEVED_AFTERWARDS = timedelta(days=1, minutes=5)


class RotationRefused(Exception):
    """The keys can't be rotated now; the message says why."""


class KeysInFile:
    """The keys of a file, made if there is none; read again once it was replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = stamp(path)
        self.keyring = load_keyring(path)

    async def follow(self, now: datetime) -> None:
        """Takes what the file has now. What is wrong changes nothing. Raises KeyringUnreadable, once for each file."""
        newest = stamp(self._path)
        if newest == self._stamp:
            return
        try:
            keyring = read_keyring_file(self._path)
            await confirm_keys(keyring, now)
        except KeyringUnreadable:
            self._stamp = newest
            raise
        self.keyring, self._stamp = keyring, newest


class GivenKeys:
    """Keys that came with the settings and stay as they are."""

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring

    async def follow(self, now: datetime) -> None:
        pass


@dataclass(frozen=True)
class Rotation:
    """The signing key that was added, and those before it that are left."""

    newest: SigningKey
    older: list[SigningKey]


async def rotate_signing(caller: Caller, path: Path, *, starts_in: timedelta, drops_older: bool) -> Rotation:
    """Adds a signing key to the file. The ones before it are believed for as long as tokens of theirs may live; where
    they are to be dropped, until the new one starts. Raises RotationRefused, KeyringUnreadable."""
    starts_at = (caller.now + starts_in).replace(microsecond=0)
    older_end_at = starts_at if drops_older else starts_at + BELIEVED_AFTERWARDS
    with locked_keyring(path) as data:
        waiting = [key for key in read_keyring(data).signing_keys.values() if key.starts_at > caller.now.timestamp()]
        if waiting and not drops_older:
            raise RotationRefused(f"{waiting[-1].id} was added before and does not sign yet: wait until it does.")
        changed = rotate_signing_key(data, now=caller.now, starts_at=starts_at, older_end_at=older_end_at)
        *older, newest = read_keyring(changed).signing_keys.values()
        async with transaction():
            await record(
                caller,
                EventType.SERVER_KEY_ADDED,
                f"The server key {newest.id} was added, to sign from {write_instant(starts_at)}",
                account_id=None,
            )
            # After the event: where the file can't be written, neither is the event.
            replace_keyring(path, changed)
    return Rotation(newest, older)


async def confirm_keys(keyring: Keyring, now: datetime) -> None:
    """Remembers new keys, and compares the others with what is remembered. Raises KeyringUnreadable."""
    given = keyring.check_values()
    async with transaction() as connection:
        # Two processes that start at once agree on who writes the rows.
        if connection.capabilities.dialect == "postgres":
            await connection.execute_query("LOCK TABLE server_keys IN SHARE ROW EXCLUSIVE MODE")
        known = {key.id: key.check_value for key in await ServerKey.all()}
        for key_id, check_value in known.items():
            if given.get(key_id) != check_value and not _has_ended(key_id, given):
                raise KeyringUnreadable(
                    f"the database was set up with another {key_id} key: give the server the keys it had"
                )
        for key_id in given.keys() - known.keys():
            await ServerKey.create(id=key_id, check_value=given[key_id], created_at=now)


def _has_ended(key_id: str, given: Mapping[str, str]) -> bool:
    """Signing keys are left out of the file in the end, when newer ones are there: nothing that is kept needs them."""
    version = version_of(key_id, Purpose.TOKEN_SIGNING)
    newer = [version_of(other, Purpose.TOKEN_SIGNING) or 0 for other in given]
    return key_id not in given and version is not None and version < max(newer)
