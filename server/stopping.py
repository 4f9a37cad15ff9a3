"""How a process stops that was told to by SIGTERM: /readyz says so at once, work goes on until balancers have noticed,
and then uvicorn ends what was begun. So that it was told twice means something: it ends at once. So does a worker whose
supervisor was killed: nobody would ever tell it to stop."""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import uvicorn

from server.workers import DIRECTORY

# What is cancelled tidies up for as long.
_TO_BE_CANCELLED = 1


class Stopping:
    """Whether this process is about to stop, and whether it does since the one that started it is gone."""

    def __init__(self) -> None:
        self.is_begun = self.is_orphaned = False


def stop_gently(stopping: Stopping, drain_seconds: float) -> None:
    """From now on, as the event loop's process is told to stop. To be called inside uvicorn; else nothing happens."""
    if threading.current_thread() is not threading.main_thread():
        return
    # Instead of uvicorn's own, which stops at once, and afterwards ends the process by the signal it came with.
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if not isinstance(server, uvicorn.Server):
        return
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True

    def told(*_: object) -> None:
        if not stopping.is_begun:
            stopping.is_begun = True
            loop.call_soon_threadsafe(loop.call_later, drain_seconds, stop)
        elif not _is_worker():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

    def orphaned(sentinel: int) -> None:
        loop.remove_reader(sentinel)
        stopping.is_begun = stopping.is_orphaned = True
        stop()  # at once: whoever takes the place of the process that is gone wants the address

    signal.signal(signal.SIGTERM, told)
    if parent := multiprocessing.parent_process():
        loop.add_reader(parent.sentinel, orphaned, parent.sentinel)


async def end_within(seconds: float, ending: Coroutine[Any, Any, None], give_up: Callable[[], None]) -> bool:
    """Whether it has ended so soon. Else `give_up` ends what it waits for; it is cancelled, and left to itself."""
    task = asyncio.ensure_future(ending)
    await asyncio.wait({task}, timeout=seconds)
    if task.done():
        task.result()
        return True
    give_up()
    task.cancel()
    await asyncio.wait({task}, timeout=_TO_BE_CANCELLED)
    return False


def _is_worker() -> bool:
    """One is told both by whoever tells the whole group and by the process that started it, which sees to the rest."""
    return DIRECTORY in os.environ
