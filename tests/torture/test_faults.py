"""Statements that fail, one after the other; `make torture CAMPAIGN=faults` has all requests and kinds of failure."""

from tests.plugins.database import ENGINE, Databases
from torture import faults


def test_a_statement_that_fails_changes_nothing_loses_nothing_and_is_told_of(databases: Databases) -> None:
    figures = faults.on(databases, ENGINE, small=True)
    assert figures.faults > 50
