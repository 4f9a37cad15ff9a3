"""Mends Strawberry's answer to `isOneOf`, which fails for a type that is wrapped: a list, or one that is not null."""

from typing import Any

from graphql import GraphQLInputObjectType, GraphQLSchema
from strawberry.schema.schema_converter import GraphQLCoreConverter


def tell_of_any_type(schema: GraphQLSchema) -> None:
    """Whether an input object takes one of its fields alone; null for what is no input object, as GraphQL has it."""

    def is_one_of(type_: Any, _info: Any) -> bool | None:
        if not isinstance(type_, GraphQLInputObjectType):
            return None
        definition = type_.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
        return bool(getattr(definition, "is_one_of", False))

    introspected: Any = schema.type_map["__Type"]
    introspected.fields["isOneOf"].resolve = is_one_of
