"""What a server in this process logs."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


@contextmanager
def recorded_logs() -> Iterator[io.StringIO]:
    """Everything that is logged inside, however. A server goes on writing there for as long as it runs: a capture of
    pytest's would be closed by then."""
    text, before = io.StringIO(), structlog.get_config()
    handler = logging.StreamHandler(text)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(text))
    logging.getLogger().addHandler(handler)
    try:
        yield text
    finally:
        logging.getLogger().removeHandler(handler)
        structlog.configure(**before)
