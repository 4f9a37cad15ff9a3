"""Keyset pages, forward and backward, for Relay connections.

A page begins after a mark: the order's column and the id of a row. Rows made or removed meanwhile neither repeat nor
hide others, and the last page costs what the first does.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from operator import ge, gt, le, lt
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

import orjson
from pypika_tortoise.terms import Tuple
from tortoise.exceptions import ValidationError
from tortoise.expressions import Q, ResolveContext
from tortoise.models import Model
from tortoise.query_utils import QueryModifier
from tortoise.queryset import QuerySet

from models import rows as model_rows
from models.instants import to_millisecond
from models.rows import Parent
from resolvers.errors import BadArgument

DEFAULT_SIZE = 50
MAXIMUM_SIZE = 100
MAXIMUM_COUNT = 10_000
"""So far are the rows of a list counted; one more says that there are more."""

_GREATEST_INTEGER = 2**31 - 1

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class PageRequest:
    """Relay's four arguments as they came."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    @cached_property
    def size(self) -> int:
        """Rows at most. Raises BadArgument."""
        if self.first is not None and self.last is not None:
            raise BadArgument("Ask for first or for last, not for both.")
        name, size = ("last", self.last) if self.first is None else ("first", self.first)
        if size is None:
            return DEFAULT_SIZE
        if not 0 <= size <= MAXIMUM_SIZE:
            raise BadArgument(f"{name} must be between 0 and {MAXIMUM_SIZE}; ask for the rest page by page.")
        return size

    @property
    def backward(self) -> bool:
        return self.last is not None


@dataclass(frozen=True)
class Order:
    """By a column that is never null, then by id. Ids carry the instant of creation: `Order("id")` is by age."""

    column: str
    descending: bool = False

    def columns(self, *, reverse: bool) -> list[str]:
        sign = "-" if self.descending != reverse else ""
        return list(dict.fromkeys([f"{sign}{self.column}", f"{sign}id"]))


@dataclass(frozen=True)
class _Mark:
    value: Any
    id: UUID


class Unread(Protocol):
    """What a page does not say by itself: each takes a statement of its own."""

    def count(self) -> Awaitable[int]: ...
    def has_outside(self) -> Awaitable[bool]: ...


@dataclass(frozen=True)
class Page(Generic[Row]):
    """One page. Rows are at hand; what needs another statement is asked for."""

    rows: list[Row]
    order: Order
    request: PageRequest
    more: bool
    unread: Unread

    def cursor(self, row: Row) -> str:
        return cursor_of(self.order, row)

    async def total_count(self) -> int:
        """How many rows match on all pages together, up to `MAXIMUM_COUNT` and one."""
        return await self.unread.count()

    async def has_next(self) -> bool:
        return await self._has_outside(self.request.before) if self.request.backward else self.more

    async def has_previous(self) -> bool:
        return self.more if self.request.backward else await self._has_outside(self.request.after)

    async def _has_outside(self, cursor: str | None) -> bool:
        """Whether there are rows on the side that the page did not walk towards."""
        return cursor is not None and await self.unread.has_outside()


@dataclass(frozen=True)
class _UnreadOfOne:
    matching: QuerySet[Any]
    order: Order
    request: PageRequest

    async def count(self) -> int:
        return await model_rows.count(self.matching, MAXIMUM_COUNT + 1)

    async def has_outside(self) -> bool:
        return await _outside(self.matching, self.order, self.request).exists()


async def load_page(matching: QuerySet[Row], order: Order, request: PageRequest) -> Page[Row]:
    """The page of the matching rows that was asked for, in one statement. Raises BadArgument."""
    size = request.size
    rows = await model_rows.read(_asked_for(matching, order, request).limit(size + 1))
    return _page(rows, order, request, _UnreadOfOne(matching, order, request))


async def load_pages(
    matching: QuerySet[Row], order: Order, request: PageRequest, unread: Mapping[Parent, Unread]
) -> Mapping[Parent, Page[Row]]:
    """The same page for each parent, in one statement; the rows match where they compare with `models.rows.PARENT`.
    Raises BadArgument."""
    size = request.size
    rows = await model_rows.read_for_each(_asked_for(matching, order, request), list(unread), size + 1)
    return {parent: _page(rows.get(parent, []), order, request, rest) for parent, rest in unread.items()}


async def count_each(matching: QuerySet[Any], parents: Sequence[Parent]) -> Mapping[Parent, int]:
    """How many rows match for each parent, up to `MAXIMUM_COUNT` and one, in one statement."""
    return await model_rows.count_for_each(matching, parents, MAXIMUM_COUNT + 1)


async def any_outside_each(
    matching: QuerySet[Any], order: Order, request: PageRequest, parents: Sequence[Parent]
) -> Mapping[Parent, bool]:
    """Whether each parent has rows on the side that the page did not walk towards, in one statement."""
    found = await model_rows.exists_for_each(_outside(matching, order, request), parents)
    return {parent: bool(number) for parent, number in found.items()}


def _asked_for(matching: QuerySet[Row], order: Order, request: PageRequest) -> QuerySet[Row]:
    query = matching
    if request.after is not None:
        query = query.filter(_beyond(order, _decode(query.model, order, request.after), towards_start=False))
    if request.before is not None:
        query = query.filter(_beyond(order, _decode(query.model, order, request.before), towards_start=True))
    return query.order_by(*order.columns(reverse=request.backward))


def _page(rows: list[Row], order: Order, request: PageRequest, unread: Unread) -> Page[Row]:
    more = len(rows) > request.size
    rows = rows[: request.size]
    if request.backward:
        rows.reverse()
    return Page(rows, order, request, more, unread)


def _outside(matching: QuerySet[Row], order: Order, request: PageRequest) -> QuerySet[Row]:
    cursor = request.before if request.backward else request.after
    assert cursor is not None  # noqa: S101  (nothing else is outside)
    mark = _decode(matching.model, order, cursor)
    return matching.filter(_beyond(order, mark, towards_start=not request.backward, inclusive=True))


def _beyond(order: Order, mark: _Mark, *, towards_start: bool, inclusive: bool = False) -> Q:
    side = "lt" if order.descending != towards_start else "gt"
    comparison = f"{side}e" if inclusive else side
    if order.column == "id":
        by_id: dict[str, Any] = {f"id__{comparison}": mark.id}
        return Q(**by_id)
    return _Beyond(order.column, mark, comparison)


class _Beyond(Q):
    """Column and id compared with a mark's as one row, (a, b) > (x, y): both engines walk the index from there,
    however many rows have the same in the column."""

    def __init__(self, column: str, mark: _Mark, comparison: str) -> None:
        super().__init__()
        self._column, self._mark, self._comparison = column, mark, comparison

    def __bool__(self) -> bool:
        return True

    def resolve(self, resolve_context: ResolveContext) -> QueryModifier:
        model, table = resolve_context.model, resolve_context.table
        field = model._meta.fields_map[self._column]
        values = (field.to_db_value(self._mark.value, model), str(self._mark.id))
        compare = {"gt": gt, "gte": ge, "lt": lt, "lte": le}[self._comparison]
        criterion = compare(Tuple(table[self._column], table.id), Tuple(*values))
        return QueryModifier(where_criterion=criterion)


def cursor_of(order: Order, row: Any) -> str:
    """The cursor of a row in a list of this order."""
    value = None if order.column == "id" else getattr(row, order.column)
    return _write(_table(model_rows.model_of(row)), order.column, _Mark(value, row.pk))


def _table(model: type[Model]) -> str:
    return str(model._meta.db_table)


def _write(table: str, column: str, mark: _Mark) -> str:
    return urlsafe_b64encode(orjson.dumps([table, column, mark.value, str(mark.id)])).rstrip(b"=").decode()


def _decode(model: type[Model], order: Order, cursor: str) -> _Mark:
    try:
        table, column, mark = _read(cursor)
        if column == order.column and mark.value is not None:
            model._meta.fields_map[column].validate(mark.value)
    except (ValueError, TypeError, AttributeError, OverflowError, ValidationError):
        raise BadArgument("This is not a cursor of ours: pass back one that a page of this list gave.") from None
    if table != _table(model):
        raise BadArgument("This cursor belongs to another list: pass back one that a page of this list gave.")
    if column != order.column:
        raise BadArgument("This cursor belongs to another order of the list: start again from the first page.")
    return mark


def _read(cursor: str) -> tuple[str, str, _Mark]:
    """The table, the column and the mark in a cursor that is spelled as `_write` spells it. Raises all sorts of
    errors."""
    table, column, value, row_id = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    mark = _Mark(_value(column, value), UUID(row_id))
    if _write(table, column, mark) != cursor:
        raise ValueError
    return table, column, mark


def _value(column: Any, value: Any) -> Any:
    """What a column that lists are ordered by can hold, and every database can take. Raises ValueError for all else."""
    match column, value:
        case "id", None:
            return None
        case "name", str() if "\0" not in value:
            return value
        case "expires_at" | "last_used_at", str():
            return to_millisecond(datetime.fromisoformat(value))
        case "sequence", int() if value is not True and 0 < value <= _GREATEST_INTEGER:
            return value
    raise ValueError
