"""Replicas of one deployment, each started, killed at a random instant and started again, while others ask them."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.postgres import free_lasting_port
from torture.campaign import CampaignFailed, first_of
from torture.forked import Forks
from torture.wire import Lost, Wire

_LOAD_SECONDS = 0.4
_START_SECONDS = 0.35
_STOP_SECONDS = 0.12
_LONG_LIFE_SECONDS = 3.0
_STARTED_WITHIN = 30  # seconds
_STOPPED_WITHIN = 15  # seconds
_READY_EVERY = 0.01
# How a life ends, and how often so: under load, while it starts, while it stops, and under load after a longer life.
_ENDS = {"load": 76, "start": 12, "stop": 10, "long": 2}


@dataclass
class Life:
    """From being ready to being killed, by the monotonic clock."""

    port: int
    number: int
    began: float
    ended: float = float("inf")
    was_stopped: bool = False
    """It could end by itself."""


@dataclass
class Replica:
    port: int
    life: Life | None = None
    """While it can be asked."""
    pid: int | None = None


@dataclass
class Fleet:
    """Where the servers are, and what became of each of their lives."""

    forks: Forks
    settings: Mapping[str, str]
    log: Path
    random: Random
    size: int
    kills: Counter[str] = field(default_factory=Counter)
    lives: list[Life] = field(default_factory=list)
    longest_start: float = 0

    def __post_init__(self) -> None:
        self.replicas = [Replica(free_lasting_port()) for _ in range(self.size)]

    def living(self) -> list[Life]:
        return [replica.life for replica in self.replicas if replica.life]

    def is_living(self, life: Life) -> bool:
        return any(other is life for other in self.living())

    async def kill_again_and_again(self, replica: Replica, kills: int) -> None:
        """Kills one replica so often, and leaves it running."""
        for _ in range(kills):
            (end,) = self.random.choices(list(_ENDS), list(_ENDS.values()))
            await self._live(replica, end)
            self.kills[end] += 1
        await self.start(replica)

    async def start(self, replica: Replica) -> None:
        """Until it can be asked. Raises CampaignFailed where it ends by itself, or takes too long."""
        began = time.monotonic()
        self.fork(replica)
        wire = Wire()
        try:
            while not await _is_ready(wire, replica.port):
                if replica.pid and self.forks.ended(replica.pid):
                    raise CampaignFailed(f"a server did not start:\n{self.last_lines()}")
                if time.monotonic() - began > _STARTED_WITHIN:
                    raise CampaignFailed(f"a server was not ready within {_STARTED_WITHIN} s:\n{self.last_lines()}")
                await asyncio.sleep(_READY_EVERY)
        finally:
            wire.close()
        now = time.monotonic()
        self.longest_start = max(self.longest_start, now - began)
        replica.life = Life(replica.port, len(self.lives), now)
        self.lives.append(replica.life)

    def fork(self, replica: Replica) -> None:
        settings = {**self.settings, "SEALKEY_PORT": str(replica.port)}
        replica.pid = self.forks.start(["serve"], settings, log=self.log)

    def kill(self, replica: Replica) -> int:
        """Its exit status: that of a process that was killed, unless it ended before."""
        assert replica.pid
        status = self.forks.kill(replica.pid)
        if replica.life:
            replica.life.ended = time.monotonic()
        replica.life = replica.pid = None
        return status

    async def stop(self) -> None:
        """Asks all to end, and waits until they have. Raises CampaignFailed where one takes too long."""
        for replica in self.replicas:
            if replica.pid:
                self.forks.terminate(replica.pid)
        give_up_at = time.monotonic() + _STOPPED_WITHIN
        for replica in self.replicas:
            while replica.pid and not self.forks.ended(replica.pid):
                if time.monotonic() > give_up_at:
                    raise CampaignFailed(f"a server did not stop within {_STOPPED_WITHIN} s:\n{self.last_lines()}")
                await asyncio.sleep(_READY_EVERY)
            if replica.life:
                replica.life.was_stopped = True
            if replica.pid:
                self.kill(replica)

    @contextmanager
    def last_words(self) -> Iterator[None]:
        """Adds to a failure what the servers wrote last."""
        try:
            yield
        except* CampaignFailed as failures:
            raise CampaignFailed(f"{first_of(failures)}\n{self.last_lines()}") from None

    def last_lines(self) -> str:
        """The end of what the servers wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    async def _live(self, replica: Replica, end: str) -> None:
        if end == "start":
            self.fork(replica)
            await asyncio.sleep(self.random.uniform(0, _START_SECONDS))
            self._check_killed(self.kill(replica))
            return
        await self.start(replica)
        await asyncio.sleep(_LONG_LIFE_SECONDS if end == "long" else self.random.uniform(0, _LOAD_SECONDS))
        if end == "stop" and replica.pid:
            self.forks.terminate(replica.pid)
            await asyncio.sleep(self.random.uniform(0, _STOP_SECONDS))
            self.kill(replica)
        else:
            self._check_killed(self.kill(replica))

    def _check_killed(self, status: int) -> None:
        if status != -signal.SIGKILL:
            raise CampaignFailed(f"a server ended by itself, with status {status}:\n{self.last_lines()}")


async def _is_ready(wire: Wire, port: int) -> bool:
    try:
        return (await wire.ask(port, "/readyz")).status == 200
    except Lost:
        return False
