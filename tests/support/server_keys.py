"""The server's keys in a play: changed by its clock, and looked at by its server and by others beside it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx

from auth.crypto.key_sealing import Unsealed
from auth.crypto.keyring import Purpose
from auth.crypto.secret import Secret
from resolvers.caller import Caller, Deployment
from resolvers.check_credential import authenticate
from resolvers.check_memory import CheckMemory
from resolvers.key_changes import KeyFile, retire_key, rotate_keys
from resolvers.rehashing import Rehashing
from resolvers.server_keys import KeysInFile
from server.housekeeping import Housekeeping
from tests.support.world import Play

LEAD = timedelta(minutes=15)


class ServerKeys:
    """What an operator does with the keys of a play, and what its processes make of that."""

    def __init__(self, play: Play) -> None:
        self.play, self.path = play, play.server.data_dir / "server-keys.json"
        play.stay_signed_in()
        play.rows.execute("UPDATE accounts SET max_active_credentials_per_user = 1000")
        wanted = {"name": "edge", "expiresAt": play.clock.in_(days=300)}
        self._gateway = play.operator.do("createGatewayToken", "token", **wanted)["token"]

    def rotate(self, *purposes: Purpose, starts_in: timedelta = LEAD, drops_older: bool = False) -> None:
        async def rotate(deployment: Deployment) -> None:
            file = KeyFile(self.path, Unsealed())
            await rotate_keys(_caller(deployment), file, purposes, starts_in=starts_in, drops_older=drops_older)

        self.play.server.run(rotate)
        self.look()

    def retire(self, key_id: str, *, forced: bool = False) -> int:
        """Raises RotationRefused."""

        async def retire(deployment: Deployment) -> int:
            return await retire_key(_caller(deployment), KeyFile(self.path, Unsealed()), key_id, forced=forced)

        revoked = self.play.server.run(retire)
        self.look()
        return revoked

    def replace(self, *purposes: Purpose) -> None:
        """A rotation, and the time until it is in use and settled."""
        self.rotate(*purposes)
        self.play.clock.advance(minutes=20)
        self.look()

    def look(self) -> None:
        """The server's look at its keys, which it takes every second."""
        self.play.server.run(lambda _: self.play.server.app.state.housekeeping.follow_keys())

    def write_down(self) -> None:
        """What the server does now and then."""

        async def write_down(house: Housekeeping) -> None:
            await house.flush()
            await house.reseal()

        self.play.server.run(lambda _: write_down(self.play.server.app.state.housekeeping))

    def check(self, keys: dict[str, str]) -> int:
        """What /verify answers to a credential's key and secret."""
        headers = {"X-Sealkey-Gateway-Token": self._gateway}
        shown = {"X-API-Key": keys["apiKey"], "X-API-Secret": keys["apiSecret"]}
        return httpx.get(f"{self.play.server.url}/verify", headers={**headers, **shown}).status_code

    def hashed_under(self) -> dict[str, str]:
        """The server key of each living credential, by its name."""
        found = self.play.rows.execute("SELECT name, hashing_key_id FROM credentials WHERE revoked_at IS NULL")
        return {name: key_id for name, key_id in found}  # noqa: C416

    def another_process(self) -> "AnotherProcess":
        return AnotherProcess(self.play, self.path)


class AnotherProcess:
    """Beside the server: with the same database and key file, and a memory and keys of its own."""

    def __init__(self, play: Play, path: Path) -> None:
        self._play = play

        async def start(deployment: Deployment) -> Deployment:
            keys = KeysInFile(path)
            await keys.confirm(_caller(deployment))
            return replace(deployment, keys=keys, memory=CheckMemory(), rehashing=Rehashing())

        self.deployment = play.server.run(start)

    def look(self) -> None:
        async def look(_: Deployment) -> None:
            await Housekeeping(self.deployment).follow_keys()

        self._play.server.run(look)

    def lets_in(self, keys: dict[str, str]) -> bool:
        async def check(_: Deployment) -> bool:
            return await authenticate(self.deployment, keys["apiKey"], Secret(keys["apiSecret"])) is not None

        return self._play.server.run(check)

    def write_down(self) -> None:
        async def write_down(_: Deployment) -> None:
            await self.deployment.rehashing.flush()

        self._play.server.run(write_down)


def ids(versions: Iterable[int], purpose: Purpose) -> list[str]:
    return [f"{purpose}-{version}" for version in versions]


def _caller(deployment: Deployment) -> Caller:
    return Caller(None, None, deployment.clock(), deployment)
