"""The process that starts the workers, and waits for them to end."""

import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from server.listening import several_times
from server.workers import DIRECTORY

_LOOKS_EVERY = 0.05


class Supervisor(Multiprocess):
    """uvicorn's own; says something once a worker listens, and told to stop a second time ends them at once."""

    _times_told = 0
    _has_said = False

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], say: Callable[[], None]) -> None:
        super().__init__(config, sockets)
        self._say = say

    @property
    def has_failed(self) -> bool:
        """Whether it ended since a worker could not start."""
        return any(process.exitcode == STARTUP_FAILURE for process in self.processes)

    def keep_subprocess_alive(self) -> None:
        super().keep_subprocess_alive()
        if not self._has_said and any(process.is_ready() for process in self.processes):
            self._has_said = True
            self._say()

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
