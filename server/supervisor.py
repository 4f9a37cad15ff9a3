"""The process that starts the workers, and waits for them to end."""

import os
import signal
import tempfile
import time

import uvicorn
from uvicorn.supervisors import Multiprocess

from server.listening import several_times
from server.workers import DIRECTORY

_LOOKS_EVERY = 0.05


class Supervisor(Multiprocess):
    """uvicorn's own; told to stop a second time, it ends the workers at once."""

    _times_told = 0

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


def serve_with_workers(config: uvicorn.Config) -> None:
    """Until it is told to stop. The workers have a directory in common."""
    with tempfile.TemporaryDirectory(prefix="sealkey-workers-") as directory:
        os.environ[DIRECTORY] = directory
        Supervisor(config, several_times(config.bind_socket())).run()
