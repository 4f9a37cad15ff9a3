"""The process that starts the workers, and waits for them to end."""

import math
import os
import signal
import socket
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from weakref import WeakSet

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from server.listening import several_times
from server.logs import log
from server.workers import DIRECTORY

_LOOKS_EVERY = 0.05
# Seconds that an answer of a worker takes which waits for nothing.
_ANSWERS_WITHIN = 0.05
# Seconds from when a worker was replaced until whoever took its place may be: or the machine would do nothing else.
_REPLACES_EVERY = 5.0


class Supervisor(Multiprocess):
    """uvicorn's own; says something once a worker listens, and told to stop a second time ends them at once. One that
    ends takes the others with it only before any has listened: later they go on while it is tried to replace it, in
    the midst of an outage too. And one is held for hung only if it has answered before: to start may take long."""

    _times_told = 0
    _has_said = False

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], say: Callable[[], None]) -> None:
        super().__init__(config, sockets)
        self._say = say
        self._heard: WeakSet[Process] = WeakSet()
        self._replaced_at: defaultdict[int, float] = defaultdict(lambda: -math.inf)

    @property
    def has_failed(self) -> bool:
        """Whether it ended since a worker could not start."""
        return not self._has_said and any(process.exitcode == STARTUP_FAILURE for process in self.processes)

    def keep_subprocess_alive(self) -> None:
        for index, process in enumerate(self.processes):
            if not self._is_alive(process):
                self._replace(index, process)
        if not self._has_said and any(process.is_ready(_ANSWERS_WITHIN) for process in self.processes):
            self._has_said = True
            self._say()

    def _is_alive(self, process: Process) -> bool:
        if process in self._heard:
            return process.is_alive(self.config.timeout_worker_healthcheck)
        if process.ping(_ANSWERS_WITHIN):
            self._heard.add(process)
        return process.process.is_alive()

    def _replace(self, index: int, process: Process) -> None:
        process.kill()
        process.join()
        if process.exitcode == STARTUP_FAILURE and not self._has_said:
            self.should_exit.set()
        elif time.monotonic() - self._replaced_at[index] > _REPLACES_EVERY:
            self._replaced_at[index] = time.monotonic()
            log.error("worker_ended", exit_status=process.exitcode)
            self.processes[index] = Process(self.config, self.sockets)
            self.processes[index].start()

    def handle_term(self) -> None:
        self._times_told += 1
        super().handle_term()

    def join_all(self) -> None:
        while any(process.process.is_alive() for process in self.processes):
            if self._times_told + self.signal_queue.count(signal.SIGTERM) > 1:
                for process in self.processes:
                    process.process.kill()
            time.sleep(_LOOKS_EVERY)
        super().join_all()


def serve_with_workers(config: uvicorn.Config, say: Callable[[], None]) -> bool:
    """Until it is told to stop, or can't go on: whether it could start. The workers have a directory in common."""
    try:
        listener = config.bind_socket()
    except SystemExit:  # with which uvicorn says that it could not
        return False
    with listener, tempfile.TemporaryDirectory(prefix="sealkey-workers-", ignore_cleanup_errors=True) as directory:
        os.environ[DIRECTORY] = directory
        supervisor = Supervisor(config, several_times(listener), say)
        supervisor.run()
        return not supervisor.has_failed
