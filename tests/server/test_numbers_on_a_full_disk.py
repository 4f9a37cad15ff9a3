"""Where the workers' numbers can't be written down, whoever is asked still tells its own, and no outage of the database
is spoken of."""

import errno
from pathlib import Path

import pytest

from server.workers import Workers


def test_numbers_are_told_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    workers = Workers(str(tmp_path), lambda _: True, lambda _, one, other: one + other)
    workers.publish([("asked", (), 1)])
    monkeypatch.setattr(Path, "write_bytes", full)
    workers.publish([("asked", (), 2)])
    assert workers.together([("asked", (), 3)]) == [("asked", (), 3)]
