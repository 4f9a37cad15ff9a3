"""Keyset pages, forward and backward, for Relay connections.

A page begins after a mark: the order's column and the id of a row. Rows made or removed meanwhile neither repeat nor
hide others, and the last page costs what the first does.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Generic, TypeVar
from uuid import UUID

import orjson
from tortoise.expressions import Q
from tortoise.models import Model
from tortoise.queryset import QuerySet

from resolvers.errors import BadArgument

DEFAULT_SIZE = 50
MAXIMUM_SIZE = 100

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


@dataclass(frozen=True)
class Page(Generic[Row]):
    """One page. Rows are at hand; what needs another statement is asked for."""

    rows: list[Row]
    order: Order
    request: PageRequest
    more: bool
    matching: QuerySet[Row]

    def cursor(self, row: Row) -> str:
        return _encode(self.order, row)

    async def total_count(self) -> int:
        """How many rows match on all pages together."""
        return await self.matching.count()

    async def has_next(self) -> bool:
        return await self._has_outside(self.request.before) if self.request.backward else self.more

    async def has_previous(self) -> bool:
        return self.more if self.request.backward else await self._has_outside(self.request.after)

    async def _has_outside(self, cursor: str | None) -> bool:
        """Whether there are rows on the side that the page did not walk towards."""
        if cursor is None:
            return False
        mark = _decode(self.order, cursor)
        before_mark = not self.request.backward
        at_mark = Q(id=mark.id)
        beyond = _beyond(self.order, mark, towards_start=before_mark)
        return await self.matching.filter(at_mark | beyond).exists()


async def load_page(matching: QuerySet[Row], order: Order, request: PageRequest) -> Page[Row]:
    """The page of the matching rows that was asked for, in one statement. Raises BadArgument."""
    size = request.size
    query = matching
    if request.after is not None:
        query = query.filter(_beyond(order, _decode(order, request.after), towards_start=False))
    if request.before is not None:
        query = query.filter(_beyond(order, _decode(order, request.before), towards_start=True))
    rows = await query.order_by(*order.columns(reverse=request.backward)).limit(size + 1)
    more = len(rows) > size
    rows = rows[:size]
    if request.backward:
        rows.reverse()
    return Page(rows, order, request, more, matching)


def _beyond(order: Order, mark: _Mark, *, towards_start: bool) -> Q:
    side = "lt" if order.descending != towards_start else "gt"
    further = _compare("id", side, mark.id)
    if order.column == "id":
        return further
    # In this form, and not as (a > x) or (a = x and id > y), both engines walk the index from the mark.
    column, value = order.column, mark.value
    return _compare(column, f"{side}e", value) & (_compare(column, side, value) | further)


def _compare(column: str, comparison: str, value: Any) -> Q:
    return Q(**{f"{column}__{comparison}": value})


def _encode(order: Order, row: Model) -> str:
    value = None if order.column == "id" else getattr(row, order.column)
    return urlsafe_b64encode(orjson.dumps([order.column, value, str(row.pk)])).rstrip(b"=").decode()


def _decode(order: Order, cursor: str) -> _Mark:
    try:
        data = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        column, value, row_id = orjson.loads(data)
        mark = _Mark(datetime.fromisoformat(value) if column.endswith("_at") else value, UUID(row_id))
    except (ValueError, TypeError, AttributeError):
        raise BadArgument("This is not a cursor of ours: pass back one that a page of this list gave.") from None
    if column != order.column or not isinstance(mark.value, str | datetime | None):
        raise BadArgument("This cursor belongs to another order of the list: start again from the first page.")
    return mark
