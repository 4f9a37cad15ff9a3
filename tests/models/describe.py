"""What a database is made of, in words that are the same for both engines, read from its own catalogue."""

import re
from collections.abc import Iterable

from tests.support.rows import Rows

# Tortoise's note of which migrations ran, and SQLite's of what it numbers there.
_NOT_OURS = {"tortoise_migrations", "sqlite_sequence"}


def describe(rows: Rows) -> str:
    """Every table with its columns, then its checks, indexes and triggers by name."""
    tables = _sqlite(rows) if rows.engine == "sqlite" else _postgres(rows)
    return "\n".join(line for name, lines in sorted(tables.items()) for line in ["", name, *_indented(lines)]) + "\n"


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _column(name: str, type_: str, nullable: bool, reference: str | None) -> str:
    of = f" of {reference}" if reference else ""
    return f"{name}: {type_}{of}{' or null' if nullable else ''}"


def _index(definition: str) -> str:
    """From `CREATE UNIQUE INDEX name ON public.things USING btree (a, b) WHERE (c IS NULL)`."""
    found = re.fullmatch(
        r"CREATE (UNIQUE )?INDEX (\w+) ON [\w.]+(?: USING btree)? \(([^()]+)\)(?: WHERE (.+))?", definition
    )
    assert found, f"an index of a kind that there was none of: {definition}"
    unique, name, columns, condition = found.groups()
    where = f" where {condition.strip('()')}" if condition else ""
    return f"{'unique ' if unique else ''}index {name} ({columns}){where}"


def _trigger(definition: str) -> str:
    """From `CREATE TRIGGER name BEFORE UPDATE ON public.things FOR EACH ROW …`."""
    found = re.match(r"CREATE TRIGGER (\w+) (BEFORE \w+) ON [\w.]+ FOR EACH (?:ROW|STATEMENT) ", definition)
    assert found, f"a trigger of a kind that there was none of: {definition}"
    name, occasion = found.groups()
    return f"trigger {name} {occasion.lower()}"


def _check(name: str | None, columns: Iterable[str]) -> str:
    return f"check {name + ' ' if name else ''}({', '.join(sorted(columns))})"


_SQLITE_TYPES = {"CHAR(36)": "uuid", "TIMESTAMP": "instant", "INT": "integer"}


def _sqlite(rows: Rows) -> dict[str, list[str]]:
    schema = rows.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")
    tables = {name: sql for type_, name, _, sql in schema if type_ == "table" and name not in _NOT_OURS}
    described = {}
    for table, sql in tables.items():
        columns = rows.execute(f"SELECT name, type, \"notnull\", pk FROM pragma_table_info('{table}')")
        references = dict(rows.execute(f'SELECT "from", "table" FROM pragma_foreign_key_list(\'{table}\')'))
        actions = rows.execute(f"SELECT DISTINCT on_update, on_delete FROM pragma_foreign_key_list('{table}')")
        assert actions in ([], [("NO ACTION", "NO ACTION")])
        described[table] = [
            *(
                _column(name, _SQLITE_TYPES.get(type_, type_.lower()), not not_null, references.get(name))
                for name, type_, not_null, _ in columns
            ),
            f"key ({', '.join(name for name, _, _, pk in sorted(columns, key=lambda column: column[3]) if pk)})",
            *sorted(_sqlite_checks(sql, {str(name) for name, *_ in columns})),
            *sorted(_index(sql) for type_, _, of, sql in schema if (type_, of) == ("index", table) and sql),
            *sorted(_trigger(sql) for type_, _, of, sql in schema if (type_, of) == ("trigger", table)),
        ]
    return described


def _sqlite_checks(sql: str, columns: set[str]) -> list[str]:
    """SQLite keeps the text of CREATE TABLE and nothing more."""
    checks = []
    for found in re.finditer(r"(?:CONSTRAINT (\w+)\s+)?CHECK\s*\(", sql):
        condition = re.sub(r"'[^']*'", "", _until_closed(sql[found.end() :]))
        checks.append(_check(found[1], columns & set(re.findall(r"\w+", condition))))
    return checks


def _until_closed(text: str) -> str:
    open_ = 1
    for position, character in enumerate(text):
        open_ += {"(": 1, ")": -1}.get(character, 0)
        if not open_:
            return text[:position]
    raise AssertionError("unbalanced")


_POSTGRES_TYPES = {"timestamp with time zone": "instant", "boolean": "flag"}
_POSTGRES_TABLES = "SELECT oid, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
_POSTGRES_COLUMNS = """
    SELECT attname, format_type(atttypid, atttypmod), attnotnull, (
        SELECT confrelid::regclass || CASE WHEN (confupdtype, confdeltype) = ('a', 'a') THEN '' ELSE ' with action' END
        FROM pg_constraint WHERE conrelid = attrelid AND contype = 'f' AND conkey = ARRAY[attnum]
    )
    FROM pg_attribute WHERE attrelid = {oid} AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
_POSTGRES_KEY = """
    SELECT attname FROM pg_constraint CROSS JOIN unnest(conkey) WITH ORDINALITY AS part (attnum, place)
    JOIN pg_attribute USING (attnum)
    WHERE conrelid = {oid} AND attrelid = {oid} AND contype = 'p' ORDER BY place
"""
_POSTGRES_CHECKS = """
    SELECT conname, array_agg(attname::text ORDER BY attname)
    FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
    WHERE conrelid = {oid} AND contype = 'c' AND convalidated GROUP BY conname
"""
_POSTGRES_INDEXES = """
    SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = {oid} AND NOT indisprimary AND indisvalid
"""
_POSTGRES_TRIGGERS = """
    SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = {oid} AND NOT tgisinternal AND tgenabled = 'O'
"""


def _postgres(rows: Rows) -> dict[str, list[str]]:
    described = {}
    for oid, table in rows.execute(_POSTGRES_TABLES):
        if table in _NOT_OURS:
            continue
        checks = rows.execute(_POSTGRES_CHECKS.format(oid=oid))
        described[table] = [
            *(
                _column(name, _postgres_type(type_), not not_null, reference)
                for name, type_, not_null, reference in rows.execute(_POSTGRES_COLUMNS.format(oid=oid))
            ),
            f"key ({', '.join(name for (name,) in rows.execute(_POSTGRES_KEY.format(oid=oid)))})",
            # A check without a name is given one by PostgreSQL, from the table and the column.
            *sorted(
                _check(None if name.startswith(f"{table}_") and name.endswith("_check") else name, columns)
                for name, columns in checks
            ),
            *sorted(_index(definition) for (definition,) in rows.execute(_POSTGRES_INDEXES.format(oid=oid))),
            *sorted(_trigger(definition) for (definition,) in rows.execute(_POSTGRES_TRIGGERS.format(oid=oid))),
        ]
    return described


def _postgres_type(type_: str) -> str:
    return _POSTGRES_TYPES.get(type_, type_.replace("character varying", "varchar"))
