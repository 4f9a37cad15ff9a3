"""What an operation costs, known before it is executed: how many values its answer can hold at most.

Every field counts 1 for each place where its value can stand, and 10 if it has to be asked for, from the database
mostly, and not just read. Below a list everything counts as often as the list has items, which follows from the size of
page asked for. What follows from the document alone is summed up once; sizes that variables decide are multiplied in
for each request.
"""

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any, NamedTuple, TypeAlias

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLField,
    GraphQLSchema,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
    value_from_ast_untyped,
)

from resolvers.paging import DEFAULT_SIZE, MAXIMUM_SIZE
from resolvers.usage import KEPT_DAYS
from schema.limits import Survey

_READ, _ASKED_FOR = 1, 10
# Of a list that nothing is known of, so that none is forgotten to be multiplied.
_ASSUMED = 10
# As the schema has it where `usage` is asked for without.
_DAYS = 30
# What goes wrong rarely goes wrong in several ways.
_ASSUMED_OF = {"userErrors": 1}

# Where introspection begins with one type.
_ONE_TYPE = frozenset({"__type", "queryType", "mutationType", "subscriptionType"})

Arguments: TypeAlias = Mapping[str, Any]
Variables: TypeAlias = Mapping[str, Any]
Size: TypeAlias = float | Callable[[Variables], int]


class Cost:
    """An amount, and other costs that are added to it, each so many times. Several may share one."""

    __slots__ = ("_amount", "_parts")

    def __init__(self, amount: float = 0) -> None:
        self._amount = amount
        self._parts: list[tuple[Size, Cost]] = []

    @property
    def amount(self) -> int | None:
        """All of it; None where variables decide."""
        return None if self._parts else ceil(self._amount)

    def add(self, cost: "Cost", times: Size = 1) -> None:
        if not callable(times) and not cost._parts:
            self._amount += times * cost._amount
        elif cost._parts or cost._amount:
            self._parts.append((times, cost))

    def given(self, variables: Variables) -> int:
        """All of it, with these variables as they were sent: what does not fit its type counts as the most."""
        return ceil(self._given(variables, {}))

    def _given(self, variables: Variables, known: dict[int, float]) -> float:
        found = known.get(id(self))
        if found is None:
            parts = [(times(variables) if callable(times) else times, cost) for times, cost in self._parts]
            found = self._amount + sum(times * cost._given(variables, known) for times, cost in parts)
            known[id(self)] = found
        return found


class Operation(NamedTuple):
    """An operation that is valid.

    amount:   what it costs; None where variables decide.
    defaults: the variables that it has values for itself.
    """

    kind: OperationType
    amount: int | None
    cost: Cost
    defaults: Variables

    def cost_given(self, variables: Variables | None) -> int:
        """What it costs with these variables as they were sent."""
        return self.cost.given({**self.defaults, **(variables or {})}) if self.amount is None else self.amount


class _Selected:
    """What a selection costs: once, and for each item of the list that the field above it decides the size of."""

    def __init__(self) -> None:
        self.once, self.each = Cost(), Cost()


class Pricing:
    """Costs of operations on a schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._assumed = {**_introspection_sizes(schema), **_ASSUMED_OF}
        self._singled_out = _how_much_larger(schema)

    def operations(self, survey: Survey) -> dict[str | None, Operation]:
        """The operations of a valid document by name; one that is alone also by None."""
        fragments: dict[str, _Selected] = {}
        for name, fragment in survey.fragments.items():
            fragments[name] = self._selected(fragment.selection_set, self._type_of(fragment), fragments)
        priced: dict[str | None, Operation] = {}
        for each in survey.operations:
            priced[each.name.value if each.name else None] = self._price(each, fragments)
        if len(priced) == 1:
            (priced[None],) = priced.values()
        return priced

    def _price(self, operation: OperationDefinitionNode, fragments: Mapping[str, _Selected]) -> Operation:
        root = self._schema.get_root_type(operation.operation)
        assert root is not None  # noqa: S101  (validation has seen to it)
        cost = self._selected(operation.selection_set, root, fragments).once
        return Operation(operation.operation, cost.amount, cost, _defaults(operation))

    def _type_of(self, fragment: FragmentDefinitionNode | InlineFragmentNode) -> GraphQLCompositeType | None:
        condition = fragment.type_condition
        type_ = self._schema.get_type(condition.name.value) if condition else None
        return type_ if is_composite_type(type_) else None

    def _selected(
        self, selection_set: SelectionSetNode, parent: GraphQLCompositeType | None, fragments: Mapping[str, _Selected]
    ) -> _Selected:
        selected = _Selected()
        for node in selection_set.selections:
            if isinstance(node, FieldNode):
                self._add_field(selected, node, parent, fragments)
                continue
            if isinstance(node, FragmentSpreadNode):
                below = fragments[node.name.value]
            else:
                assert isinstance(node, InlineFragmentNode)  # noqa: S101  (there is no fourth kind)
                below = self._selected(node.selection_set, self._type_of(node) or parent, fragments)
            selected.once.add(below.once)
            selected.each.add(below.each)
        return selected

    def _add_field(
        self,
        selected: _Selected,
        node: FieldNode,
        parent: GraphQLCompositeType | None,
        fragments: Mapping[str, _Selected],
    ) -> None:
        assert parent is not None  # noqa: S101  (validation has seen to it)
        field = self._schema.get_field(parent, node.name.value)
        assert field is not None  # noqa: S101
        selected.once.add(Cost(_weight(parent.name, node.name.value, field)))
        if node.selection_set is None:
            return
        type_ = get_named_type(field.type)
        below = self._selected(node.selection_set, type_ if is_composite_type(type_) else None, fragments)
        inside = Cost()
        inside.add(below.once)
        sized_by = _SIZES.get((parent.name, node.name.value)) or (_page if type_.name.endswith("Connection") else None)
        size = _size(sized_by, node) if sized_by else self._assumed.get(node.name.value, _ASSUMED)
        if not is_list_type(get_nullable_type(field.type)):
            inside.add(below.each, size)
            selected.once.add(inside, self._times(node.name.value))
        elif _is_sized_above(parent.name, node.name.value):
            selected.each.add(inside)
        else:
            selected.once.add(inside, size)

    def _times(self, name: str) -> float:
        if name in _ONE_TYPE:
            return self._singled_out
        return self._assumed["ofType"] if name == "ofType" else 1


def _weight(parent: str, name: str, field: GraphQLField) -> int:
    is_read = parent.startswith("__") or name.startswith("__") or getattr(field.resolve, "_is_default", False)
    return _READ if is_read else _ASKED_FOR


def _is_sized_above(parent: str, name: str) -> bool:
    """Whether the size of a list follows from the arguments of the field above it."""
    return parent.endswith("Connection") or (parent, name) == ("VerifyCredentialsPayload", "results")


def _size(sized_by: Callable[[Arguments], int], node: FieldNode) -> Size:
    values = {argument.name.value: argument.value for argument in node.arguments or ()}

    def given(variables: Variables) -> int:
        found = {name: value_from_ast_untyped(value, dict(variables)) for name, value in values.items()}
        return max(1, sized_by({name: value for name, value in found.items() if value is not Undefined}))

    return given if any(map(_has_variable, values.values())) else given({})


def _has_variable(value: ValueNode) -> bool:
    if isinstance(value, ListValueNode):
        return any(map(_has_variable, value.values))
    if isinstance(value, ObjectValueNode):
        return any(_has_variable(field.value) for field in value.fields)
    return isinstance(value, VariableNode)


def _page(arguments: Arguments) -> int:
    """Of Relay's arguments; what is out of range will be refused where it is read."""
    last = arguments.get("last")
    return _number(arguments.get("first") if last is None else last, DEFAULT_SIZE, MAXIMUM_SIZE)


def _days(arguments: Arguments) -> int:
    return _number(arguments.get("days"), _DAYS, KEPT_DAYS)


def _number(value: Any, otherwise: int, most: int) -> int:
    if value is None:
        return otherwise
    return min(value, most) if isinstance(value, int) else most


def _ids(arguments: Arguments) -> int:
    return _count(arguments.get("ids"))


def _questions(arguments: Arguments) -> int:
    input_ = arguments.get("input")
    return _count(input_.get("credentials")) if isinstance(input_, dict) else 1


def _count(value: Any) -> int:
    return len(value) if isinstance(value, list) else 1


_SIZES: dict[tuple[str, str], Callable[[Arguments], int]] = {
    ("Query", "nodes"): _ids,
    ("Credential", "usage"): _days,
    ("Mutation", "verifyCredentials"): _questions,
}


def _defaults(operation: OperationDefinitionNode) -> Variables:
    return {
        each.variable.name.value: value_from_ast_untyped(each.default_value)
        for each in operation.variable_definitions or ()
        if each.default_value is not None
    }


def _introspection_sizes(schema: GraphQLSchema) -> dict[str, float]:
    """How long the lists of introspection are, on average where there is anything in them, by the name of the field;
    and how often there is an `ofType`."""
    types: list[Any] = list(schema.type_map.values())
    fields = [field for type_ in types for field in getattr(type_, "fields", {}).values()]
    wrappers = sum(str(field.type).count("!") + str(field.type).count("[") for field in fields)
    lists = {"fields": "fields", "inputFields": "fields", "enumValues": "values", "interfaces": "interfaces"}
    return {
        "types": len(types),
        "directives": len(schema.directives),
        "args": _average(fields, "args"),
        "possibleTypes": _average(types, "interfaces"),
        "ofType": wrappers / (wrappers + len(fields)),
        **{name: _average(types, attribute) for name, attribute in lists.items()},
    }


def _average(owners: list[Any], attribute: str) -> float:
    lengths = [length for owner in owners if (length := len(getattr(owner, attribute, ())))]
    return sum(lengths) / len(lengths) if lengths else 1


def _how_much_larger(schema: GraphQLSchema) -> float:
    """How many times the fields that a type has on average the one with the most has, which a client may single out."""
    types: list[Any] = list(schema.type_map.values())
    return max(len(getattr(type_, "fields", ())) for type_ in types) / _average(types, "fields")
