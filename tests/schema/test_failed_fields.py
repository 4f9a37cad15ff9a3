"""Where an operation ends before all of its fields are there, nothing is left behind that Python warns of: neither
where one fails that may not be null nor where whoever asked goes away, however far the others have come by then."""

import asyncio
import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import strawberry
from graphql import ExecutionResult

from schema.budget import Allowance
from schema.execution import Executor


@strawberry.type
class Thing:
    name: str = "thing"

    @strawberry.field
    def same(self) -> "Thing":
        return self

    @strawberry.field
    async def other(self) -> "Thing":
        return Thing()

    @strawberry.field
    async def others(self) -> list["Thing"]:
        return [Thing(), Thing()]


@strawberry.type
class Query:
    @strawberry.field
    async def thing(self) -> Thing:
        return Thing()

    @strawberry.field
    async def fails(self, after: int) -> int:
        for _ in range(after):
            await asyncio.sleep(0)
        raise ValueError("not at all")

    @strawberry.field
    def fails_at_once(self) -> int:
        raise ValueError("not at all")


THING = """thing {
    name a: other { other { name } b: other { others { name c: other { name } other { name } } } }
    same { name other { name } again: other { name } }
    others { other { others { same { other { name } again: other { name } } } } name }
}"""
EXECUTOR = Executor(strawberry.Schema(Query)._schema, allowance=Allowance(amount=0))
# By then all is there.
STEPS = 20


@contextmanager
def nothing_left() -> Iterator[None]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(each.message) for each in told] == []


async def asked(document: str) -> ExecutionResult:
    return await EXECUTOR.execute(document, None, None, SimpleNamespace(caller=None))


def test_a_field_that_fails_leaves_none_of_the_others_behind() -> None:
    with nothing_left():
        for field in ("failsAtOnce", *(f"fails(after: {steps})" for steps in range(STEPS))):
            for document in (f"{{ {field} {THING} }}", f"{{ {THING} {field} again: {THING} }}"):
                result = asyncio.run(asked(document))
                assert (result.data, [error.message for error in result.errors or ()]) == (None, ["not at all"])


def test_who_goes_away_leaves_nothing_behind() -> None:
    async def go_away_after(steps: int) -> bool:
        """Whether there was an answer by then."""
        asking = asyncio.create_task(asked(f"{{ {THING} again: {THING} }}"))
        for _ in range(steps):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait({asking})
        return not asking.cancelled()

    with nothing_left():
        answered = [asyncio.run(go_away_after(steps)) for steps in range(STEPS)]
    assert answered == sorted(answered)
    assert set(answered) == {False, True}
