"""The campaign, small: earlier versions go on while the database under them becomes the newest."""

from pathlib import Path

import pytest

from tests.models.versions import NAMES
from torture.earlier import earlier
from torture.upgrade import upgrade


def test_a_database_is_upgraded_under_a_server_of_the_version_before(capsys: pytest.CaptureFixture[str]) -> None:
    upgrade(small=True)
    assert "upgrades killed" in capsys.readouterr().out


def test_the_code_of_each_version_is_its_own(tmp_path: Path) -> None:
    for version in earlier(tmp_path):
        have = sorted(file.stem for file in (version.code / "models" / "migrations").glob("m[0-9]*.py"))
        assert have == NAMES[: NAMES.index(version.last_migration) + 1]
