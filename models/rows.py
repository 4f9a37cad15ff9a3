"""Lists of rows, read by what Tortoise's queries say and past what makes the reading slow.

Tortoise converts each value by a call of its own, which for a page takes many times what the database does. Here what
to do with each column is found out once, and a row that several others refer to is made once.

A query can also be asked for each of several parents at once, in one statement: where it compares a column with
`PARENT`, that stands for each of them.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple, TypeVar, cast
from uuid import UUID

import orjson
from tortoise import fields
from tortoise.expressions import RawSQL
from tortoise.fields.data import CharEnumFieldInstance
from tortoise.models import Model
from tortoise.queryset import QuerySet

Row = TypeVar("Row", bound=Model)
Parent = TypeVar("Parent", UUID, str)
Parents = Sequence[UUID] | Sequence[str]

PARENT = RawSQL('"parent"."value"')


async def read(query: QuerySet[Row]) -> list[Row]:
    """The rows of a query, with those that it selects beside them."""
    sql, values = _written(query)
    found = await _execute(query, sql, values)
    return [row for row, _ in _made(query, found)]


async def read_for_each(query: QuerySet[Row], parents: Sequence[Parent], limit: int) -> Mapping[Parent, list[Row]]:
    """So many rows of an ordered query, at most, for each parent."""
    inner, values = _written(_ids_of(query).limit(limit))
    everything = query.model.all().select_related(*query._select_related).order_by(*_order_of(query))
    outer, _ = _written(everything)
    table = query.model._meta.db_table
    columns, _, joins = outer.partition(f' FROM "{table}"')
    # The few rows of each parent are looked up in the index first, and only these are then read as a whole.
    if _dialect(query) == "sqlite":
        picked = f'CROSS JOIN "{table}" ON "{table}"."id" IN ({inner})'
    else:
        picked = f'CROSS JOIN LATERAL ({inner}) AS "picked" JOIN "{table}" ON "{table}"."id" = "picked"."id"'
    from_parents, asked = _from_parents(query, parents, values)
    found = await _execute(query, f'{columns}, "parent"."key" {from_parents} {picked}{joins}', asked)
    rows: dict[Parent, list[Row]] = defaultdict(list)
    for row, (place,) in _made(everything, found):
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


def _order_of(query: QuerySet[Any]) -> list[str]:
    return [f"{'-' if direction.value == 'DESC' else ''}{column}" for column, direction in query._orderings]


def _dialect(query: QuerySet[Any]) -> str:
    return query._choose_db().capabilities.dialect


def _written(query: QuerySet[Any]) -> tuple[str, list[Any]]:
    """Its SQL, and the values for the placeholders in it."""
    query._db = query._choose_db()
    query._make_query()
    sql, values = query.query.get_parameterized_sql()
    return sql, values


async def _execute(query: QuerySet[Any], sql: str, values: list[Any]) -> Sequence[Any]:
    _, found = await query._choose_db().execute_query(sql, values)
    return cast(Sequence[Any], found)


# What a row becomes


class _Part(NamedTuple):
    """The columns of one model in a row: where they are, what they are called, and what has to be converted. `place`
    says which part refers to it, and as what; it is None for the first."""

    model: type[Model]
    columns: slice
    names: tuple[str, ...]
    conversions: tuple[tuple[int, Callable[[Any], Any]], ...]
    id: int
    place: tuple[int, str] | None


def _made(query: QuerySet[Row], found: Sequence[Any]) -> list[tuple[Row, Sequence[Any]]]:
    """Each row, and the columns that it has beyond the query's."""
    if not found:
        return []
    parts = _parts(query, list(found[0].keys()))
    end = parts[-1].columns.stop
    shared: list[dict[Any, Any]] = [{} for _ in parts]
    return [(_make(parts, values, shared), values[end:]) for values in map(tuple, found)]


def _make(parts: Sequence[_Part], values: tuple[Any, ...], shared: list[dict[Any, Any]]) -> Any:
    made: list[Any] = []
    for part, known in zip(parts, shared, strict=True):
        id_ = values[part.id]
        row = known.get(id_)
        if row is None and id_ is not None:
            row = known[id_] = _instance(part, values)
        if part.place is not None:
            owner, attribute = part.place
            if made[owner] is not None:
                made[owner].__dict__[attribute] = row
        made.append(row)
    return made[0]


def _instance(part: _Part, values: tuple[Any, ...]) -> Any:
    columns = list(values[part.columns])
    for place, convert in part.conversions:
        if columns[place] is not None:
            columns[place] = convert(columns[place])
    row = part.model.__new__(part.model)
    state = row.__dict__
    state.update(zip(part.names, columns, strict=True))
    # What Tortoise notes of a row that is in the database.
    state.update(_partial=False, _saved_in_db=True, _custom_generated_pk=True, _await_when_save={})
    return row


def _parts(query: QuerySet[Any], columns: list[str]) -> list[_Part]:
    parts: list[_Part] = []
    paths: dict[tuple[Any, ...], int] = {}
    start = 0
    for model, number, _, _, path in query._select_related_idx:
        whole = tuple(path)
        place = (paths[whole[:-1]], f"_{whole[-1]}") if parts else None
        paths[whole] = len(parts)
        of_part = tuple(name.rpartition(".")[2] for name in columns[start : start + number])
        parts.append(_part(model, start, of_part, _dialect(query), place))
        start += number
    return parts


@cache
def _part(
    model: type[Model], start: int, columns: tuple[str, ...], dialect: str, place: tuple[int, str] | None
) -> _Part:
    # What is in no field was only annotated.
    names = tuple(model._meta.fields_db_projection_reverse.get(column, column) for column in columns)
    kinds = [model._meta.fields_map.get(name) for name in names]
    found = [(number, _conversion(kind, dialect)) for number, kind in enumerate(kinds) if kind is not None]
    conversions = tuple((number, convert) for number, convert in found if convert is not None)
    id_ = start + names.index(model._meta.pk_attr)
    return _Part(model, slice(start, start + len(columns)), names, conversions, id_, place)


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
