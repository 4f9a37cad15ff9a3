"""How far long work has got, on standard error."""

import sys
from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import TypeVar

Item = TypeVar("Item")

_STEP = 0.1  # of the whole, where each line stays
_WORTH_TELLING = 10_000


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def watched(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """The same items; tells of each percent on a terminal, of each tenth elsewhere."""
    is_terminal, began = sys.stderr.isatty(), perf_counter()
    told = began
    step = max(1, int(total * (0.01 if is_terminal else _STEP)))
    for number, item in enumerate(items, 1):
        yield item
        if number % step == 0 and perf_counter() - told > 1:
            told = perf_counter()
            text = f"{what}: {number:,} of {total:,}, {told - began:.0f} s"
            print(f"\r{text}" if is_terminal else text, end="" if is_terminal else "\n", file=sys.stderr, flush=True)
    if is_terminal and told > began:
        print(file=sys.stderr)
    if total >= _WORTH_TELLING:
        say(f"{what}: {total:,} in {perf_counter() - began:.1f} s")
