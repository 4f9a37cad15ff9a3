"""Operations made from the schema itself, so that a new field is asked for without anybody having to think of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    build_client_schema,
    get_introspection_query,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)

from tests.support.server import Client

SCALARS: dict[str, Any] = {
    "ID": "nobodys",
    "String": "",
    "Int": 1,
    "Boolean": True,
    "DateTime": "2027-01-01T00:00:00Z",
}


def schema_of(client: Client) -> GraphQLSchema:
    """The schema that a server says it has."""
    return build_client_schema(client.execute(get_introspection_query(one_of=True))["data"])


@dataclass(frozen=True)
class Operation:
    """One root field, asked for by itself."""

    field: str
    document: str
    variables: dict[str, Any]

    def errors(self, client: Client) -> list[str]:
        """The codes of the answer's errors, on top and in the payload."""
        answer = client.execute(self.document, **self.variables)
        payload = (answer.get("data") or {}).get(self.field)
        user_errors = payload.get("userErrors", []) if isinstance(payload, dict) else []
        return [error["extensions"]["code"] for error in answer.get("errors", [])] + [
            error["code"] for error in user_errors
        ]


@dataclass(frozen=True)
class Writer:
    """Writes operations with a value for each argument and input field.

    `known` are values by the name of what they are for; `everything` writes what may be left out as well."""

    schema: GraphQLSchema
    known: dict[str, Any]
    everything: bool = False

    def queries(self) -> Iterator[Operation]:
        assert self.schema.query_type
        return (self._write("query", name, field) for name, field in self.schema.query_type.fields.items())

    def mutations(self) -> Iterator[Operation]:
        assert self.schema.mutation_type
        return (self._write("mutation", name, field) for name, field in self.schema.mutation_type.fields.items())

    def _write(self, kind: str, name: str, field: GraphQLField) -> Operation:
        wanted = {key: each for key, each in field.args.items() if self._is_wanted(is_required_argument, key, each)}
        declared = ", ".join(f"${key}: {argument.type}" for key, argument in wanted.items())
        passed = ", ".join(f"{key}: ${key}" for key in wanted)
        head = f"{kind} ({declared}) {{ {name}({passed})" if wanted else f"{kind} {{ {name}"
        variables = {key: self.value(key, argument.type) for key, argument in wanted.items()}
        return Operation(name, f"{head} {self._selection(kind, field)} }}", variables)

    def _selection(self, kind: str, field: GraphQLField) -> str:
        type_ = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
        if is_leaf_type(type_):
            return ""
        return "{ userErrors { code } }" if kind == "mutation" else "{ __typename }"

    def value(self, name: str, type_: GraphQLInputType) -> Any:
        """A value of a type, for what has that name."""
        if isinstance(type_, GraphQLNonNull):
            return self.value(name, type_.of_type)
        if name in self.known:
            return self.known[name]
        if isinstance(type_, GraphQLList):
            return [self.value(name, type_.of_type)] if self.everything else []
        if isinstance(type_, GraphQLInputObjectType):
            return self._object(type_)
        if isinstance(type_, GraphQLEnumType):
            return next(iter(type_.values))
        return SCALARS[type_.name]

    def _object(self, type_: GraphQLInputObjectType) -> dict[str, Any]:
        fields = type_.fields.items()
        wanted = {key: field for key, field in fields if self._is_wanted(is_required_input_field, key, field)}
        if type_.is_one_of:
            wanted = dict([next(iter(fields))])
        return {key: self.value(key, field.type) for key, field in wanted.items()}

    def _is_wanted(self, is_required: Callable[[Any], bool], name: str, of: Any) -> bool:
        # first and last are not taken together.
        return is_required(of) or (self.everything and name != "last")
