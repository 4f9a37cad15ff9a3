"""What the worker processes of one server know of each other's numbers.

Each writes its own into a file of a directory that they have in common, every second and whenever it is asked for all
of them; whoever is asked adds up what is there. What a process had counted that has ended goes on counting. So no
counter ever goes down, whichever worker is asked.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

DIRECTORY = "SEALKEY_WORKERS_DIRECTORY"
"""Where a worker's environment says which directory that is. Set by the process that starts the workers."""
PUBLISHED_EVERY = 1.0  # seconds
# Whoever has not written for so long has ended.
_ENDED_AFTER = 15.0

Number = tuple[str, tuple[str, ...], Any]
"""A name, the values of its labels, and the number."""


class Workers:
    """Those of this server, of which this process is one; without a directory, the only one.

    is_kept: whether a number still counts when its process has ended. merged: what two are together, by their name.
    """

    def __init__(
        self, directory: str | None, is_kept: Callable[[str], bool], merged: Callable[[str, Any, Any], Any]
    ) -> None:
        self._own = Path(directory) / f"{os.getpid()}-{uuid4().hex}.json" if directory else None
        self._is_kept, self._merged = is_kept, merged

    @property
    def are_several(self) -> bool:
        return self._own is not None

    def publish(self, numbers: list[Number]) -> None:
        """Writes down this process's numbers for the others."""
        if self._own is not None:
            beside = self._own.with_suffix(".new")
            with suppress(OSError):  # another has removed all of it, at the end; or the disk is full: numbers get old
                beside.write_bytes(orjson.dumps({"at": time.time(), "numbers": numbers}))
                beside.replace(self._own)

    def remove(self) -> None:
        """Removes all that was written down, where nobody else will."""
        if self._own is not None:
            shutil.rmtree(self._own.parent, ignore_errors=True)

    def together(self, numbers: list[Number]) -> list[Number]:
        """This process's numbers and those of the others, which know by then what it was told."""
        self.publish(numbers)
        found: dict[tuple[str, tuple[str, ...]], Any] = {}
        for name, labels, value in [*numbers, *self._of_others()]:
            key = name, labels
            found[key] = self._merged(name, found[key], value) if key in found else value
        return [(name, labels, value) for (name, labels), value in found.items()]

    def _of_others(self) -> Iterator[Number]:
        if self._own is None:
            return
        for file in self._own.parent.glob("*.json"):
            if file != self._own:
                published = orjson.loads(file.read_bytes())
                has_ended = time.time() - published["at"] > _ENDED_AFTER
                for name, labels, value in published["numbers"]:
                    if not has_ended or self._is_kept(name):
                        yield name, tuple(labels), value
