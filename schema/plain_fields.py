"""Reads plain fields in place: scalars and enums that are attributes of what a resolver answered with.

For each field of each object graphql-core builds an info object, a path and a call, which for an attribute takes many
times what reading it does. Here a selection is sorted once per execution: plain fields are read, and all else, with
every plain field that is null where it may not be, or fails, is left to graphql-core, so that the answer is the same.
"""

from typing import Any, NamedTuple, Self, cast

from graphql import GraphQLField, GraphQLObjectType, get_nullable_type, is_leaf_type, is_non_null_type
from graphql.pyutils import AwaitableOrValue, Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter


class _Plain(NamedTuple):
    name: str
    attribute: str
    type: Any
    may_be_null: bool


class _Sorted(NamedTuple):
    """A selection: its names in order, the plain fields, and the rest; kept with the selection that it is of, whose
    id is its key."""

    selection: Any
    plain: list[_Plain]
    rest: dict[str, Any]


class PlainFieldsExecutor(StrawberryGraphQLCoreExecutionContext):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._sorted: dict[int, _Sorted] = {}

    def build_per_event_executor(self, payload: Any) -> Self:
        executor = cast(Self, super().build_per_event_executor(payload))
        executor._sorted = {}  # selections are collected anew for each event
        return executor

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: Any,
        position_context: Any,
    ) -> AwaitableOrValue[dict[str, Any]]:
        selection = self._sorted.get(id(grouped_field_set))
        if selection is None:
            selection = self._sorted[id(grouped_field_set)] = self._sort(parent_type, grouped_field_set)
        _, plain, rest = selection
        if not plain:
            return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)
        values: dict[str, Any] = {}
        complete = self.complete_leaf_value
        try:
            for name, attribute, type_, may_be_null in plain:
                value = getattr(source_value, attribute)
                if value is not None:
                    values[name] = complete(type_, value)
                elif may_be_null:
                    values[name] = None
                else:
                    raise ValueError(name)
        except Exception:  # noqa: BLE001  (whatever it was, graphql-core finds it again and says so where it belongs)
            return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)
        if not rest:
            return values
        others = super().execute_fields(parent_type, source_value, path, rest, position_context)
        if isinstance(others, dict):
            return _in_order(grouped_field_set, values, others)
        return _in_order_later(grouped_field_set, values, others)

    def _sort(self, parent_type: GraphQLObjectType, selection: Any) -> _Sorted:
        plain: list[_Plain] = []
        rest: dict[str, Any] = {}
        for name, details in selection.items():
            field = self.schema.get_field(parent_type, details[0].node.name.value)
            attribute = _attribute_of(field) if field else None
            if field is None or attribute is None:
                rest[name] = details
            else:
                may_be_null = not is_non_null_type(field.type)
                plain.append(_Plain(name, attribute, get_nullable_type(field.type), may_be_null))
        return _Sorted(selection, plain, rest)


def _attribute_of(field: GraphQLField) -> str | None:
    """The attribute that a field is read from, if it is nothing but that."""
    if (
        field.args
        or not is_leaf_type(get_nullable_type(field.type))
        or not getattr(field.resolve, "_is_default", False)
    ):
        return None
    definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    name: str | None = getattr(definition, "python_name", None)
    return name


def _in_order(selection: Any, values: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    both = values | others
    return {name: both[name] for name in selection if name in both}


async def _in_order_later(selection: Any, values: dict[str, Any], others: Any) -> dict[str, Any]:
    return _in_order(selection, values, await others)
