"""What others check API keys with, installed from their registries when first asked for, and measured beside.

Each gets the same keys in a database of its own and as many processes as Sealkey has workers.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from bench.cases import Case, graphql_single
from bench.data import Data
from bench.load import Part, Request, get
from bench.progress import say
from bench.servers import Server, ServerFailed, running
from bench.throughput import Subject
from tests.support.processes import free_port

_HERE = Path(__file__).parent


def _get(authorization: Sequence[Part], data: Data) -> Request:
    return get("/verify", {}, authorization, data.pairs, data.warm)


def _bearer(data: Data) -> Request:
    return _get(["Bearer ", (29, 93)], data)


def _api_key(data: Data) -> Request:
    return _get(["Api-Key ", (12, 20), ".", (29, 93)], data)


BETTER_AUTH = Case("better-auth", "API-key plugin, SQLite", _bearer)
DJANGO = Case("django-api-key", "djangorestframework-api-key, SQLite", _api_key)
MERCURIUS = Case("mercurius", "verifyCredential with JIT, in memory", graphql_single)


def peers(home: Path, data: Data, runs: Path, workers: int) -> list[Subject]:
    """All of them, with so many processes each. `home` is where they are installed."""

    def node(module: str) -> AbstractContextManager[Server]:
        port, database = free_port(), data.directory / f"{module}.sqlite3"
        pairs = [str(data.pairs.path), str(data.credentials), str(database)]
        command: list[str | Path] = ["node", _installed_node(home) / "run.mjs", module, str(port), str(workers), *pairs]
        ready = "/verify" if module == "better-auth" else "/graphql"
        return running(command, {"NODE_ENV": "production"}, runs / f"{module}-{workers}.log", port, ready=ready)

    def django() -> AbstractContextManager[Server]:
        programs, port = _installed_django(home), free_port()
        environment = {"PEER_DATABASE": str(data.directory / "django.sqlite3"), "PYTHONPATH": str(_HERE / "django")}
        fill: list[str | Path] = [programs / "python", _HERE / "django/peer.py", data.pairs.path, str(data.credentials)]
        subprocess.run(fill, env=environment, check=True)
        options = ["--workers", str(workers), "--bind", f"127.0.0.1:{port}", "--log-level", "warning"]
        command: list[str | Path] = [programs / "gunicorn", *options, "peer:application"]
        return running(command, environment, runs / f"django-{workers}.log", port, ready="/verify")

    return [
        Subject("better-auth", BETTER_AUTH, workers, lambda: node("better-auth")),
        Subject("django", DJANGO, workers, django),
        Subject("mercurius", MERCURIUS, workers, lambda: node("mercurius")),
    ]


@contextmanager
def running_postgraphile(home: Path, database_url: str, log: Path) -> Iterator[Server]:
    """PostGraphile on a PostgreSQL database of Sealkey's."""
    port = free_port()
    command: list[str | Path] = ["node", _installed(home, "postgraphile") / "serve.mjs", str(port), database_url]
    with running(command, {"NODE_ENV": "production"}, log, port, ready="/graphql") as server:
        yield server


def _installed_node(home: Path) -> Path:
    return _installed(home, "node")


def _installed(home: Path, name: str) -> Path:
    """A folder with servers for Node.js, and the packages that they are made of."""
    directory, source = home / name, _HERE / name
    lock = source / "package-lock.json"
    directory.mkdir(parents=True, exist_ok=True)
    installed = directory / "installed-lock.json"
    if not installed.exists() or installed.read_bytes() != lock.read_bytes():
        for file in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copyfile(source / file, directory / file)
        _install(["npm", "ci", "--no-audit", "--no-fund"], directory, f"npm packages of {name}")
        shutil.copyfile(lock, installed)
    for module in source.glob("*.mjs"):
        shutil.copyfile(module, directory / module.name)
    return directory


def _installed_django(home: Path) -> Path:
    """The programs of an environment of its own."""
    directory, requirements = home / "django", _HERE / "django/requirements.txt"
    installed = directory / "installed.txt"
    if not installed.exists() or installed.read_bytes() != requirements.read_bytes():
        _install([sys.executable, "-m", "venv", "--clear", str(directory)], _HERE, "an environment for Django")
        pip = [str(directory / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        _install([*pip, "-r", str(requirements)], _HERE, "Django and its packages")
        shutil.copyfile(requirements, installed)
    return directory / "bin"


def _install(command: list[str], directory: Path, what: str) -> None:
    say(f"Installing {what}, which can take a few minutes.")
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ServerFailed(f"{command[0]} is not on the path; --no-peers goes without.") from None
    if done.returncode:
        raise ServerFailed(f"{' '.join(command)} failed.\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
