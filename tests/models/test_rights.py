"""A PostgreSQL role that may not do everything: one sentence says what right is missing and how it is given; and a role
that may use the tables, and nothing else, serves where the schema is the newest."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.docs.markdown import blocks, page, section
from tests.plugins.database import Databases
from tests.support.command import error_of, run
from tests.support.rows import Rows
from tests.support.server import START, FakeClock, running_server

pytestmark = pytest.mark.engine("postgres")

MAKING = [
    ("db", "upgrade"),
    ("serve",),
    ("demo",),
    ("operator", "create", "--email", "o@provider.example"),
]
LOOKING = [
    ("keys", "list"),
    ("keys", "rotate"),
    ("audit", "verify"),
    ("audit", "export"),
    ("audit", "checkpoint"),
]
PASSWORD = "correct horse battery staple"
RIGHTS = blocks(section(page("docs/operating.md"), "### PostgreSQL"), "sql")[0].text


@pytest.fixture
def role(databases: Databases, names: Iterator[str]) -> str:
    """One that may sign in, and nothing else."""
    assert isinstance(databases, postgres.Databases)
    name = next(names)
    databases.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'hunter2'")
    return name


@pytest.fixture
def told(tmp_path: Path, role: str) -> Callable[[str, tuple[str, ...]], str]:
    """The sentence that a command ends with for that role."""

    def told(url: str, command: tuple[str, ...]) -> str:
        said = error_of(run(tmp_path, *command, stdin=PASSWORD, database_url=of(role, url)))
        assert role not in said
        return said

    return told


def of(role: str, url: str) -> str:
    return f"postgres://{role}:hunter2@{url.rpartition('@')[2]}"


def test_what_makes_a_schema_says_that_the_role_may_not(
    empty_database_url: str, told: Callable[[str, tuple[str, ...]], str]
) -> None:
    for command in MAKING:
        said = told(empty_database_url, command)
        assert "permission denied for schema public" in said, command
        assert "GRANT USAGE, CREATE ON SCHEMA" in said, command
        said = told(f"{empty_database_url}?schema=other", command)
        assert "CREATE SCHEMA" in said, command
    for command in LOOKING:
        assert "The database is empty" in told(empty_database_url, command)
        assert "CREATE SCHEMA" in told(f"{empty_database_url}?schema=other", command)


def test_a_role_without_rights_on_the_tables_is_told_of_it_by_every_command(
    database_url: str, tmp_path: Path, told: Callable[[str, tuple[str, ...]], str]
) -> None:
    run(tmp_path, "operator", "create", "--email", "a@provider.example", stdin=PASSWORD, database_url=database_url)
    for command in (*MAKING, *LOOKING):
        said = told(database_url, command)
        assert "permission denied for table tortoise_migrations" in said, command
        assert "docs/operating.md" in said, command


def test_a_role_with_the_rights_that_are_documented_serves(database_url: str, tmp_path: Path, role: str) -> None:
    rows, url = Rows(database_url), of(role, database_url)
    for statement in RIGHTS.replace("TO sealkey", f'TO "{role}"').split(";")[:-1]:
        rows.execute(statement)
    for command in (MAKING[0], MAKING[-1], *LOOKING):
        done = run(tmp_path, *command, stdin=PASSWORD, database_url=url)
        assert done.exit_code == 0, done.output
    with running_server(url, tmp_path, FakeClock(START)) as server:
        fields = {"email": "o@provider.example", "password": PASSWORD}
        assert server.client().do("signIn", "viewer { role }", **fields)["viewer"]["role"] == "OPERATOR"
        server.keep_house()
