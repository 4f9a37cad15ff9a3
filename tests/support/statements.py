"""What a server in this process asks its database."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from unittest.mock import patch

import structlog

from resolvers.check_memory import CheckMemory

_LOGGER = logging.getLogger("tortoise.db_client")


class _Collector(logging.Handler):
    def __init__(self, of_requests: bool) -> None:
        super().__init__(logging.DEBUG)
        self._of_requests = of_requests
        self.statements: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if self._of_requests and "request_id" not in structlog.contextvars.get_contextvars():
            return
        # Of all that is logged there, statements come with their values.
        if record.msg == "%s: %s" and isinstance(record.args, tuple):
            self.statements.append(str(record.args[0]))


def _nobody(*_: object) -> None:
    return None


@contextmanager
def statements(*, of_requests: bool = True, remembering_people: bool = False) -> Iterator[list[str]]:
    """Every statement that is run inside, as it is run, without its values: for requests alone, or also what the
    server does beside them. Who asks is looked up each time, unless they may be remembered, as they are where that
    happens to be just so."""
    collector, level, propagates = _Collector(of_requests), _LOGGER.level, _LOGGER.propagate
    _LOGGER.addHandler(collector)
    _LOGGER.setLevel(logging.DEBUG)
    _LOGGER.propagate = False
    try:
        with nullcontext() if remembering_people else patch.object(CheckMemory, "find_person", _nobody):
            yield collector.statements
    finally:
        _LOGGER.removeHandler(collector)
        _LOGGER.setLevel(level)
        _LOGGER.propagate = propagates
