"""Gives each test that asks for one a database of its own, on the engine that SEALKEY_TEST_DATABASE names.

`database_url` is the URL of a database with the newest schema, `empty_database_url` that of one without any.
Tests that use either, however indirectly, are marked `database`, but for those of a few files that show nothing of
it, and `pytest -m database` runs them alone. A test marked `engine("postgres")` or `engine("sqlite")` is about that
engine and left out on the other.
"""

import asyncio
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests import postgres

_TESTS = Path(__file__).parent.parent
# What these show has nothing to do with the database, so that once is enough.
_WHATEVER_THE_ENGINE = (
    *("browser", "clients", "docs", "examples", "gateways", "graphiql", "limits", "persisted", "schema", "sdl"),
    *("wire/test_oauth_rfcs.py", "wire/test_verify.py", "wire/test_at_once.py", "wire/test_login_problems.py"),
    *("openid/test_forged_tokens.py", "openid/test_refused_claims.py", "sessions/test_cookies.py"),
    *("server/test_malformed.py", "server/test_graphql_over_http.py", "server/test_fuzzed_graphql.py"),
    *("server/test_redaction.py", "api/reading/test_page_arguments.py", "server/test_wire.py"),
    *("server/test_key_rotation.py", "server/test_sealed_keys.py", "server/test_keys_at_start.py"),
    *("server/test_command_line.py", "life/test_networks.py"),
    *("access/test_permissions.py", "access/test_reachable.py", "access/test_matrix.py", "openid/test_outages.py"),
    *("throttling/test_client_address.py", "wire/test_atlas_habits.py", "subscriptions/test_sse.py"),
    *("webhooks/test_dead_endpoints.py", "webhooks/test_targets.py", "webhooks/test_signatures.py"),
    *("subscriptions/test_sse.py", "subscriptions/test_websocket.py", "server/test_overload.py"),
    *("server/test_metrics.py", "server/test_stopping.py", "server/test_logs.py", "server/test_outages.py"),
    *("server/test_tracing.py", "server/test_bounded_requests.py", "server/test_canary.py"),
    *("openid/test_first_sight.py", "access/test_tenancy.py", "access/test_denials.py", "subscriptions/test_ends.py"),
    *("access_tokens/test_personal_tokens.py", "life/test_rotation_refused.py", "webhooks/test_endpoints.py"),
    *("openid/test_known_users.py", "life/test_policy.py", "life/test_boundaries.py", "api/test_signing_in.py"),
    *("access_tokens/test_gateway_tokens.py", "api/test_generating.py"),
)
ENGINE = os.environ.get("SEALKEY_TEST_DATABASE", "sqlite")

server_address = pytest.StashKey[str]()


class Databases(Protocol):
    """What `postgres.Databases` and `SqliteDatabases` have in common."""

    def create_database(self, name: str, template: str | None = None) -> str: ...
    def drop_database(self, name: str) -> None: ...


class SqliteDatabases:
    """Databases that are the files of a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def create_database(self, name: str, template: str | None = None) -> str:
        path = self.directory / f"{name}.sqlite3"
        if template is not None:
            # Once nobody has it open, a database is one file, whatever its journal mode.
            assert not Path(f"{self.directory / template}.sqlite3-wal").exists(), "the template is still open"
            shutil.copyfile(self.directory / f"{template}.sqlite3", path)
        return f"sqlite://{path}"

    def drop_database(self, name: str) -> None:
        for path in self.directory.glob(f"{name}.sqlite3*"):
            path.unlink()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "database: needs a database; set on the tests whose fixtures do")
    config.addinivalue_line("markers", "engine(name): is about this database engine; left out on the other")
    if ENGINE not in {"sqlite", "postgres"}:
        raise pytest.UsageError(f"SEALKEY_TEST_DATABASE is sqlite or postgres, not {ENGINE}")
    if ENGINE == "postgres":
        config.stash[server_address] = _server_address(config)


def _server_address(config: pytest.Config) -> str:
    """The address of the one server of this run: xdist's workers are told, everybody else starts it."""
    if hasattr(config, "workerinput"):
        address: str = config.workerinput["postgres_address"]
        return address
    until_the_end = ExitStack()
    config.add_cleanup(until_the_end.close)
    return until_the_end.enter_context(postgres.running_postgres()).address


@pytest.hookimpl(optionalhook=True)  # there is no such hook without xdist
def pytest_configure_node(node: Any) -> None:
    node.workerinput["postgres_address"] = node.config.stash.get(server_address, None)


@pytest.hookimpl(tryfirst=True)  # before -m looks at the markers
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("engine"):
            item.add_marker("database")
        if any(item.path.is_relative_to(_TESTS / path) for path in _WHATEVER_THE_ENGINE):
            continue
        if {"database_url", "empty_database_url", "databases"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("database")
    of_the_other = [item for item in items if _engine_of(item) not in {None, ENGINE}]
    if of_the_other:
        config.hook.pytest_deselected(items=of_the_other)
        items[:] = [item for item in items if item not in of_the_other]


def _engine_of(item: pytest.Item) -> str | None:
    marker = item.get_closest_marker("engine")
    return marker.args[0] if marker else None


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Databases:
    """Where the databases of this run's tests are made."""
    if ENGINE == "postgres":
        return postgres.Databases(request.config.stash[server_address])
    return SqliteDatabases(tmp_path_factory.mktemp("databases"))


@pytest.fixture(scope="session")
def names() -> Iterator[str]:
    """Names for databases, different ones in each process of the run."""
    process = os.environ.get("PYTEST_XDIST_WORKER", "main")
    return (f"test_{process}_{number}" for number in itertools.count())


@pytest.fixture(scope="session")
def migrated_template(databases: Databases, names: Iterator[str]) -> str:
    """The name of a database with the newest schema, which each test gets a copy of."""
    from models.migrating import migrate

    name = next(names)
    asyncio.run(migrate(databases.create_database(name)))
    return name


@pytest.fixture
def database_url(databases: Databases, names: Iterator[str], migrated_template: str) -> Iterator[str]:
    """The URL of a new database with the newest schema."""
    name = next(names)
    yield databases.create_database(name, migrated_template)
    databases.drop_database(name)


@pytest.fixture
def empty_database_url(databases: Databases, names: Iterator[str]) -> Iterator[str]:
    """The URL of a new database with nothing in it."""
    name = next(names)
    yield databases.create_database(name)
    databases.drop_database(name)
