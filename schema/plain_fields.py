"""Reads plain fields in place: attributes of what a resolver answered with, and what these have in turn.

For each field of each object graphql-core builds an info object, a path and a call, which for an attribute takes many
times what reading it does. Here a selection is sorted once: plain fields are read, and all else, with every plain field
that is null where it may not be, fails, or is not what its type expects, is left to graphql-core, so that the answer is
the same.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from inspect import CORO_CREATED, getcoroutinestate
from operator import attrgetter
from types import CoroutineType
from typing import Any, NamedTuple, TypeGuard

from graphql import (
    GraphQLBoolean,
    GraphQLField,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLString,
    is_leaf_type,
)
from graphql.pyutils import AwaitableOrValue, Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import CustomGraphQLEnumType, GraphQLCoreConverter

from models.instants import write_instant
from schema.lazy import Lazy

FROM_CONTEXT: dict[str, Callable[[Any], Any]] = {}
"""Fields of the query type that follow from the context alone, which is the root value: what reads them there. They
raise what their resolvers do."""
Complete = Callable[[Any], Any]
"""What stands in the answer for a value that is not null; raises anything where that is for graphql-core to say."""


class _Plain(NamedTuple):
    name: str
    value_of: Callable[[Any], Any]
    complete: Complete
    may_be_null: bool


class _Sorted(NamedTuple):
    """A selection: its names in order, the plain fields, and the rest; kept with the selection that it is of, whose
    id is its key."""

    selection: Any
    plain: list[_Plain]
    rest: dict[str, Any]


class _Unusual(Exception):
    """For graphql-core to see to."""


class Plan:
    """What is selected by an operation and how it is sorted, from one execution to the next. Not for an operation with
    directives: by these something else may be selected the next time."""

    def __init__(self) -> None:
        self.sorted: dict[int, _Sorted] = {}
        # As graphql-core keeps them during an execution, by the identity of what they were collected from.
        self.collected: dict[Any, Any] = {}
        self._root: Any = None

    def root(self, collected: Any) -> Any:
        """The same fields as they were collected the first time."""
        if self._root is None:
            self._root = collected
        return self._root


class PlainFieldsExecutor(StrawberryGraphQLCoreExecutionContext):
    def __init__(self, *arguments: Any, plan: Plan, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._plan = plan
        self._sorted = plan.sorted
        self._relevant_sub_fields = plan.collected
        # Of all that there is to be awaited graphql-core asks whether it is.
        self._awaited: list[CoroutineType[Any, Any, Any]] = []
        self.is_awaitable = self._is_awaitable

    def let_go(self) -> None:
        """Ends what nobody will begin any more, once the operation is over. Where a field fails that may not be null,
        graphql-core cancels those beside it and forgets the coroutines that they were about to await, of which Python
        would warn as of a mistake."""
        if left := next(iter(self.background_futures), None):  # which may begin some yet
            left.add_done_callback(lambda _: self.let_go())  # of one: if each asked, that would double with each
            return
        for each in self._awaited:
            if getcoroutinestate(each) == CORO_CREATED:
                each.close()
        self._awaited.clear()

    def _is_awaitable(self, value: Any) -> TypeGuard[Awaitable[Any]]:
        if isinstance(value, CoroutineType):
            self._awaited.append(value)
            return True
        return hasattr(type(value), "__await__")

    def execute_root_grouped_field_set(
        self, root_type: GraphQLObjectType, root_value: Any, grouped_field_set: Any, *how: Any
    ) -> AwaitableOrValue[dict[str, Any]]:
        planned = self._plan.root(grouped_field_set)
        return super().execute_root_grouped_field_set(root_type, root_value, planned, *how)

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: Any,
        position_context: Any,
    ) -> AwaitableOrValue[dict[str, Any]]:
        _, plain, rest = self._sort(parent_type, grouped_field_set)
        if not plain:
            return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)
        try:
            values = _read(plain, source_value)
        except Exception:  # noqa: BLE001  (whatever it was, graphql-core finds it again and says so where it belongs)
            return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)
        if not rest:
            return values
        others = super().execute_fields(parent_type, source_value, path, rest, position_context)
        if isinstance(others, dict):
            return _in_order(grouped_field_set, values, others)
        self.is_awaitable(others)  # which nobody else asks
        return _in_order_later(grouped_field_set, values, others)

    def _sort(self, parent_type: GraphQLObjectType, selection: Any) -> _Sorted:
        known = self._sorted.get(id(selection))
        if known is not None:
            return known
        plain: list[_Plain] = []
        rest: dict[str, Any] = {}
        for name, details in selection.items():
            found = self._plain(parent_type, name, details)
            if found is None:
                rest[name] = details
            else:
                plain.append(found)
        found_all = self._sorted[id(selection)] = _Sorted(selection, plain, rest)
        return found_all

    def _plain(self, parent_type: GraphQLObjectType, name: str, details: Any) -> _Plain | None:
        """A field that is nothing but an attribute, if it is, down to its leaves."""
        field_name = details[0].node.name.value
        if field_name == "__typename":
            return _Plain(name, type, lambda _: parent_type.name, False)
        field = self.schema.get_field(parent_type, field_name)
        value_of = self._value_of(parent_type, field_name, field) if field else None
        if field is None or value_of is None:
            return None
        complete = self._complete(_nullable(field.type), details)
        if complete is None:
            return None
        return _Plain(name, value_of, complete, not isinstance(field.type, GraphQLNonNull))

    def _value_of(self, parent_type: GraphQLObjectType, name: str, field: GraphQLField) -> Callable[[Any], Any] | None:
        attribute = _attribute_of(field)
        if attribute is not None:
            return _reading(parent_type, attribute)
        return FROM_CONTEXT.get(name) if parent_type is self.schema.query_type else None

    def _complete(self, type_: Any, details: Any) -> Complete | None:
        if is_leaf_type(type_):
            return _complete_leaf(type_)
        if isinstance(type_, GraphQLList):
            complete = self._complete(_nullable(type_.of_type), details)
            return complete and _complete_list(complete, not isinstance(type_.of_type, GraphQLNonNull))
        if isinstance(type_, GraphQLObjectType):
            selection = self.collect_subfields(type_, details)[0]
            _, plain, rest = self._sort(type_, selection)
            return None if rest else _complete_object(type_, plain)
        return None


def _read(plain: list[_Plain], source: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value_of, complete, may_be_null in plain:
        value = value_of(source)
        if value is not None:
            values[name] = complete(value)
        elif may_be_null:
            values[name] = None
        else:
            raise _Unusual
    return values


def _attribute_of(field: GraphQLField) -> str | None:
    """The attribute that a field is read from, if it is nothing but that."""
    if field.args or not getattr(field.resolve, "_is_default", False):
        return None
    definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    name: str | None = getattr(definition, "python_name", None)
    return name


def _reading(type_: GraphQLObjectType, attribute: str) -> Callable[[Any], Any]:
    class_ = type_.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].origin
    return class_.FIELDS.get(attribute) or attrgetter(attribute) if issubclass(class_, Lazy) else attrgetter(attribute)


def _nullable(type_: Any) -> Any:
    return type_.of_type if isinstance(type_, GraphQLNonNull) else type_


def _complete_object(type_: GraphQLObjectType, plain: list[_Plain]) -> Complete:
    if type_.is_type_of is None:
        return lambda value: _read(plain, value)
    class_ = type_.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].origin

    def complete(value: Any) -> dict[str, Any]:
        if type(value) is not class_:
            raise _Unusual
        return _read(plain, value)

    return complete


def _complete_list(complete: Complete, may_be_null: bool) -> Complete:
    def complete_all(values: Any) -> list[Any]:
        if type(values) is not list or (not may_be_null and None in values):
            raise _Unusual
        return [None if value is None else complete(value) for value in values]

    return complete_all


def _complete_leaf(type_: GraphQLLeafType) -> Complete:
    """What graphql-core makes of a value; where it is what the type expects, without asking."""

    def complete(value: Any) -> Any:
        return PlainFieldsExecutor.complete_leaf_value(type_, value)

    if type_ is GraphQLString or type_ is GraphQLID:
        return lambda value: value if type(value) is str else complete(value)
    if type_ is GraphQLBoolean:
        return lambda value: value if type(value) is bool else complete(value)
    if type_ is GraphQLInt:
        return lambda value: value if type(value) is int and -(2**31) <= value < 2**31 else complete(value)
    if type_.name == "DateTime":
        return lambda value: write_instant(value) if type(value) is datetime else complete(value)
    if isinstance(type_, CustomGraphQLEnumType):
        return _complete_enum(type_.wrapped_cls, complete)
    return complete


def _complete_enum(class_: type, complete: Complete) -> Complete:
    known: dict[Any, Any] = {}

    def complete_member(value: Any) -> Any:
        if type(value) is not class_:
            return complete(value)
        name = known.get(value)
        if name is None:
            name = known[value] = complete(value)
        return name

    return complete_member


def _in_order(selection: Any, values: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    both = values | others
    return {name: both[name] for name in selection if name in both}


async def _in_order_later(selection: Any, values: dict[str, Any], others: Any) -> dict[str, Any]:
    return _in_order(selection, values, await others)
