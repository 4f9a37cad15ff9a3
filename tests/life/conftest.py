"""What the tests of a credential's life share."""

import pytest

from tests.life.scene import Scene
from tests.plugins.play import StartPlay


@pytest.fixture
def scene(start_play: StartPlay) -> Scene:
    """Sessions last for a month, since the clock is moved."""
    return Scene(start_play(session_hours=720, session_idle_minutes=43_200))
