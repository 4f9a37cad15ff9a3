"""PostgreSQL's own programs carry a database elsewhere, rules and all: what docs/operating.md says of restoring."""

import subprocess
from collections.abc import Iterator

import pytest

from tests import postgres
from tests.models.describe import describe
from tests.models.stocked import stock
from tests.plugins.database import Databases
from tests.support.rows import Rows

pytestmark = pytest.mark.engine("postgres")


def test_a_dump_is_restored_with_every_row_and_rule(
    database_url: str, databases: Databases, names: Iterator[str]
) -> None:
    rows = Rows(database_url)
    stock(rows)
    name = next(names)
    copy = Rows(databases.create_database(name))
    dump = run("pg_dump", "--format=custom", f"--dbname={database_url}")
    run("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={copy.url}", stdin=dump)
    assert describe(copy) == describe(rows)
    assert copy.dump() == rows.dump()
    databases.drop_database(name)


def run(program: str, *arguments: str, stdin: bytes = b"") -> bytes:
    command = [str(postgres._installation() / "bin" / program), *arguments]
    return subprocess.run(command, input=stdin, check=True, capture_output=True).stdout
