"""The server's keys in words, for the command line."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from auth.crypto.keyring import Key, Keyring, Purpose, newest, purpose_of, waits
from models.instants import write_instant
from models.server_key import ServerKey
from resolvers.key_changes import Rotation
from resolvers.key_purposes import what_needs


async def describe_keys(keyring: Keyring, now: datetime) -> list[tuple[str, str]]:
    """Each key's id, and what it is good for now, since when, and what needs it. Also those that are not there."""
    known = {key.id: key for key in await ServerKey.all().order_by("created_at", "id")}
    lines = []
    for key_id, state in _states(keyring, now):
        row = known.pop(key_id, None)
        retired = f"retired at {write_instant(row.retired_at)}, not used" if row and row.retired_at else None
        needs = await what_needs(key_id, now)
        lines.append((key_id, (retired or state) + (f"; {needs} need{_s(needs)} it" if needs else "")))
    for key_id in [key.id for key in known.values() if not key.retired_at]:
        needs = await what_needs(key_id, now)
        lines.append((key_id, "not in the file" + (f"; {needs} need{_s(needs)} it" if needs else "")))
    return lines


def describe_rotation(rotation: Rotation, now: datetime) -> Iterator[str]:
    """What was added, and what becomes of those before."""
    for key in rotation.newest:
        yield f"{key.id} {_does(key)} from {_instant(key.starts_at)}."
    for key in rotation.older:
        if _signs(key):
            yield f"{key.id} is believed until {_instant(key.ends_at or 0)}."
        else:
            yield f"{key.id} {_serves(key)} what was made with it. `sealkey keys list` shows what needs it still."


def _states(keyring: Keyring, now: datetime) -> Iterator[tuple[str, str]]:
    for purpose in Purpose:
        versions = keyring.versions(purpose)
        for key in versions:
            yield key.id, _state(key, versions, now)


def _state(key: Key, versions: Sequence[Key], now: datetime) -> str:
    if not _signs(key):
        return _use(key, versions, now) + (", leaked" if key.ends_at else "")
    if not key.is_believed(now):
        return f"ended {_instant(key.ends_at or 0)}"
    return _use(key, versions, now) + (f", is believed until {_instant(key.ends_at)}" if key.ends_at else "")


def _use(key: Key, versions: Sequence[Key], now: datetime) -> str:
    if key is newest(versions, now):
        return _does(key) + (f" since {_instant(key.starts_at)}" if key.starts_at else "")
    if waits(key, versions, now):
        return f"{_does(key)} from {_instant(key.starts_at)}"
    return "checks what it signed" if _signs(key) else f"{_serves(key)} what was made with it"


def _signs(key: Key) -> bool:
    return purpose_of(key.id) is Purpose.TOKEN_SIGNING


def _does(key: Key) -> str:
    if purpose_of(key.id) is Purpose.CHECKPOINT_SIGNING:
        return "signs checkpoints"
    return "signs" if _signs(key) else "in use"


def _serves(key: Key) -> str:
    return "opens" if purpose_of(key.id) is Purpose.SEALING else "checks"


def _s(needs: str) -> str:
    return "s" if needs.startswith("1 ") else ""


def _instant(seconds: int) -> str:
    return write_instant(datetime.fromtimestamp(seconds, UTC))
