"""How tries are counted: the rule itself, on the database."""

import asyncio
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.throttle import Throttle, ThrottleRule, forget_old, forgive, take_back, take_try, wait_for
from tests.throttling.conftest import Run

RULE = ThrottleRule(free=8, limit=900, forgotten=900)
START = 1_750_000_000_000
QUARTER_OF_AN_HOUR = 900_000

keys = (f"key {number}" for number in itertools.count())
# The database is the same for all examples; each has a key of its own in it.
property_test = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
gaps = st.lists(st.one_of(st.just(0), st.integers(0, 5_000), st.integers(0, 4 * QUARTER_OF_AN_HOUR)), max_size=60)


def test_eight_tries_are_free_and_then_each_wait_is_twice_the_last_up_to_a_quarter_of_an_hour(run: Run) -> None:
    now, key, waited = START, next(keys), []
    for _ in range(21):
        assert run(take_try(key, RULE, now)) == 0
        waited.append(run(wait_for([key], now)) // 1000)
        now += waited[-1] * 1000
    # By then a quarter of an hour has gone by, and with it the first try.
    assert waited == [0] * 7 + [1, 2, 4, 8, 16, 32, 64, 128, 256, 512] + [512] + [900] * 3


def test_a_try_that_comes_too_early_is_not_counted_and_does_not_lengthen_the_wait(run: Run) -> None:
    key = next(keys)
    for _ in range(10):
        run(take_try(key, RULE, START))
    assert run(take_try(key, RULE, START + 400)) == 600
    assert run(take_try(key, RULE, START + 999)) == 1
    assert run(Throttle.get(key=key)).tries == 8
    assert run(take_try(key, RULE, START + 1000)) == 0


@property_test
@given(gaps)
def test_whatever_the_pauses_between_tries_no_more_are_admitted_than_the_rule_says(run: Run, gaps: list[int]) -> None:
    now, key, admitted = START, next(keys), 0
    for gap in gaps:
        now += gap
        admitted += run(take_try(key, RULE, now)) == 0
    # Eight at once, ten more while the wait grows to its limit, and one in each quarter of an hour.
    assert admitted <= 8 + 11 + (now - START) / QUARTER_OF_AN_HOUR


@property_test
@given(gaps)
def test_whoever_waits_as_long_as_they_were_told_may_try_then_and_not_a_moment_before(
    run: Run, gaps: list[int]
) -> None:
    now, key = START, next(keys)
    for gap in gaps:
        now += gap
        if wait := run(take_try(key, RULE, now)):
            assert run(wait_for([key], now)) == wait <= QUARTER_OF_AN_HOUR
            assert run(take_try(key, RULE, now + wait - 1)) == 1
            now += wait
            assert run(take_try(key, RULE, now)) == 0


@property_test
@given(gaps)
def test_after_a_right_one_the_tries_before_it_are_forgotten(run: Run, gaps: list[int]) -> None:
    now, key = START, next(keys)
    for gap in gaps:
        now += gap
        run(take_try(key, RULE, now))
    run(forgive(key))
    assert [run(take_try(key, RULE, now)) for _ in range(9)] == [0] * 8 + [1000]


@property_test
@given(st.integers(1, 8), st.integers(0, 12))
def test_one_try_is_forgotten_in_each_quarter_of_an_hour(run: Run, tries: int, quarters: int) -> None:
    key = next(keys)
    for _ in range(tries):
        run(take_try(key, RULE, START))
    now = START + quarters * QUARTER_OF_AN_HOUR
    free_again = 8 - max(0, tries - quarters)
    outcomes = [run(take_try(key, RULE, now)) == 0 for _ in range(10)]
    # After a wait there is always one.
    assert outcomes.count(True) == (max(1, free_again) if quarters else free_again)


@pytest.mark.parametrize("pause", [60_000, 17_000, QUARTER_OF_AN_HOUR - 1])
def test_tries_are_forgotten_also_where_right_ones_come_all_the_time(run: Run, pause: int) -> None:
    now, key = START, next(keys)
    for _ in range(7):
        run(take_try(key, RULE, now))
    for _ in range(7 * QUARTER_OF_AN_HOUR // pause + 2):
        now += pause
        assert run(take_try(key, RULE, now)) == 0
        run(take_back(key))
    assert run(Throttle.get(key=key)).tries == 0


def test_of_many_tries_at_the_same_instant_as_many_are_made_as_of_one_after_the_other(run: Run) -> None:
    async def at_once(key: str) -> list[int]:
        return await asyncio.gather(*(take_try(key, RULE, START) for _ in range(50)))

    assert sorted(run(at_once(next(keys)))) == [0] * 8 + [1000] * 42


def test_a_clock_that_is_behind_another_process_s_neither_opens_nor_forgets(run: Run) -> None:
    key = next(keys)
    for _ in range(8):
        run(take_try(key, RULE, START))
    assert run(take_try(key, RULE, START - 5000)) == 6000
    run(Throttle.filter(key=key).update(closed_until=0))
    assert run(take_try(key, RULE, START - 2 * QUARTER_OF_AN_HOUR)) == 0
    assert run(Throttle.get(key=key)).tries == 9


def test_only_keys_of_which_every_try_is_forgotten_are_removed(run: Run) -> None:
    lasting, gone = next(keys), next(keys)
    for _ in range(3):
        run(take_try(lasting, RULE, START))
    run(take_try(gone, RULE, START))
    run(forget_old(RULE, START + 2 * QUARTER_OF_AN_HOUR))
    assert run(Throttle.filter(key__in=[lasting, gone]).values_list("key", flat=True)) == [lasting]
    run(forget_old(RULE, START + 4 * QUARTER_OF_AN_HOUR))
    assert not run(Throttle.exists(key=lasting))
