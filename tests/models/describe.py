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
    # PostgreSQL puts each part of a condition into parentheses.
    where = f" where {re.sub('[()]', '', condition)}" if condition else ""
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
_POSTGRES_COLUMNS = """
    SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, (
        SELECT confrelid::regclass || CASE WHEN (confupdtype, confdeltype) = ('a', 'a') THEN '' ELSE ' with action' END
        FROM pg_constraint WHERE conrelid = attrelid AND contype = 'f' AND conkey = ARRAY[attnum]
    )
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
_POSTGRES_KEYS = """
    SELECT conrelid::regclass::text, array_agg(attname::text ORDER BY array_position(conkey, attnum))
    FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
    WHERE connamespace = 'public'::regnamespace AND contype = 'p' GROUP BY conrelid
"""
_POSTGRES_CHECKS = """
    SELECT conrelid::regclass::text, conname, array_agg(attname::text)
    FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
    WHERE connamespace = 'public'::regnamespace AND contype = 'c' AND convalidated GROUP BY conrelid, conname
"""
_POSTGRES_INDEXES = """
    SELECT indrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index WHERE NOT indisprimary AND indisvalid
"""
_POSTGRES_TRIGGERS = """
    SELECT tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O'
"""


def _postgres(rows: Rows) -> dict[str, list[str]]:
    described: dict[str, list[str]] = {}
    for table, name, type_, not_null, reference in rows.execute(_POSTGRES_COLUMNS):
        described.setdefault(table, []).append(_column(name, _postgres_type(type_), not not_null, reference))
    lines = [
        *((table, f"key ({', '.join(columns)})") for table, columns in rows.execute(_POSTGRES_KEYS)),
        *sorted((table, _postgres_check(table, *check)) for table, *check in rows.execute(_POSTGRES_CHECKS)),
        *sorted((table, _index(sql)) for table, sql in rows.execute(_POSTGRES_INDEXES) if table in described),
        *sorted((table, _trigger(sql)) for table, sql in rows.execute(_POSTGRES_TRIGGERS)),
    ]
    for table, line in lines:
        described[table].append(line)
    return {table: lines for table, lines in described.items() if table not in _NOT_OURS}


def _postgres_check(table: str, name: str, columns: list[str]) -> str:
    # A check without a name is given one, from the table and the column.
    given = name.startswith(f"{table}_") and name.endswith("_check")
    return _check(None if given else name, columns)


def _postgres_type(type_: str) -> str:
    return _POSTGRES_TYPES.get(type_, type_.replace("character varying", "varchar"))
