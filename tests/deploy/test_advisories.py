"""What is said of advisories about the packages that a server is made of."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.deploy.advisories import main

FINE = {"name": "fine", "version": "1", "vulns": []}
ADVISED = {"name": "bad", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "unknown", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "status", "told"),
    [
        ([FINE], 0, ""),
        ([FINE, ADVISED], 1, "bad 2 is advised against: PYSEC-1.\n"),
        ([FINE, UNKNOWN], 0, "PyPI could not be asked for advisories about every package; make audit tries again.\n"),
        (None, 0, "PyPI could not be asked for advisories about every package; make audit tries again.\n"),
    ],
)
def test_an_advisory_fails_the_check_and_nobody_to_ask_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], packages: list[dict[str, Any]] | None, status: int, told: str
) -> None:
    file = tmp_path / "advisories.json"
    if packages is not None:
        file.write_bytes(orjson.dumps({"dependencies": packages}))
    assert main(file) == status
    assert "".join(capsys.readouterr()) == told
