"""Databases as earlier versions left them: made by the migrations up to one of them."""

import pkgutil
from collections.abc import Mapping
from typing import Any

from tortoise.migrations.executor import MigrationExecutor, MigrationTarget

from models import database, migrations
from models.database import connected, transaction
from tests.support.rows import Rows

NAMES = sorted(module.name for module in pkgutil.iter_modules(migrations.__path__) if module.name.startswith("m"))
"""Of the migrations, in order."""

Tables = dict[str, list[Mapping[str, Any]]]


async def migrate_to(url: str, name: str) -> None:
    """As an upgrade by the version whose last migration this was."""
    async with connected(url), transaction() as connection:
        executor = MigrationExecutor(connection, {"models": database.APP})
        await executor.recorder.ensure_schema(executor._schema_editor(atomic=False))
        await executor.migrate([MigrationTarget(app_label="models", name=name)])


def columns(rows: Rows) -> dict[str, dict[str, bool]]:
    """By table and column, whether a row can be added without naming it."""
    if rows.engine == "postgres":
        asked = (
            "SELECT table_name, column_name, is_nullable = 'YES' OR column_default IS NOT NULL "
            "FROM information_schema.columns WHERE table_schema = 'public'"
        )
    else:
        asked = (
            'SELECT tables.name, columns.name, NOT columns."notnull" OR columns.dflt_value IS NOT NULL '
            "FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns "
            "WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%'"
        )
    found: dict[str, dict[str, bool]] = {}
    for table, column, may_be_left_out in rows.execute(asked):
        if table != "tortoise_migrations":
            found.setdefault(str(table), {})[str(column)] = bool(may_be_left_out)
    return found


def contents(rows: Rows, of: Mapping[str, Mapping[str, bool]] | None = None) -> Tables:
    """Every row of every table, or of those columns."""
    return {
        table: [
            dict(zip(names, row, strict=True))
            for row in sorted(rows.execute(f"SELECT {', '.join(names)} FROM {table}"), key=repr)
        ]
        for table, names in (columns(rows) if of is None else of).items()
    }
