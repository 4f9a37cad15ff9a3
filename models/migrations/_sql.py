"""Migrations are plain SQL: what is in the database is what stands here, on both engines.

Tortoise's own operations leave out conditional indexes and constraints on one engine or the other. Types are written
as PostgreSQL names them; SQLite gets the ones that Tortoise's fields read and write there.
"""

from typing import Any

from tortoise.migrations.operations import RunSQL
from tortoise.migrations.schema_editor.base import BaseSchemaEditor

_SQLITE_TYPES = {"UUID": "CHAR(36)", "TIMESTAMPTZ": "TIMESTAMP", "BOOLEAN": "INT", 'COLLATE "C"': "COLLATE BINARY"}


class Statements(RunSQL):
    """SQL for both engines, with what only one of them understands beside it, run in this order."""

    def __init__(self, shared: list[str], *, sqlite: list[str], postgres: list[str]) -> None:
        super().__init__(shared)
        self._only = {"sqlite": sqlite, "postgres": postgres}

    async def _run_sql(self, state_editor: BaseSchemaEditor, sqls: Any) -> None:
        dialect = state_editor.client.capabilities.dialect
        for statement in [*sqls, *self._only[dialect]]:
            await state_editor.client.execute_query(_translated(statement, dialect))


def _translated(statement: str, dialect: str) -> str:
    if dialect != "sqlite" or not statement.startswith(("CREATE TABLE", "ALTER TABLE")):
        return statement
    for postgres_type, sqlite_type in _SQLITE_TYPES.items():
        statement = statement.replace(f" {postgres_type}", f" {sqlite_type}")
    return statement


def refuse(name: str, event: str, table: str, condition: str, message: str) -> tuple[list[str], list[str]]:
    """A trigger by which the database itself refuses an event where the condition holds: for SQLite, for PostgreSQL.
    OLD and NEW are the row before and after, as both engines name them."""
    when = f"WHEN ({condition}) " if condition else ""
    return (
        [
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW {when}"
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        ],
        [
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END $$",
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW {when}EXECUTE FUNCTION {name}()",
        ],
    )


def refuse_where(name: str, event: str, table: str, condition: str, message: str) -> tuple[list[str], list[str]]:
    """As `refuse`, for a condition that asks other rows: PostgreSQL allows that only inside the function."""
    sqlite, _ = refuse(name, event, table, condition, message)
    return (
        sqlite,
        [
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {condition} THEN "
            f"RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW; END $$",
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
        ],
    )
