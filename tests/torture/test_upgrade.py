"""The campaign, small: earlier versions go on while the database under them becomes the newest."""

import pytest

from torture.upgrade import upgrade


def test_a_database_is_upgraded_under_a_server_of_the_version_before(capsys: pytest.CaptureFixture[str]) -> None:
    upgrade(small=True)
    assert "upgrades killed" in capsys.readouterr().out
