"""`logs`: what the server logs."""

import io
from collections.abc import Iterator

import pytest

from tests.support.logs import recorded_logs


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """What the server logs."""
    with recorded_logs() as logs:
        yield logs
