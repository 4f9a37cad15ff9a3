"""Commands killed at each point of their work: what they do is done as a whole or not at all, and can be done again."""

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from auth.crypto.keyring_file import read_keyring_file
from tests.support.rows import Rows
from tests.support.world import OPERATOR, PASSWORD
from torture.afterwards import check_let_go
from torture.campaign import CampaignFailed
from torture.forked import KILLED, Forks, Steps


@dataclass
class _Place:
    """A data directory of its own, with SQLite in it."""

    forks: Forks
    directory: Path

    @property
    def rows(self) -> Rows:
        return Rows(f"sqlite://{self.directory}/sealkey.sqlite3")

    @property
    def keys_file(self) -> Path:
        return self.directory / "server-keys.json"

    def run(self, *arguments: str, stdin: str = "", steps: Steps | None = None) -> int:
        settings = {"SEALKEY_DATA_DIR": str(self.directory)}
        return self.forks.run(*arguments, settings=settings, log=self.log, stdin=stdin, steps=steps)

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def must(self, *arguments: str, stdin: str = "") -> None:
        if self.run(*arguments, stdin=stdin):
            raise CampaignFailed(f"{' '.join(arguments)} failed: {self.log.read_text()}")


@dataclass(frozen=True)
class _Command:
    """What is killed, what was done before, and what must hold once it has been done again."""

    before: Sequence[str]
    killed: Sequence[str]
    check: Callable[[_Place], None]
    files: Sequence[str]
    """In whose functions it is killed: what starts is the same for all."""
    share: float = 1
    """Of the points, for one that takes long."""


def kill_commands(forks: Forks, directory: Path, seed: int, *, points: int) -> None:
    """Each at so many points, chosen by the seed, of all the calls and returns that it takes."""
    for name, command in _COMMANDS.items():
        counted = _count_steps(forks, directory, name, command)
        chosen = sorted(
            Random(f"{seed}-{name}").sample(range(1, counted + 1), min(max(1, int(points * command.share)), counted))
        )
        for at in chosen:
            place = _prepared(forks, directory, f"{name}-{at}", command)
            status = place.run(*command.killed, stdin=PASSWORD, steps=Steps(command.files, at))
            if status not in {KILLED, 0}:  # where it had to wait for less than the one that was counted
                raise CampaignFailed(f"{' '.join(command.killed)} failed at step {at}: {place.log.read_text()}")
            try:
                command.check(place)
            except CampaignFailed as failure:
                raise CampaignFailed(
                    f"{' '.join(command.killed)} killed at step {at} of {counted}: {failure}"
                ) from None
            shutil.rmtree(place.directory)
        print(f"{' '.join(command.killed)}: killed at {len(chosen)} of {counted} steps", flush=True)


def _count_steps(forks: Forks, directory: Path, name: str, command: _Command) -> int:
    place = _prepared(forks, directory, f"{name}-counted", command)
    counted = directory / f"{name}-steps"
    if place.run(*command.killed, stdin=PASSWORD, steps=Steps(command.files, 0, str(counted))):
        raise CampaignFailed(f"{' '.join(command.killed)} failed: {place.log.read_text()}")
    return int(counted.read_text())


def _prepared(forks: Forks, directory: Path, name: str, command: _Command) -> _Place:
    """Copied from one in which everything before was done once."""
    template = directory / f"before-{'-'.join(command.before)}"
    if not template.exists():
        place = _Place(forks, template)
        template.mkdir()
        if command.before:
            place.must(*command.before, stdin=PASSWORD)
    shutil.copytree(template, directory / name)
    return _Place(forks, directory / name)


def _check_operator(place: _Place) -> None:
    """There is one, whether by the first try or by the second."""
    place.run(*_CREATE, stdin=PASSWORD)
    place.must("keys", "list")
    ((users,),) = place.rows.execute("SELECT count(*) FROM users")
    _check_counts(place, Counter({"user.created": users}))
    if users != 1:
        raise CampaignFailed(f"there are {users} operators")


def _check_rotated(place: _Place) -> None:
    """A server that starts takes the key, if it is there; of each that was added the log tells once; and another can
    be added after it."""
    place.must(*_CREATE_ANOTHER, stdin=PASSWORD)
    keys = read_keyring_file(place.keys_file).signing_keys
    _check_counts(place, Counter({"user.created": 2, "server_key.added": len(keys) - 1}))
    place.must("keys", "rotate", "--compromised")
    _check_counts(place, Counter({"user.created": 2, "server_key.added": len(keys)}))
    if left := [path.name for path in place.directory.glob("server-keys.json?*")]:
        raise CampaignFailed(f"a copy of the keys is left: {left}")


def _check_demo(place: _Place) -> None:
    """It can be had by trying again."""
    place.must("demo")
    found = [
        place.rows.execute(f"SELECT count(*) FROM {table}")[0][0]
        for table in ("accounts", "users", "identities", "services")
    ]
    if found != [2, 7, 6, 8]:
        raise CampaignFailed(f"of accounts, users, identities and services there are {found}")


def _check_counts(place: _Place, wanted: Counter[str]) -> None:
    found = Counter(type_ for (type_,) in place.rows.execute("SELECT type FROM audit_events"))
    if found != +wanted:
        raise CampaignFailed(f"there are {dict(found)}, not {dict(+wanted)}")
    place.must("audit", "verify")
    check_let_go(place.rows)


_CREATE = ("operator", "create", "--email", OPERATOR)
_CREATE_ANOTHER = ("operator", "create", "--email", f"another.{OPERATOR}")
_COMMANDS = {
    "operator": _Command((), _CREATE, _check_operator, ("/models/", "/resolvers/", "/auth/crypto/keyring")),
    "rotate": _Command(
        _CREATE, ("keys", "rotate"), _check_rotated, ("/server_keys.py", "/key_changes.py", "/keyring_file.py")
    ),
    "demo": _Command((), ("demo",), _check_demo, ("/server/demo.py", "/resolvers/"), 0.2),
}
