"""The server's keys as its processes hold them. Keys and database belong together, which is noticed at start and not at
the first login; and a key that was added to the file, or retired, is so everywhere without a restart."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from auth.crypto.key_sealing import Sealing, Unsealed
from auth.crypto.keyring import Keyring, KeyringUnreadable, Purpose, purpose_of, version_of
from auth.crypto.keyring_file import Stamp, load_keyring, read_keyring_file, stamp
from models.database import transaction
from models.instants import write_instant
from models.server_key import ServerKey
from resolvers.audit import EventType, Happened, record_all
from resolvers.caller import Caller
from resolvers.key_purposes import use_of, what_needs

# Keys are compared with the database again: a copy of the file, which nobody has replaced, may lack one by now.
_ASK_AGAIN = timedelta(minutes=1)


class GivenKeys:
    """Keys that came with the settings and stay as they are, but for those that are retired."""

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = self._given = keyring
        self._disagreement: str | None = None
        self._asks_again_at: datetime | None = None

    @property
    def trouble(self) -> str | None:
        """What is wrong with the keys by what the database knows; None: nothing. What can't be checked for it is
        answered so, and all else is served."""
        return self._disagreement

    async def confirm(self, caller: Caller, *, some_lost: bool = False, remembers: bool = True) -> None:
        """Compares them with what the database knows, of which some may be lost, and has it remember those that are
        new. Raises KeyringUnreadable."""
        self._asks_again_at = caller.now + _ASK_AGAIN
        self.keyring = await confirm_keys(caller, self._given, some_lost=some_lost, remembers=remembers)

    async def follow(self, caller: Caller) -> None:
        """Looks again at what the database knows. Raises KeyringUnreadable, once for each thing that is wrong."""
        if self._asks_again_at is not None and caller.now < self._asks_again_at:
            return
        told = self._disagreement
        try:
            await self.confirm(caller)
        except KeyringUnreadable as error:
            self._disagreement = str(error)
            if told != self._disagreement:
                raise
        else:
            self._disagreement = None


class KeysInFile(GivenKeys):
    """The keys of a file; read again once it was replaced."""

    def __init__(self, path: Path, sealing: Sealing | None = None) -> None:
        """Raises KeyringUnreadable."""
        self._path, self._sealing = path, sealing or Unsealed()
        self._stamp = self._stamp_now()
        self._not_taken: str | None = None
        # What was opened and could not be compared with the database: to open it again may take a while, or cost.
        self._opened: tuple[Any, Keyring] | None = None
        self._tries_again_at = datetime.min.replace(tzinfo=UTC)
        self._looking = asyncio.Lock()
        super().__init__(read_keyring_file(path, self._sealing))

    @property
    def trouble(self) -> str | None:
        """What is wrong with the file, or with the keys that are used in its place; None: nothing."""
        return self._not_taken or super().trouble

    async def follow(self, caller: Caller) -> None:
        """Takes what the file has now. What is wrong changes nothing. Raises KeyringUnreadable, once for each file."""
        async with self._looking:
            await self._follow(caller)

    def _stamp_now(self) -> tuple[Stamp | None, Stamp | None]:
        """Of the file, and of what opens it: where both are replaced, either may be the first."""
        opened_with = self._sealing.opened_with
        return stamp(self._path), stamp(opened_with) if opened_with else None

    async def _follow(self, caller: Caller) -> None:
        newest, told = self._stamp_now(), self._not_taken
        if newest == self._stamp and (told is None or caller.now < self._tries_again_at):
            await super().follow(caller)
            return
        try:
            if self._opened is None or self._opened[0] != newest:
                # Opening one that is sealed takes a while, during which this process serves.
                self._opened = newest, await asyncio.to_thread(read_keyring_file, self._path, self._sealing)
            _, given = self._opened
            self.keyring, self._given = await confirm_keys(caller, given), given
        except KeyringUnreadable as error:
            # It may be what opens the file that failed, or its mode that was wrong: so it is tried again.
            is_new = (newest, str(error)) != (self._stamp, told)
            self._stamp, self._not_taken, self._tries_again_at = newest, str(error), caller.now + _ASK_AGAIN
            if is_new:
                raise
            return
        self._stamp, self._not_taken, self._disagreement, self._opened = newest, None, None, None


async def set_up_with_keys(path: Path, sealing: Sealing, now: datetime) -> None:
    """Sets a database that knows no keys up with those of the file, which is made where there is none. Once it knows
    some, others that were made would be wrong: of several servers that start at once, on however many machines, one
    makes a file. Raises KeyringUnreadable."""
    if await ServerKey.exists():
        return
    async with _writing_down():
        if not await ServerKey.exists():
            # The file first: what is in it alone, the next to start writes down; what is in the database alone is lost.
            await _write_down(load_keyring(path, sealing).check_values(), now)


async def confirm_made(path: Path) -> None:
    """That there were keys once, where there is no file of them. Raises KeyringUnreadable."""
    if stamp(path) is None and not await ServerKey.exists():
        raise KeyringUnreadable(
            f"{path} is not there, and no keys were made for this database yet: `sealkey serve` makes them when it "
            "first starts, and so does `sealkey operator create`"
        )


async def check_the_same(keyring: Keyring) -> None:
    """That no key is another one than the database knows by its id. Raises KeyringUnreadable."""
    _check_the_same(keyring.check_values(), {key.id: key.check_value for key in await ServerKey.all()})


async def confirm_keys(caller: Caller, keyring: Keyring, *, some_lost: bool = False, remembers: bool = True) -> Keyring:
    """Remembers new keys, unless nothing is to be written, and compares the others with what is remembered, of which
    some may be lost. The keys without those that were retired. Raises KeyringUnreadable."""
    given = keyring.check_values()
    known = await ServerKey.all()
    _check_the_same(given, {key.id: key.check_value for key in known})
    if not some_lost:
        await _check_none_lost(given, known, caller.now)
    if remembers and given.keys() - {key.id for key in known}:
        await remember_keys(caller, keyring)
    return keyring.without([key.id for key in known if key.retired_at])


async def remember_keys(caller: Caller, keyring: Keyring) -> None:
    """Writes down the check values of those keys that are new, and tells of those that were added to others: whoever
    adds one to the key file, and, where that was killed in between, whoever finds it there.

    Raises KeyringUnreadable."""
    given = keyring.check_values()
    async with _writing_down():
        known = {key.id: key.check_value for key in await ServerKey.all()}
        _check_the_same(given, known)
        added = {key_id: value for key_id, value in given.items() if key_id not in known}
        await _write_down(added, caller.now)
        if added and known:
            happened = [Happened(EventType.SERVER_KEY_ADDED, _added(keyring, key_id)) for key_id in added]
            await record_all(caller, happened, account_id=None)


@asynccontextmanager
async def _writing_down() -> AsyncIterator[None]:
    """A transaction. Two processes that start at once agree on who writes the rows."""
    async with transaction() as connection:
        if connection.capabilities.dialect == "postgres":
            await connection.execute_query("LOCK TABLE server_keys IN SHARE ROW EXCLUSIVE MODE")
        yield


async def _write_down(check_values: Mapping[str, str], now: datetime) -> None:
    for key_id, check_value in check_values.items():
        await ServerKey.create(id=key_id, check_value=check_value, created_at=now)


def _added(keyring: Keyring, key_id: str) -> str:
    purpose = purpose_of(key_id)
    if purpose is Purpose.CHECKPOINT_SIGNING:
        return f"The server key {key_id} was added, to sign checkpoints of the audit log"
    starts_at = next((key.starts_at for key in keyring.versions(purpose) if key.id == key_id), 0) if purpose else 0
    from_then_on = write_instant(datetime.fromtimestamp(starts_at, UTC))
    return f"The server key {key_id} was added, to {use_of(key_id).verb} from {from_then_on}"


async def _check_none_lost(given: Mapping[str, str], known: Iterable[ServerKey], now: datetime) -> None:
    for key in known:
        # Servers sign no checkpoints, and do without a key for that.
        if version_of(key.id, Purpose.CHECKPOINT_SIGNING):
            continue
        if key.id not in given and key.retired_at is None and not _has_ended(key.id, given):
            needs = await what_needs(key.id, now)
            raise KeyringUnreadable(
                f"the server key {key.id} is missing, which the database knows since {write_instant(key.created_at)}"
                f"{f' and which {needs} can not do without' if needs else ''}: give the server the newest key file, no "
                "copy from before; for a database that was restored, a copy of the key file from the time of the "
                f"backup. Only where no copy has the key any more, `sealkey keys retire {key.id} --force` goes on "
                "without it, and without what it checks"
            )


def _check_the_same(given: Mapping[str, str], known: Mapping[str, str]) -> None:
    other = [key_id for key_id, check_value in given.items() if known.get(key_id, check_value) != check_value]
    if other and len(other) == len(given.keys() & known.keys()):
        raise KeyringUnreadable(
            "the keys are another deployment's: the database was set up with others; give the server the keys it had"
        )
    if other:
        raise KeyringUnreadable(f"the database was set up with another {other[0]} key: give the server the keys it had")


def _has_ended(key_id: str, given: Mapping[str, str]) -> bool:
    """Signing keys are left out of the file in the end, when newer ones are there: nothing that is kept needs them."""
    version = version_of(key_id, Purpose.TOKEN_SIGNING)
    newer = [version_of(other, Purpose.TOKEN_SIGNING) or 0 for other in given]
    return key_id not in given and version is not None and version < max(newer)
