"""python -m tests.sdl.compatibility RELEASED NEW: whether the new schema breaks what clients of the released one send.

What was @deprecated in the released schema may be gone in the new one, and types that were only there for it; every
other breaking change is an error. Dangerous ones, such as a value that is added to an enum, are shown.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    find_breaking_changes,
    find_dangerous_changes,
)

# What has parts of its own that can be deprecated, each by its name.
_Parts = dict[str, Any]


def breaking_changes(released: str, new: str) -> list[str]:
    """Every change that would break a client and was not declared by a deprecation, a sentence each."""
    after = build_schema(new)
    before = _without_what_was_declared(build_schema(released), after)
    return [change.description for change in find_breaking_changes(before, after)]


def dangerous_changes(released: str, new: str) -> list[str]:
    """Every change that a careless client could stumble over, a sentence each."""
    return [change.description for change in find_dangerous_changes(build_schema(released), build_schema(new))]


def _without_what_was_declared(released: GraphQLSchema, new: GraphQLSchema) -> GraphQLSchema:
    """The released schema less each part that was deprecated and is gone, and less the types that nothing leads to
    then."""
    for parts, kept in _pairs(released, new):
        gone = [name for name, part in parts.items() if part.deprecation_reason is not None and name not in kept]
        for name in gone:
            del parts[name]
    return GraphQLSchema(
        released.query_type, released.mutation_type, released.subscription_type, directives=released.directives
    )


def _pairs(released: GraphQLSchema, new: GraphQLSchema) -> Iterator[tuple[_Parts, Iterable[str]]]:
    """The parts of each type and the arguments of each field, with the names of those that there are now."""
    for name, type_ in released.type_map.items():
        parts, now = _parts(type_), _parts(new.type_map.get(name))
        for field in set(parts) & set(now):
            yield _arguments(parts[field]), _arguments(now[field])
        yield parts, now


def _parts(type_: GraphQLNamedType | None) -> _Parts:
    if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
        fields: _Parts = type_.fields
        return fields
    return type_.values if isinstance(type_, GraphQLEnumType) else {}


def _arguments(part: Any) -> _Parts:
    return getattr(part, "args", {})


def main(released: Path, new: Path) -> int:
    texts = released.read_text(), new.read_text()
    for change in dangerous_changes(*texts):
        print(f"New since the last release, and clients may not expect it: {change}")  # noqa: T201
    broken = breaking_changes(*texts)
    for change in broken:
        print(f"Breaks clients of the last release: {change}", file=sys.stderr)  # noqa: T201
    if broken:
        print("Deprecate it for a release first (CONTRIBUTING.md, Changing the schema).", file=sys.stderr)  # noqa: T201
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
