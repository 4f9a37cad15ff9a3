"""What several fields take, and how inputs become the arguments of use cases."""

import dataclasses
from typing import Any

from strawberry import UNSET

from resolvers.paging import Order, PageRequest
from schema.enums import OrderDirection


def arguments(input_: object) -> dict[str, Any]:
    """An input's fields by name, None for what was left out: the keyword arguments of the use
    case behind it. An input that was itself left out has none."""
    if not input_:
        return {}
    fields = dataclasses.fields(input_)  # type: ignore[arg-type]
    return {field.name: given(getattr(input_, field.name)) for field in fields}


def given(value: Any) -> Any:
    """The value, or None for one that was left out."""
    return None if value is UNSET else value


def page_request(first: int | None, after: str | None, last: int | None, before: str | None) -> PageRequest:
    return PageRequest(given(first), given(after), given(last), given(before))


# The columns behind the fields that lists can be ordered by: ids carry the instant of creation.
_COLUMNS = {"CREATED_AT": "id"}


def order(by: Any) -> Order:
    """The order asked for, by age where none is."""
    if not by:
        return Order("id")
    column = _COLUMNS.get(by.field.value, by.field.value.lower())
    return Order(column, descending=by.direction is OrderDirection.DESC)
