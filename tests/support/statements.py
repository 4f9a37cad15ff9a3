"""What a server in this process asks its database."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGER = logging.getLogger("tortoise.db_client")


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.statements: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # Of all that is logged there, statements come with their values.
        if record.msg == "%s: %s" and isinstance(record.args, tuple):
            self.statements.append(str(record.args[0]))


@contextmanager
def statements() -> Iterator[list[str]]:
    """Every statement that is run inside, as it is run."""
    collector, level = _Collector(), _LOGGER.level
    _LOGGER.addHandler(collector)
    _LOGGER.setLevel(logging.DEBUG)
    try:
        yield collector.statements
    finally:
        _LOGGER.removeHandler(collector)
        _LOGGER.setLevel(level)
