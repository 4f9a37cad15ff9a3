"""What the schema itself says there is to ask for, and documents generated from it.

So a field that is new is walked through, and asked about, without anybody thinking of it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLOutputType,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    is_required_argument,
    is_required_input_field,
)

from schema.api import build_api

SCHEMA = build_schema(build_api().as_str())

Path = tuple[str, ...]
ValueOf = Callable[[Path, GraphQLNamedType], Any]
"""What to fill in for a leaf of an input: by the path that leads there, and by its type."""


@dataclass(frozen=True)
class Field:
    """A field that the gate stands before: everything at the root, and what is asked for on its own further in. Of
    `node` and `nodes` there is one for each type that they may answer with."""

    parent: str
    name: str
    of: str = ""

    def __str__(self) -> str:
        return f"{self.parent}.{self.name}" + (f"({self.of})" if self.of else "")

    @property
    def definition(self) -> GraphQLField:
        field: GraphQLField = _object_type(self.parent).fields[self.name]
        return field

    @property
    def is_mutation(self) -> bool:
        return SCHEMA.mutation_type is not None and self.parent == SCHEMA.mutation_type.name

    @property
    def is_subscription(self) -> bool:
        return SCHEMA.subscription_type is not None and self.parent == SCHEMA.subscription_type.name

    @property
    def at_root(self) -> bool:
        return self.parent in {root.name for root in _roots()}


def all_fields() -> list[Field]:
    return [*_root_fields(), *_nested_fields()]


def node_types() -> list[str]:
    """The types with an id of their own."""
    node = SCHEMA.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    return sorted(type_.name for type_ in SCHEMA.get_possible_types(node))


def id_paths(field: GraphQLField) -> list[Path]:
    """Where in the arguments of a field an id may stand."""
    return [path for name, argument in field.args.items() for path in _id_paths(argument.type, (name,))]


def variables(field: GraphQLField, value_of: ValueOf, also: Collection[Path] = ()) -> dict[str, Any]:
    """What a field can't do without, and, of what may be left out, that which these paths lead to."""
    return {
        name: _value(argument.type, (name,), value_of, also)
        for name, argument in field.args.items()
        if is_required_argument(argument) or _leads_to_any((name,), also)
    }


def put_at(given: Mapping[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """The same variables with another value at a path; where there is a list, it holds that alone."""
    name, *rest = path
    old = given[name]
    new = put_at(old, tuple(rest), value) if rest else [value] if isinstance(old, list) else value
    return {**given, name: new}


def document(field: Field, given: Collection[str], selection: str | None = None) -> str:
    """The operation that asks for a root field, with these of its arguments as variables of the same names."""
    arguments = {name: str(argument.type) for name, argument in field.definition.args.items() if name in given}
    declared = ", ".join(f"${name}: {type_}" for name, type_ in arguments.items())
    passed = ", ".join(f"{name}: ${name}" for name in arguments)
    kind = "mutation" if field.is_mutation else "subscription" if field.is_subscription else "query"
    asked = selection if selection is not None else selection_of(field.definition.type)
    return f"{kind}{f'({declared})' if declared else ''} {{ {field.name}{f'({passed})' if passed else ''} {asked} }}"


def selection_of(type_: GraphQLOutputType, depth: int = 1) -> str:
    """Everything about a type that is to be had without arguments, and so much deeper, of what it consists of."""
    named = get_named_type(type_)
    if is_leaf_type(named):
        return ""
    if not isinstance(named, GraphQLObjectType):
        return "{ __typename }"
    parts = [
        f"{name} {selection_of(field.type, depth - 1)}".strip()
        for name, field in named.fields.items()
        if not field.args and (depth > 0 or is_leaf_type(get_named_type(field.type)))
    ]
    return f"{{ {' '.join(parts or ['__typename'])} }}"


def composites_of(type_: GraphQLOutputType) -> dict[str, GraphQLField]:
    """The fields of a type that lead on to objects."""
    named = get_named_type(type_)
    fields = named.fields if isinstance(named, GraphQLObjectType) else {}
    return {name: field for name, field in fields.items() if not is_leaf_type(get_named_type(field.type))}


def _roots() -> list[GraphQLObjectType]:
    roots = (SCHEMA.query_type, SCHEMA.mutation_type, SCHEMA.subscription_type)
    return [root for root in roots if root is not None]


def _root_fields() -> Iterator[Field]:
    for root in _roots():
        for name, field in root.fields.items():
            if get_named_type(field.type).name == "Node":
                yield from (Field(root.name, name, of) for of in node_types())
            else:
                yield Field(root.name, name)


def _nested_fields() -> Iterator[Field]:
    """Fields of objects that take arguments: these ask the database for more."""
    for type_ in SCHEMA.type_map.values():
        if isinstance(type_, GraphQLObjectType) and type_ not in _roots() and not type_.name.startswith("__"):
            yield from (Field(type_.name, name) for name, field in type_.fields.items() if field.args)


def _object_type(name: str) -> GraphQLObjectType:
    type_ = SCHEMA.type_map[name]
    assert isinstance(type_, GraphQLObjectType)
    return type_


def _id_paths(type_: GraphQLInputType, path: Path) -> Iterator[Path]:
    named = get_named_type(type_)
    if isinstance(named, GraphQLInputObjectType):
        for name, field in named.fields.items():
            yield from _id_paths(field.type, (*path, name))
    elif named.name == "ID":
        yield path


def _value(type_: GraphQLInputType, path: Path, value_of: ValueOf, also: Collection[Path]) -> Any:
    nullable = get_nullable_type(type_)
    if is_list_type(nullable):
        return [_value(nullable.of_type, path, value_of, also)]
    if isinstance(nullable, GraphQLInputObjectType):
        return {
            name: _value(field.type, (*path, name), value_of, also)
            for name, field in nullable.fields.items()
            if is_required_input_field(field) or _leads_to_any((*path, name), also)
        }
    return value_of(path, get_named_type(type_))


def _leads_to_any(path: Path, also: Collection[Path]) -> bool:
    return any(other[: len(path)] == path for other in also)
