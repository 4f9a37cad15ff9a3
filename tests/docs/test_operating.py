"""The commands for backing up and restoring do what is said, in their order."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.docs.markdown import blocks, page, section
from tests.docs.test_main_job import needs_programs
from tests.support.command import SEALKEY, error_of, run
from tests.support.rows import Rows

OPERATING = page("docs/operating.md")
COPY = "sealkey.sqlite3"


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """Where things are in the documentation, and where they are here."""
    places = {
        "/var/lib/sealkey": str(tmp_path / "data"),
        "/backups-of-keys/": f"{tmp_path}/keys/",
        "/backups/": f"{tmp_path}/backups/",
        "/srv/drill": str(tmp_path / "drill"),
    }
    for name in ("keys", "backups"):
        (tmp_path / name).mkdir()
    return places


def sh(places: dict[str, str], heading: str) -> None:
    """Runs what stands under a heading."""
    script = "\n".join(block.text for block in blocks(_unindented(section(OPERATING, heading)), "sh"))
    for said, here in places.items():
        script = script.replace(said, here)
    environment = {
        "PATH": f"{SEALKEY.parent}{os.pathsep}{os.environ['PATH']}",
        "SEALKEY_DATA_DIR": places["/var/lib/sealkey"],
        "PASSWORD": "correct horse battery staple",
    }
    done = subprocess.run(["sh", "-eu", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _unindented(text: str) -> str:
    return "\n".join(line.removeprefix("   ") for line in text.splitlines()) + "\n"


@needs_programs
def test_a_deployment_is_backed_up_and_restored(places: dict[str, str], tmp_path: Path) -> None:
    sh(places, "## Deploying")
    sh(places, "## Backing up")
    database = f"sqlite://{places['/var/lib/sealkey']}/{COPY}"
    before = Rows(database).dump()
    Rows(database).execute("UPDATE users SET display_name = 'changed since'")
    sh(places, "## Restoring")
    assert Rows(database).dump() == before
    replaced = Rows(f"sqlite://{places['/var/lib/sealkey']}/replaced/{COPY}")
    assert replaced.execute("SELECT display_name FROM users") == [("changed since",)]
    assert Rows(f"sqlite://{places['/srv/drill']}/{COPY}").execute("SELECT count(*) FROM users") == [(2,)]


@needs_programs
def test_the_drill_notices_keys_of_another_database(places: dict[str, str], tmp_path: Path) -> None:
    sh(places, "## Deploying")
    sh(places, "## Backing up")
    other = tmp_path / "other"
    run(other, "operator", "create", "--email", "o@provider.example", stdin="correct horse battery staple")
    (other / COPY).write_bytes((tmp_path / "backups" / COPY).read_bytes())
    (other / f"{COPY}-wal").unlink(missing_ok=True)
    refused = run(other, "operator", "create", "--email", "p@provider.example", stdin="correct horse battery staple")
    assert "give the server the keys it had" in error_of(refused)


def test_what_ends_sessions_and_tokens_is_sql_of_both_engines(database_url: str) -> None:
    rows = Rows(database_url)
    (block,) = blocks(_unindented(section(OPERATING, "## Restoring")), "sql")
    for statement in block.text.split(";"):
        if statement.strip():
            rows.execute(statement)
