"""Earlier versions of the server, as they were: their own code from the repository's history, in a process of its own.

A version is named by its last migration.
"""

import io
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from models import migrations
from tests.support.processes import ROOT, free_port, running_process
from torture.campaign import CampaignFailed

_FOLDER = Path(migrations.__file__).parent
# Nobody could have had these: their migrations and the form of the key file were still being written.
_NEVER_RAN = frozenset({"m0001_first", "m0002_access", "m0003_life"})
_NAME = re.compile(r"m\d{4}_\w+")
_MAIN = "import sys; from server.cli import main; sys.argv[0] = 'sealkey'; main()"


@dataclass(frozen=True)
class Version:
    """A version that can be run: where its code is."""

    last_migration: str
    code: Path

    def environment(self, settings: dict[str, str]) -> dict[str, str]:
        given = {f"SEALKEY_{name.upper()}": value for name, value in settings.items()}
        # Before the checkout's own path, which is on the environment's.
        return {"PYTHONPATH": str(self.code), "PATH": os.defpath, **given}

    def run(self, *arguments: str, stdin: str | None = None, **settings: str) -> str:
        """What a command of this version's says."""
        return subprocess.run(
            [sys.executable, "-P", "-c", _MAIN, *arguments],
            env=self.environment(settings),
            cwd=self.code,
            input=stdin,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    @contextmanager
    def serving(self, **settings: str) -> Iterator[str]:
        """A server's address."""
        port = free_port()
        # It is started in the checkout, which -P keeps off the path.
        command = [sys.executable, "-P", "-c", _MAIN, "serve", "--port", str(port)]
        environment = self.environment({"drain_seconds": "0", **settings})
        with running_process(command, environment, "is serving GraphQL"):
            yield f"http://127.0.0.1:{port}"


def newest() -> Version:
    """The checkout."""
    return Version(_names()[-1], ROOT)


def earlier(directory: Path) -> list[Version]:
    """The versions before each migration, the newest last, unpacked into a directory; none in a clone without its
    history. Raises CampaignFailed where the history lacks one."""
    if _git("rev-parse", "--is-shallow-repository").strip() != "false":
        return []
    names, newest_with = _names(), _newest_commits()
    versions = []
    for number, name in enumerate(names[:-1], start=1):
        if name in _NEVER_RAN:
            continue
        if (commit := newest_with.get(tuple(names[:number]))) is None:
            raise CampaignFailed(f"no commit has the migrations up to {name} and no others")
        versions.append(Version(name, _unpacked(commit, directory / name)))
    return versions


def _names() -> list[str]:
    return sorted(path.stem for path in _FOLDER.glob("m[0-9]*.py"))


def _newest_commits() -> dict[tuple[str, ...], str]:
    """By the migrations that its code has, the newest commit. Not by when each was added: some grew side by side, and
    were put in a row when they were merged."""
    commits = _git("rev-list", "HEAD").split()
    asked = "".join(f"{commit}:models/migrations\n" for commit in commits)
    trees = [line.split()[0] for line in _git("cat-file", "--batch-check", given=asked).splitlines()]
    newest: dict[str, str] = {}
    for commit, tree in zip(commits, trees, strict=True):
        newest.setdefault(tree, commit)
    found: dict[tuple[str, ...], str] = {}
    for tree, commit in newest.items():
        names = (Path(name).stem for name in _git("ls-tree", "--name-only", tree).split())
        found.setdefault(tuple(sorted(name for name in names if _NAME.fullmatch(name))), commit)
    return found


def _unpacked(commit: str, directory: Path) -> Path:
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(directory, filter="data")
    return directory


def _git(*arguments: str, given: str = "") -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, input=given, capture_output=True, text=True, check=False
    ).stdout
