"""Whatever happens to credentials, in whatever order and at once, the server agrees with a small reference.

The usual examples are few, and the same each time: what is at once there comes to the same in either order, but for
which of two that are equal was first. SEALKEY_LIFE_STEPS takes a campaign of so many steps instead, other ones each
time; with SEALKEY_LIFE_SEED they are those of an earlier one, as far as what is at once comes to the same.
"""

import os
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import ClassVar, Protocol

import pytest
from argon2 import PasswordHasher
from hypothesis import HealthCheck, Phase, note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from auth import passwords
from resolvers.webhook_events import WebhookEventType
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


def people() -> dict[str, Person]:
    """Who is in an account, and who only would like to be."""
    return {
        "operator": Person("OPERATOR", account=None),
        "stranger": Person("ADMINISTRATOR", account="elsewhere"),
        "administrator": Person("ADMINISTRATOR"),
        "member": Person("MEMBER", api_access=True),
        "member_without_access": Person("MEMBER"),
        "auditor": Person("AUDITOR"),
    }


def world_of(play: Play) -> World:
    """The account that `Play` begins with."""
    start = play.clock()
    return World(
        now=start,
        people=people(),
        identities={**{name: Identity("ACTIVE") for name in ("active", "other", "lone")}, "pending": Identity()},
        services={code: Service(code, start) for code in ("certificates", "timestamps")},
        links={(service, name) for service in ("certificates", "timestamps") for name in ("active", "other")},
    )


STEPS: list[Callable[["WholeLife"], None]] = []


def step(take: Callable[["WholeLife"], None]) -> Callable[["WholeLife"], None]:
    """A step of a life. In a campaign Hypothesis picks among them, leaving out some for the length of an example; in
    the few usual examples they come in turn, so that none is left out."""
    STEPS.append(take)
    return rule()(take) if CAMPAIGN else take


class WholeLife(RuleBasedStateMachine):
    """A server and the reference, doing the same."""

    start_playing: ClassVar[StartPlaying]
    steps: ClassVar[int] = 0
    tell: ClassVar[Callable[[str], None]] = staticmethod(lambda line: None)

    def __init__(self) -> None:
        super().__init__()
        self.playing = type(self).start_playing()
        play = self.playing.__enter__()
        self.clock = play.clock
        # To be told of everything, which takes locks of its own; nothing is sent.
        told_of = {"url": "https://hooks.example/", "eventTypes": [each.name for each in WebhookEventType]}
        play.administrator.do("createWebhookEndpoint", "endpoint { id }", **told_of)
        self.world = world_of(play)
        self.driver = Driver(play)
        self.names = (f"thing {number:04}" for number in count(1))
        self.latest: Operation | None = None
        self.agreed = False
        self.deck: list[Callable[[WholeLife], None]] = []

    def teardown(self) -> None:
        try:
            sequences = self.driver.audit_sequences()
            assert sequences == list(range(1, len(sequences) + 1))
        finally:
            self.playing.__exit__(None, None, None)

    @initialize(chance=st.randoms(use_true_random=True), limit=st.sampled_from([1, 2, 5]))
    def begin(self, chance: Random, limit: int) -> None:
        self.chance = chance
        given = {"accountId": "here", "maxActiveCredentialsPerUser": limit}
        self._do(Operation("operator", "updateCredentialPolicy", given))
        self._try(operations.generating)

    @step
    def generate(self) -> None:
        self._try(operations.generating)

    @step
    def rotate(self) -> None:
        self._try(operations.rotating)

    @step
    def move(self) -> None:
        self._try(operations.moving)

    @step
    def revoke(self) -> None:
        self._try(operations.revoking)

    @step
    def confine(self) -> None:
        self._try(operations.confining)

    @step
    def reveal(self) -> None:
        self._try(operations.revealing)

    @step
    def administer(self) -> None:
        self._try(*[operations.administering] * 3, *[operations.ruling] * 2, operations.suspending)

    @step
    def vet(self) -> None:
        self._try(operations.vetting)

    @step
    def provide(self) -> None:
        self._try(operations.opening, operations.providing, operations.linking)

    @step
    def try_again(self) -> None:
        """The client did not hear the answer."""
        if self.latest:
            self._do(replace(self.latest, makes=next(self.names)))

    @step
    def two_at_once(self) -> None:
        for _ in range(10):
            pair = [operations.anything(self.chance, self.world, next(self.names)) for _ in range(2)]
            if CAMPAIGN or _come_to_the_same(self.world, pair):
                break
        else:
            del pair[1]
        self._do(*pair)

    @step
    def the_same_at_once(self) -> None:
        once = operations.anything(self.chance, self.world, next(self.names))
        self._do(once, replace(once, makes=once.makes and next(self.names)))

    @step
    def wait_for_a_moment(self) -> None:
        """To the second before something changes by itself, to the very second, or past it."""
        if moments := self.world.moments():
            moment = self.chance.choice(moments) + timedelta(seconds=self.chance.choice([-1, 0, 0, 1]))
            self._wait_until(max(self.world.now, moment))

    @step
    def wait(self) -> None:
        self._wait_until(
            self.world.now + timedelta(seconds=self.chance.choice([1, 59, 600, 3600, 86_400, 31 * 86_400]))
        )

    if not CAMPAIGN:

        @rule()
        def take_the_next_step(self) -> None:
            self.deck = self.deck or self.chance.sample(STEPS, len(STEPS))
            self.deck.pop()(self)

    @invariant()
    def the_server_agrees(self) -> None:
        was_seen, self.agreed = self.agreed, False
        assert was_seen or self.driver.observed() == expected(self.world)

    def _wait_until(self, instant: datetime) -> None:
        self.clock.now = self.world.now = instant
        self._count()

    def _try(self, *kinds: Callable[[Random, World, str], Operation]) -> None:
        if self.world.suspended and self.chance.random() < 0.4:
            kinds = (operations.suspending,)  # or nobody would get anything done for long
        self._do(self.chance.choice(kinds)(self.chance, self.world, next(self.names)))

    def _do(self, *together: Operation) -> None:
        """Lets the server do what operations say, and the reference, in one order or the other."""
        note(" and ".join(map(str, together)))
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
                self.agreed = len(together) > 1
                self.world = _in_one_order(world)
                self._count()
                return
        pytest.fail(f"{together} came to {outcomes}, and by the reference to {' or '.join(map(str, told))}")

    def _count(self) -> None:
        WholeLife.steps += 1
        if WholeLife.steps % 500 == 0:
            WholeLife.tell(f"{WholeLife.steps} of {CAMPAIGN} steps")


def _come_to_the_same(world: World, together: Sequence[Operation]) -> bool:
    """Whether operations leave the same world in either order: what follows is then the same, whichever was first."""
    worlds = []
    for order in (together, together[::-1]):
        worlds.append(deepcopy(world))
        for operation in order:
            worlds[-1].attempt(operation)
    return worlds[0] == worlds[1]


def _in_one_order(world: World) -> World:
    """The same world, of which it can't be told any more what was made first."""
    return replace(
        world,
        credentials=dict(sorted(world.credentials.items())),
        services=dict(sorted(world.services.items())),
        identities=dict(sorted(world.identities.items())),
    )


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
    databases: Databases,
    names: Iterator[str],
    quick_template: Template,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[], AbstractContextManager[Play]]:
    """Starts a server of its own for each example. Sessions last, since the clock jumps."""
    monkeypatch.setattr("server.housekeeping._SEND_EVERY", 3600)

    def start() -> AbstractContextManager[Play]:
        name = next(names)
        return playing(databases, name, quick_template, tmp_path / name, session_hours=720, session_idle_minutes=43_200)

    return start


# To make a failure smaller would take minutes, and with two at once it may not come again.
_ALWAYS = settings(
    deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate], print_blob=False
)


def test_the_server_agrees_with_the_reference(
    start_playing: StartPlaying, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not CAMPAIGN:
        usual = settings(_ALWAYS, max_examples=6, stateful_step_count=2 * len(STEPS), derandomize=True)
        run_state_machine_as_test(machine(start_playing), settings=usual)
        return

    def tell(line: str) -> None:
        with capsys.disabled():
            sys.stderr.write(f"{line}\n")

    monkeypatch.setattr(WholeLife, "tell", staticmethod(tell))
    take_steps(start_playing)


def take_steps(start_playing: StartPlaying) -> None:
    """As many as a campaign is to have, from examples that are others each time."""
    long = settings(_ALWAYS, max_examples=40, stateful_step_count=50)
    for number in count(int(os.environ.get("SEALKEY_LIFE_SEED") or secrets.randbits(32))):
        if WholeLife.steps >= CAMPAIGN:
            return
        WholeLife.tell(f"SEALKEY_LIFE_SEED={number} begins here")
        run_state_machine_as_test(seed(number)(machine(start_playing)), settings=long)
