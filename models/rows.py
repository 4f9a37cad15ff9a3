"""Lists of rows, read by what Tortoise's queries say and past what makes the reading slow.

Tortoise makes an object of each row and of each beside it, and converts each value by a call of its own, which for a
page takes many times what the database does. Here rows stay as they came, and what is asked of them is converted then.

A query can also be asked for each of several parents at once, in one statement: where it compares a column with
`PARENT`, that stands for each of them.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from types import FunctionType
from typing import Any, ClassVar, NamedTuple, TypeVar, cast
from uuid import UUID

import orjson
from tortoise import fields
from tortoise.expressions import RawSQL
from tortoise.fields.data import CharEnumFieldInstance
from tortoise.models import Model
from tortoise.queryset import QuerySet

from models.database import dialect, fetch_row

Row = TypeVar("Row", bound=Model)
Parent = TypeVar("Parent", UUID, str)
Parents = Sequence[UUID] | Sequence[str]

PARENT = RawSQL('"parent"."value"')


async def read(query: QuerySet[Row]) -> list[Row]:
    """The rows of a query, with those that it selects beside them."""
    whole = _whole(query)
    inner, values = _written(_ids_of(query))
    _, table, conditions = inner.partition(whole.table)
    found = await _execute(query, f"{whole.columns}{table}{whole.joins}{conditions}", values)
    return [row for row, _ in _made(whole, found)]


async def find(model: type[Row], column: str, value: str, *beside: str) -> Row | None:
    """The row that has a value in a column which is unique, with those beside it; past Tortoise altogether, for what
    is asked with each request. It is one that is committed."""
    whole = _whole_of(model, frozenset(beside), dialect())
    table = model._meta.db_table
    values = await fetch_row(f'{whole.columns}{whole.table}{whole.joins} WHERE "{table}"."{column}" = $1', value)
    return None if values is None else cast(Row, whole.row(tuple(values)))


async def read_for_each(query: QuerySet[Row], parents: Sequence[Parent], limit: int) -> Mapping[Parent, list[Row]]:
    """So many rows of an ordered query, at most, for each parent."""
    whole = _whole(query)
    inner, values = _written(_ids_of(query).limit(limit))
    table = f'"{query.model._meta.db_table}"'
    # The few rows of each parent are looked up in the index first, and only these are then read as a whole.
    if _dialect(query) == "sqlite":
        picked = f"CROSS JOIN {table} ON {table}.id IN ({inner})"
    else:
        picked = f'CROSS JOIN LATERAL ({inner}) AS "picked" JOIN {table} ON {table}.id = "picked".id'
    order = ", ".join(f'{table}."{column}" {direction.value}' for column, direction in query._orderings)
    from_parents, asked = _from_parents(query, parents, values)
    sql = f'{whole.columns}, "parent"."key" {from_parents} {picked}{whole.joins} ORDER BY {order}'
    rows: dict[Parent, list[Row]] = defaultdict(list)
    for row, (place,) in _made(whole, await _execute(query, sql, asked)):
        rows[parents[place]].append(row)
    return rows


async def count(query: QuerySet[Any], at_most: int) -> int:
    """How many rows a query has, counted up to a bound."""
    inner, values = _written(_ids_of(query).order_by().limit(at_most))
    ((number,),) = await _execute(query, f'SELECT COUNT(*) FROM ({inner}) AS "found"', values)  # noqa: S608
    return int(number)


async def count_for_each(query: QuerySet[Any], parents: Sequence[Parent], at_most: int) -> Mapping[Parent, int]:
    """The same for each parent."""
    inner, values = _written(_ids_of(query).order_by().limit(at_most))
    return await _value_for_each(query, f'(SELECT COUNT(*) FROM ({inner}) AS "found")', parents, values)  # noqa: S608


async def exists_for_each(query: QuerySet[Any], parents: Sequence[Parent]) -> Mapping[Parent, int]:
    """Whether a query has any row, for each parent."""
    inner, values = _written(_ids_of(query).order_by().limit(1))
    return await _value_for_each(query, f"(SELECT COUNT(*) FROM ({inner}) AS found)", parents, values)  # noqa: S608


async def _value_for_each(
    query: QuerySet[Any], value: str, parents: Sequence[Parent], values: list[Any]
) -> Mapping[Parent, int]:
    columns = f'SELECT {value}, "parent"."key"'
    if _dialect(query) == "sqlite":
        sql, asked = f'{columns} FROM json_each(?) AS "parent"', [*values, _as_json(parents)]
    else:
        from_parents, asked = _from_parents(query, parents, values)
        sql = f"{columns} {from_parents}"
    return {parents[place]: number for number, place in await _execute(query, sql, asked)}


def _from_parents(query: QuerySet[Any], parents: Parents, values: list[Any]) -> tuple[str, list[Any]]:
    """FROM the parents, each with its place in `key`; and the values of a statement with these before the others'."""
    if _dialect(query) == "sqlite":
        return 'FROM json_each(?) AS "parent"', [_as_json(parents), *values]
    kind = "uuid" if isinstance(parents[0], UUID) else "text"
    unnested = f"unnest(${len(values) + 1}::{kind}[]) WITH ORDINALITY AS numbered (value, place)"
    return f'FROM (SELECT value, place - 1 AS key FROM {unnested}) AS "parent"', [*values, list(parents)]  # noqa: S608


def _as_json(parents: Parents) -> str:
    return orjson.dumps(parents).decode()


def _ids_of(query: QuerySet[Row]) -> QuerySet[Row]:
    ids = query.only("id")
    ids._select_related = set()
    return ids


def _dialect(query: QuerySet[Any]) -> str:
    return query._choose_db().capabilities.dialect


def _written(query: QuerySet[Any]) -> tuple[str, list[Any]]:
    """Its SQL, with the table before each column, and the values for the placeholders in it."""
    query._db = query._choose_db()
    query._make_query()
    query.query._foreign_table = True
    sql, values = query.query.get_parameterized_sql()
    return sql, values


async def _execute(query: QuerySet[Any], sql: str, values: list[Any]) -> Sequence[Any]:
    _, found = await query._choose_db().execute_query(sql, values)
    return cast(Sequence[Any], found)


def model_of(row: Model) -> type[Model]:
    """What a row is a row of, whichever way it was read."""
    return row.model if isinstance(row, _Light) else type(row)


# What a row becomes


class _Light:
    """A row of a model as it came: columns are attributes that are converted when asked for, as are the rows beside
    it; and it follows the model's rules. It can't be changed or saved."""

    __slots__ = ("values",)
    model: ClassVar[type[Model]]

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values


class _Whole(NamedTuple):
    """What is the same in all statements that read rows of a model with certain others beside them."""

    columns: str
    table: str
    joins: str
    number: int
    row: type[_Light]


def _made(whole: _Whole, found: Sequence[Any]) -> list[tuple[Any, Sequence[Any]]]:
    """Each row, and the columns that it has beyond the query's."""
    return [(whole.row(values), values[whole.number :]) for values in map(tuple, found)]


def _whole(query: QuerySet[Any]) -> _Whole:
    return _whole_of(cast(Any, query.model), frozenset(query._select_related), _dialect(query))


@cache
def _whole_of(model: type[Model], beside: frozenset[str], dialect: str) -> _Whole:
    query = model.all().select_related(*beside)
    sql, _ = _written(query)
    table = f' FROM "{model._meta.db_table}"'
    columns, _, joins = sql.removeprefix("SELECT ").partition(table)
    every, shown = iter(columns.split(",")), list[str]()
    rows: dict[tuple[Any, ...], type[_Light]] = {}
    for of, number, _, _, path in query._select_related_idx:
        of_part = [column for column in islice(every, number) if _name(column) not in _NEVER_SHOWN]
        row = _row_of(of, {_name(column): place for place, column in enumerate(of_part, len(shown))}, dialect)
        shown += of_part
        *owner, attribute = path
        if owner:
            setattr(rows[tuple(owner)], str(attribute), _row_beside(row, shown.index(_of_id(of_part))))
        rows[tuple(path)] = row
    return _Whole(f"SELECT {', '.join(shown)}", table, joins, len(shown), rows[(None,)])


def _row_of(model: type[Model], places: Mapping[str, int], dialect: str) -> type[_Light]:
    """A class for the rows of a model, whose columns are at these places."""
    meta = model._meta
    rules = {
        name: value
        for name, value in vars(model).items()
        if isinstance(value, FunctionType | property | staticmethod)
        and not name.startswith("_")
        and name not in meta.fields_map
    }
    columns = {}
    for column, place in places.items():
        name = meta.fields_db_projection_reverse[column]
        columns[name] = _column(place, _conversion(meta.fields_map[name], dialect))
    named = {**rules, **columns, "pk": columns[meta.pk_attr], "__slots__": (), "model": model}
    return type(model.__name__, (_Light,), named)


def _column(place: int, convert: Callable[[Any], Any] | None) -> property:
    if convert is None:
        return property(lambda self: self.values[place])
    return property(lambda self: None if (value := self.values[place]) is None else convert(value))


def _row_beside(row: type[_Light], id_: int) -> property:
    return property(lambda self: None if self.values[id_] is None else row(self.values))


def _of_id(columns: Sequence[str]) -> str:
    return next(column for column in columns if _name(column) == "id")


def _name(column: str) -> str:
    """Of `"table"."name"`, or `"table__other"."name" "table__other.name"`."""
    return column.partition(" ")[0].rpartition(".")[2].strip('"')


# Nothing that is listed shows these.
_NEVER_SHOWN = frozenset({"secret_hash", "password_hash", "token_hash", "sealed_secret", "oidc_issuer", "oidc_subject"})


def _conversion(field: fields.Field[Any], dialect: str) -> Callable[[Any], Any] | None:
    """What makes a value of a field out of what the driver gives; None where that is the value itself."""
    native = dialect == "postgres"
    match field:
        case CharEnumFieldInstance():
            return cast(Callable[[Any], Any], field.enum_type._value2member_map_.__getitem__)
        case fields.UUIDField():
            return None if native else UUID
        case fields.DatetimeField():
            return None if native else _instant
        case fields.BooleanField():
            return None if native else bool
        case fields.CharField() | fields.TextField() | fields.IntField() | fields.BigIntField():
            return None
    return field.to_python_value


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
