"""Whatever happens to credentials, in whatever order and at once, the server agrees with a small reference.

SEALKEY_LIFE_STEPS takes a campaign of so many steps instead of the usual examples.
"""

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from copy import deepcopy
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import ClassVar, Protocol

import pytest
from argon2 import PasswordHasher
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from auth import passwords
from tests.life import operations
from tests.life.driver import Driver, expected
from tests.life.model import World
from tests.life.things import Identity, Operation, Outcome, Person, Service
from tests.plugins.database import Databases
from tests.plugins.play import Template, make_template, playing
from tests.support.world import Play

CAMPAIGN = int(os.environ.get("SEALKEY_LIFE_STEPS", "0"))


class StartPlaying(Protocol):
    def __call__(self) -> AbstractContextManager[Play]: ...


def world_of(play: Play) -> World:
    """The account that `Play` begins with."""
    start = play.clock()
    return World(
        now=start,
        people={
            "operator": Person("OPERATOR", account=None),
            "stranger": Person("ADMINISTRATOR", account="elsewhere"),
            "administrator": Person("ADMINISTRATOR"),
            "member": Person("MEMBER", api_access=True),
            "member_without_access": Person("MEMBER"),
            "auditor": Person("AUDITOR"),
        },
        identities={**{name: Identity("ACTIVE") for name in ("active", "other", "lone")}, "pending": Identity()},
        services={code: Service(code, start) for code in ("certificates", "timestamps")},
        links={(service, name) for service in ("certificates", "timestamps") for name in ("active", "other")},
    )


class WholeLife(RuleBasedStateMachine):
    """A server and the reference, doing the same."""

    start_playing: ClassVar[StartPlaying]
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.playing = type(self).start_playing()
        play = self.playing.__enter__()
        self.clock = play.clock
        self.world = world_of(play)
        self.driver = Driver(play)
        self.names = (f"thing {number}" for number in count(1))
        self.latest: Operation | None = None

    def teardown(self) -> None:
        try:
            sequences = self.driver.audit_sequences()
            assert sequences == list(range(1, len(sequences) + 1))
        finally:
            self.playing.__exit__(None, None, None)

    @initialize(data=st.data(), limit=st.sampled_from([1, 2, 5]))
    def begin(self, data: st.DataObject, limit: int) -> None:
        given = {"accountId": "here", "maxActiveCredentialsPerUser": limit}
        self._do(Operation("operator", "updateCredentialPolicy", given))
        self._do(data.draw(operations.generating(self.world, next(self.names))))

    @rule(data=st.data())
    def generate(self, data: st.DataObject) -> None:
        self._do(data.draw(operations.generating(self.world, next(self.names))))

    @rule(data=st.data())
    def rotate(self, data: st.DataObject) -> None:
        self._do(data.draw(operations.rotating(self.world, next(self.names))))

    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        self._do(data.draw(operations.moving(self.world)))

    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        self._do(data.draw(operations.revoking(self.world)))

    @rule(data=st.data())
    def confine(self, data: st.DataObject) -> None:
        self._do(data.draw(operations.confining(self.world)))

    @rule(data=st.data())
    def administer(self, data: st.DataObject) -> None:
        around = [
            operations.administering(self.world),
            operations.suspending(self.world),
            operations.ruling(self.world),
        ]
        self._do(data.draw(st.one_of(around)))

    @rule(data=st.data())
    def vet(self, data: st.DataObject) -> None:
        self._do(data.draw(operations.vetting(self.world, next(self.names))))

    @rule(data=st.data())
    def provide(self, data: st.DataObject) -> None:
        opening = operations.opening(self.world, next(self.names))
        self._do(data.draw(st.one_of(opening, operations.providing(self.world), operations.linking(self.world))))

    @precondition(lambda self: self.latest)
    @rule()
    def try_again(self) -> None:
        """The client did not hear the answer."""
        assert self.latest is not None
        given = {**self.latest.given}
        self._do(Operation(self.latest.who, self.latest.verb, given, next(self.names)))

    @rule(data=st.data())
    def two_at_once(self, data: st.DataObject) -> None:
        first = data.draw(operations.anything(self.world, next(self.names)))
        second = data.draw(operations.anything(self.world, next(self.names)))
        self._do(first, second)

    @rule(data=st.data())
    def same_at_once(self, data: st.DataObject) -> None:
        first = data.draw(operations.anything(self.world, next(self.names)))
        second = Operation(first.who, first.verb, first.given, next(self.names) if first.makes else "")
        self._do(first, second)

    @precondition(lambda self: self.world.moments())
    @rule(data=st.data(), seconds=st.sampled_from([-1, 0, 0, 1]))
    def wait_for_a_moment(self, data: st.DataObject, seconds: int) -> None:
        moment = data.draw(st.sampled_from(self.world.moments()))
        self._wait_until(max(self.world.now, moment + timedelta(seconds=seconds)))

    @rule(seconds=st.sampled_from([1, 59, 600, 3600, 86_400, 31 * 86_400]))
    def wait(self, seconds: int) -> None:
        self._wait_until(self.world.now + timedelta(seconds=seconds))

    @invariant()
    def the_server_agrees(self) -> None:
        assert self.driver.observed() == expected(self.world)

    def _wait_until(self, instant: datetime) -> None:
        self.clock.now = self.world.now = instant
        self._count()

    def _do(self, *together: Operation) -> None:
        """Lets the server do what operations say, and the reference, in one order or the other."""
        for operation in together:
            if operation.given.get("idempotencyKey") and operation.makes:
                self.latest = operation
            if self.world.may_be_here(operation.who):
                self.driver.welcome(operation.who)
        outcomes = self.driver.perform(*together)
        answered = dict(zip(map(id, together), outcomes, strict=True))
        told = []
        for order in (together, together[::-1]) if len(together) > 1 else (together,):
            world = deepcopy(self.world)
            model = [world.attempt(operation) for operation in order]
            told.append(model)
            fits = all(_fits(answered[id(operation)], outcome) for operation, outcome in zip(order, model, strict=True))
            if fits and (len(together) == 1 or self.driver.observed() == expected(world)):
                self.world = world
                self._count()
                return
        pytest.fail(f"{together} came to {outcomes}, and by the reference to {' or '.join(map(str, told))}")

    def _count(self) -> None:
        WholeLife.steps += 1


def _fits(answered: Outcome, outcome: Outcome) -> bool:
    """Refused with what is wrong, or done and named alike."""
    if answered.codes or outcome.codes:
        return bool(answered.codes) and answered.codes <= outcome.codes
    return answered.made == outcome.made


def machine(start: StartPlaying) -> type[WholeLife]:
    class Started(WholeLife):
        start_playing = staticmethod(start)

    return Started


@pytest.fixture
def quick_template(
    databases: Databases,
    names: Iterator[str],
    migrated_template: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Template:
    """A world whose people sign in in no time, since they do so again and again: their sessions end with each year
    that passes."""
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    return make_template(databases, next(names), migrated_template, tmp_path / "world")


@pytest.fixture
def start_playing(
    databases: Databases, names: Iterator[str], quick_template: Template, tmp_path: Path
) -> Callable[[], AbstractContextManager[Play]]:
    """Starts a server of its own for each example. Sessions last, since the clock jumps."""

    def start() -> AbstractContextManager[Play]:
        name = next(names)
        return playing(databases, name, quick_template, tmp_path / name, session_hours=720, session_idle_minutes=43_200)

    return start


_ALWAYS = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))


@pytest.mark.skipif(bool(CAMPAIGN), reason="a campaign takes its place")
def test_the_server_agrees_with_the_reference(start_playing: StartPlaying) -> None:
    # To shrink a failure here would take minutes, and thirty steps can be read.
    usual = settings(_ALWAYS, max_examples=25, stateful_step_count=30, derandomize=True, phases=[Phase.generate])
    run_state_machine_as_test(machine(start_playing), settings=usual)


@pytest.mark.skipif(not CAMPAIGN, reason="SEALKEY_LIFE_STEPS says how many steps to take")
def test_the_server_agrees_with_the_reference_for_long(start_playing: StartPlaying) -> None:
    long = settings(_ALWAYS, max_examples=20, stateful_step_count=50, phases=[Phase.generate, Phase.shrink])
    for number in count(int(os.environ.get("SEALKEY_LIFE_SEED") or secrets.randbits(32))):
        sys.stderr.write(f"{WholeLife.steps} of {CAMPAIGN} steps; SEALKEY_LIFE_SEED={number} goes on from here\n")
        if WholeLife.steps >= CAMPAIGN:
            return
        run_state_machine_as_test(seed(number)(machine(start_playing)), settings=long)
