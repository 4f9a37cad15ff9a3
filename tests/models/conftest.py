"""What the tests of the models share."""

from collections.abc import Iterator

import pytest

from tests.models.stocked import stock
from tests.plugins.database import Databases
from tests.support.rows import Rows


@pytest.fixture(scope="module")
def stocked(databases: Databases, names: Iterator[str], migrated_template: str) -> Iterator[Rows]:
    """The rows of a database that all tests of a file must leave as it is."""
    name = next(names)
    rows = Rows(databases.create_database(name, migrated_template))
    stock(rows)
    with rows.unchanged():
        yield rows
    databases.drop_database(name)
