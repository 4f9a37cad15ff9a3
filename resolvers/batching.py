"""Asking once for what several want: the fields of one level of an operation ask at the same time."""

from asyncio import Future, Task, get_running_loop
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Batches:
    """What is being asked within one operation. Nothing is kept once it is answered: what is asked after a change is
    read anew."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, dict[Any, list[Future[Any]]]] = {}
        self._tasks: set[Task[None]] = set()

    def ask(
        self, what: Hashable, key: Key, answer_all: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]]
    ) -> Awaitable[Value]:
        """The answer for a key, or the error that answering raised. All who ask for the same before the event loop
        turns are answered together."""
        loop = get_running_loop()
        waiting = self._waiting.get(what)
        if waiting is None:
            waiting = self._waiting[what] = {}
            loop.call_soon(self._start, what, answer_all)
        # A future for each: who is cancelled cancels what they wait for.
        future: Future[Value] = loop.create_future()
        waiting.setdefault(key, []).append(future)
        return future

    def _start(self, what: Hashable, answer_all: Callable[[Sequence[Any]], Awaitable[Mapping[Any, Any]]]) -> None:
        task = get_running_loop().create_task(_answer(self._waiting.pop(what), answer_all))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _answer(
    waiting: dict[Any, list[Future[Any]]], answer_all: Callable[[Sequence[Any]], Awaitable[Mapping[Any, Any]]]
) -> None:
    try:
        answers = await answer_all(list(waiting))
    except Exception as error:  # noqa: BLE001  (it is theirs who asked)
        for future in _living(waiting.values()):
            future.set_exception(error)
    else:
        for key, futures in waiting.items():
            for future in _living([futures]):
                future.set_result(answers.get(key))


def _living(waiting: Any) -> list[Future[Any]]:
    return [future for futures in waiting for future in futures if not future.done()]
