"""What of a schema has been used, by the schema coordinates of the GraphQL specification (3.13).

A field is used where an answer has it, with its arguments where it is not null. A mutation's input counts only where
it was accepted. A value of an enum is used in either direction.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLType,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    parse,
    value_from_ast_untyped,
)

Data = Mapping[str, Any]


def coordinates(schema: GraphQLSchema) -> Iterator[str]:
    """Everything that a client can use. What an interface has is there with each of its types."""
    for name, type_ in schema.type_map.items():
        if name.startswith("__") or isinstance(type_, GraphQLInterfaceType):
            continue
        for part, definition in _parts(type_).items():
            yield f"{name}.{part}"
            for argument in getattr(definition, "args", ()):
                yield f"{name}.{part}({argument}:)"


def _parts(type_: GraphQLType) -> Mapping[str, Any]:
    if isinstance(type_, GraphQLObjectType | GraphQLInputObjectType):
        parts: Mapping[str, Any] = type_.fields
        return parts
    return type_.values if isinstance(type_, GraphQLEnumType) else {}


class Coverage:
    """Collects what is used of a schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self.schema = schema
        self.used = set[str]()

    def unused(self) -> list[str]:
        return sorted(set(coordinates(self.schema)) - self.used)

    def record(self, text: str, variables: Data, data: Data | None) -> None:
        """Notes what an operation and its answer use; nothing where there is no data, or not one operation."""
        document = _parsed(text)
        if data is None or document is None:
            return
        operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
        if len(operations) == 1:
            _Answer(self, document, variables).note(operations[0], data)


class _Answer:
    """One answer, read along with the document that asked for it."""

    def __init__(self, coverage: Coverage, document: DocumentNode, variables: Data) -> None:
        self.schema, self.used, self.variables = coverage.schema, coverage.used, variables
        self.fragments = {each.name.value: each for each in _fragments(document)}

    def note(self, operation: OperationDefinitionNode, data: Data) -> None:
        root = self.schema.get_root_type(operation.operation)
        assert root is not None
        self._object(operation.selection_set, root, data)

    def _object(self, selections: SelectionSetNode, type_: Any, data: Data) -> None:
        type_ = self.schema.type_map[data.get("__typename", type_.name)]
        for node in selections.selections:
            if isinstance(node, FieldNode):
                key = node.alias.value if node.alias else node.name.value
                if key in data and node.name.value in _parts(type_):
                    self._field(node, type_, data[key])
                continue
            fragment = self._fragment(node)
            if self._is_about(fragment, data):
                on = fragment.type_condition
                narrowed = self.schema.type_map[on.name.value] if on else type_
                concrete = narrowed if isinstance(narrowed, GraphQLObjectType) else type_
                self._object(fragment.selection_set, concrete, data)

    def _fragment(self, node: SelectionNode) -> InlineFragmentNode | FragmentDefinitionNode:
        if isinstance(node, FragmentSpreadNode):
            return self.fragments[node.name.value]
        assert isinstance(node, InlineFragmentNode)
        return node

    def _is_about(self, fragment: InlineFragmentNode | FragmentDefinitionNode, data: Data) -> bool:
        """Whether an object is of the fragment's type: it has what is asked for, and does not say otherwise."""
        name = fragment.type_condition.name.value if fragment.type_condition else None
        if isinstance(self.schema.get_type(name or ""), GraphQLObjectType) and data.get("__typename", name) != name:
            return False
        fields = [each for each in fragment.selection_set.selections if isinstance(each, FieldNode)]
        return all((each.alias or each.name).value in data for each in fields)

    def _field(self, node: FieldNode, type_: Any, value: Any) -> None:
        coordinate = f"{type_.name}.{node.name.value}"
        field = type_.fields[node.name.value]
        self.used.add(coordinate)
        if value is not None and not (isinstance(value, dict) and value.get("userErrors")):
            self._arguments(node, coordinate, field)
        self._value(node, field.type, value)

    def _value(self, node: FieldNode, type_: GraphQLType, value: Any) -> None:
        named = get_named_type(type_)
        for each in _flat(value):
            if isinstance(named, GraphQLEnumType):
                self.used.add(f"{named.name}.{each}")
            elif node.selection_set is not None:
                self._object(node.selection_set, named, each)

    def _arguments(self, node: FieldNode, coordinate: str, field: GraphQLField) -> None:
        for argument in node.arguments or ():
            if isinstance(argument.value, VariableNode) and argument.value.name.value not in self.variables:
                continue
            name = argument.name.value
            self.used.add(f"{coordinate}({name}:)")
            self._input(field.args[name].type, value_from_ast_untyped(argument.value, dict(self.variables)))

    def _input(self, type_: GraphQLType, value: Any) -> None:
        if isinstance(type_, GraphQLNonNull | GraphQLList):
            for each in _flat(value):
                self._input(type_.of_type, each)
        elif isinstance(type_, GraphQLInputObjectType) and value is not None:
            for name, each in value.items():
                self.used.add(f"{type_.name}.{name}")
                self._input(type_.fields[name].type, each)
        elif isinstance(type_, GraphQLEnumType) and value is not None:
            self.used.add(f"{type_.name}.{value}")


def _fragments(document: DocumentNode) -> list[FragmentDefinitionNode]:
    return [each for each in document.definitions if isinstance(each, FragmentDefinitionNode)]


def _flat(value: Any) -> Iterator[Any]:
    """A value, or those of a list however deep, without nulls."""
    if isinstance(value, list):
        for each in value:
            yield from _flat(each)
    elif value is not None:
        yield value


@lru_cache(maxsize=1000)
def _parsed(text: str) -> DocumentNode | None:
    try:
        return parse(text, no_location=True)
    except GraphQLError:
        return None
