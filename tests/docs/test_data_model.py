"""The data model is documented as it is in a database."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from models.credential import CredentialBlocker, CredentialStatus
from models.identity import IdentityStatus
from models.service import ServiceStatus
from resolvers.audit import EventType
from tests.docs.markdown import blocks, in_code, page, rows, section

MODEL = page("docs/data-model.md")
(DIAGRAM,) = [block.text for block in blocks(MODEL, "mermaid")]
# Tortoise's own.
MIGRATIONS = "tortoise_migrations"

Column = tuple[str, tuple[str, ...]]


@pytest.fixture
def database(database_url: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(database_url.removeprefix("sqlite://"))) as connection:
        yield connection


def names(database: sqlite3.Connection, kind: str) -> set[str]:
    found = database.execute("SELECT name FROM sqlite_master WHERE type = ? AND name NOT LIKE 'sqlite_%'", [kind])
    return {name for (name,) in found} - {MIGRATIONS}


def foreign_keys(database: sqlite3.Connection, table: str) -> dict[str, str]:
    """The tables that a table's columns refer to."""
    return {row[3]: row[2] for row in database.execute(f"PRAGMA foreign_key_list({table})")}


def unique(database: sqlite3.Connection, table: str) -> dict[str, tuple[str, ...]]:
    """The unique indexes of a table and their columns, but for its primary key's."""
    indexes = [row[1] for row in database.execute(f"PRAGMA index_list({table})") if row[2] and row[3] != "pk"]
    return {
        index: tuple(row[2] for row in database.execute(f"PRAGMA index_info({index})")) for index in sorted(indexes)
    }


def columns(database: sqlite3.Connection, table: str) -> list[Column]:
    """Each column's name, and what the diagram says of it."""
    foreign, single = foreign_keys(database, table), set(unique(database, table).values())
    found = []
    for _, name, _, not_null, _, key in database.execute(f"PRAGMA table_info({table})"):
        marks = {"PK": key, "FK": name in foreign, "UK": (name,) in single, "null": not (not_null or key)}
        found.append((name, tuple(mark for mark, holds in marks.items() if holds)))
    return found


def drawn() -> dict[str, list[Column]]:
    """The tables of the diagram."""
    tables = re.findall(r"^    (\w+) \{\n(.*?)^    \}$", DIAGRAM, re.MULTILINE | re.DOTALL)
    return {table: [_drawn(line) for line in lines.splitlines()] for table, lines in tables}


def _drawn(line: str) -> Column:
    _, name, rest = re.fullmatch(r" {8}(uuid|text|int|bool|instant) (\w+)(.*)", line).groups()  # type: ignore[union-attr]
    return name, tuple(re.findall(r"PK|FK|UK|null", rest))


@pytest.mark.engine("sqlite")
def test_every_table_and_column_is_drawn(database: sqlite3.Connection) -> None:
    assert drawn() == {table: columns(database, table) for table in drawn()}
    listed = [in_code(row[0])[0] for row in rows(MODEL, "table", "a row is")]
    assert set(drawn()) == set(listed) == names(database, "table")
    assert len(listed) == len(set(listed))


@pytest.mark.engine("sqlite")
def test_every_reference_is_drawn(database: sqlite3.Connection) -> None:
    lines = re.findall(r"^    (\w+) (\|[|o])--o\{ (\w+) :", DIAGRAM, re.MULTILINE)
    there = {(to, table) for table in drawn() for to in foreign_keys(database, table).values()}
    assert sorted((parent, child) for parent, _, child in lines) == sorted(there)
    maybe_none = {(parent, child) for parent, kind, child in lines if kind == "|o"}
    assert maybe_none == {
        ("users", "audit_events"),
        ("accounts", "users"),
        ("accounts", "access_tokens"),
        ("users", "access_tokens"),
        ("credentials", "credentials"),
    }


@pytest.mark.engine("sqlite")
def test_everything_that_the_database_enforces_is_listed(database: sqlite3.Connection) -> None:
    table = rows(section(MODEL, "## What the database itself enforces"), "what must hold", "by")
    listed = [name for row in table for name in in_code(row[1])]
    constraints = set[str]()
    for (sql,) in database.execute("SELECT sql FROM sqlite_master WHERE type = 'table'"):
        constraints.update(re.findall(r"CONSTRAINT (\w+)", sql))
    indexes = {index for table in drawn() for index in unique(database, table)}
    assert sorted(listed) == sorted(names(database, "trigger") | indexes | constraints)


def test_every_status_is_explained() -> None:
    table = rows(section(MODEL, "## Statuses that follow from the clock"), "thing", "status", "holds when")
    explained = [(thing, status) for thing, statuses, _ in table for status in statuses.split(", ")]
    expected = {
        *(("identity", status.value) for status in IdentityStatus),
        *(("service", status.value) for status in ServiceStatus),
        *(("credential", status.value) for status in CredentialStatus),
    }
    assert sorted(explained) == sorted(expected)


def test_the_blockers_are_listed_in_their_order() -> None:
    text = section(MODEL, "## Statuses that follow from the clock").partition("`blockers`")[2]
    assert re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b|\b(?:REVOKED|EXPIRED)\b", text) == list(CredentialBlocker)


def test_every_kind_of_event_is_listed() -> None:
    table = rows(section(MODEL, "## The audit chain"), "type", "when")
    assert [in_code(row[0])[0] for row in table] == list(EventType)
