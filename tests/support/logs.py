"""What a server in this process logs."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import structlog

from server import logs


@contextmanager
def recorded_logs() -> Iterator[io.StringIO]:
    """Everything that is logged inside, however. A server goes on writing there for as long as it runs: a capture of
    pytest's would be closed by then."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    with unchanged_logs():
        logs._Ready.logger = logs.log  # whoever configured it before had it write elsewhere
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(text))
        logging.getLogger().addHandler(handler)
        try:
            yield text
        finally:
            logging.getLogger().removeHandler(handler)


@contextmanager
def unchanged_logs() -> Iterator[None]:
    """Afterwards what is logged goes where it went before."""
    before = structlog.get_config()
    with patch.object(logs._Ready, "logger", logs._Ready.logger):
        try:
            yield
        finally:
            structlog.configure(**before)
