"""The benchmark runs, small: what it measures, nobody tests."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from auth.crypto.credential_format import is_api_key, is_api_secret
from bench.cases import BATCH, CASES
from bench.data import Data, pair, prepare
from bench.load import LoadFailed, Wrk
from bench.servers import running_empty, running_sealkey
from bench.throughput import filled_database

pytestmark = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")

_QUICK = (
    *("--credentials", "500", "--seconds", "0.3", "--rounds", "1"),
    *("--no-peers", "--connections", "4", "--flushes-every", "1"),
)


def run(directory: Path, *arguments: str) -> str:
    """What it prints. It keeps its rows where it is started."""
    command = [sys.executable, "-m", "bench", *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def a_few(directory: Path) -> Data:
    return prepare(directory, credentials=50, warm=20, seed=1, fresh=False)


def test_throughput_beside_an_empty_answer(tmp_path: Path) -> None:
    shown = run(tmp_path, *_QUICK, "--only", "sqlite/verify-warm/1")
    assert "| sqlite | /verify, Basic, warm |" in " ".join(shown.split())
    assert (tmp_path / "var/bench/result.md").read_text() in shown


def test_every_case_is_answered_as_it_expects(tmp_path: Path) -> None:
    data = prepare(tmp_path / "data", credentials=200, warm=BATCH, seed=1, fresh=False)
    with filled_database(data, "sqlite", tmp_path) as url, running_sealkey(data, url, tmp_path / "log") as server:
        for case in CASES:
            assert Wrk(2).ask_all(server.address, case.request(data), seed=1).requests, case.name


@pytest.mark.engine("postgres")
def test_throughput_of_several_workers_on_postgres(tmp_path: Path) -> None:
    assert "| postgres |" in run(tmp_path, *_QUICK, "--only", "postgres/verify-warm/2")


def test_staleness(tmp_path: Path) -> None:
    arguments = ("--database", "sqlite", "--revocations", "3", "--connections", "1", "--no-outage")
    assert "kept" in run(tmp_path, "staleness", *arguments)


def test_timing(tmp_path: Path) -> None:
    assert "tell" in run(tmp_path, "timing", "--requests", "40", "--credentials", "100").lower()


def test_pages(tmp_path: Path) -> None:
    rows = ("--credentials", "1000", "--audit-events", "1000")
    arguments = ("--database", "sqlite", *rows, "--times", "1", "--no-peers")
    shown = run(tmp_path, "pages", *arguments)
    assert [line.split("|")[2].strip() for line in shown.splitlines() if line.startswith("| auditEvents")] == [
        "first",
        "middle",
        "last",
    ]


def test_subscriptions(tmp_path: Path) -> None:
    shown = run(tmp_path, "subscriptions", "--subscribers", "20", "--changes", "2")
    assert "|          20 |       2 |" in shown


def test_rows_are_kept(tmp_path: Path) -> None:
    made = a_few(tmp_path).pairs.path.stat().st_mtime_ns
    assert a_few(tmp_path).pairs.path.stat().st_mtime_ns == made


def test_keys_and_secrets_follow_from_the_seed_and_have_the_right_form() -> None:
    key, secret = pair(7, 1)
    assert (key, secret) == pair(7, 1)
    assert is_api_key(key)
    assert is_api_secret(secret)
    assert len({text for seed in (7, 8) for number in range(2) for text in pair(seed, number)}) == 8


@pytest.mark.parametrize("case", ["graphql", "login"])
def test_an_answer_that_is_not_as_expected_fails_loudly(case: str, tmp_path: Path) -> None:
    data = a_few(tmp_path)
    request = next(each for each in CASES if each.name == case).request(data)
    with running_empty(tmp_path / "log") as server, pytest.raises(LoadFailed, match="not as expected"):
        Wrk(2).ask_all(server.address, request, seed=1)
