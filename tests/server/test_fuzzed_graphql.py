"""Whatever the schema allows to be asked, made up by schemathesis, which looks at the answers as well: they are
GraphQL's, with codes that are documented, and none of them is a fault."""

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import httpx
import pytest
import schemathesis
from graphql import (
    ArgumentNode,
    ConstValueNode,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    build_schema,
    get_nullable_type,
    parse,
    parse_type,
    print_ast,
    visit,
)
from graphql import NameNode as Name
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.graphql import nodes

from schema.errors import Code
from tests.plugins.play import Theatre
from tests.support.world import Play

CASES = int(os.environ.get("SEALKEY_GRAPHQL_CASES", "40"))
FAULTS = {Code.INTERNAL_SERVER_ERROR, Code.UNAVAILABLE}
INSTANTS = st.datetimes().map(lambda instant: nodes.String(f"{instant.isoformat()}Z"))


@pytest.fixture
def play(theatre: Theatre) -> Iterator[Play]:
    """Of one's own: much of what is made up as an operator changes something."""
    with theatre.new() as play:
        play.generate("ci")
        yield play


def test_nothing_that_can_be_asked_is_a_fault(play: Play, quick_passwords: None) -> None:
    schemathesis.graphql.scalar("DateTime", INSTANTS)
    schema: Any = schemathesis.graphql.from_url(f"{play.server.url}/graphql")
    operations = [result.ok() for result in schema.get_all_operations()]
    # Whoever signs out asks nothing more.
    strategies = [each.as_strategy() for each in operations if "signOut" not in each.label]
    sdl = build_schema(httpx.get(f"{play.server.url}/schema.graphql").text)
    people = st.sampled_from([play.operator, play.administrator, play.member, play.nobody])
    seen: set[str] = set()

    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(strategies), people, st.booleans())
    def answers(case: Any, client: Any, is_null: bool) -> None:
        asked = with_nulls(case.body, sdl) if is_null else {"query": case.body}
        response = httpx.post(f"{play.server.url}/graphql", json=asked, headers=client.headers, timeout=60)
        answer = response.json()
        assert (response.status_code, set(answer) <= {"data", "errors", "extensions"}) == (200, True)
        codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
        seen.update(codes or {"none"})
        assert codes <= set(Code) - FAULTS

    answers()
    assert "none" in seen


class _Nulls(Visitor):
    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self._types = types
        self.variables: list[VariableDefinitionNode] = []

    def enter_argument(self, node: ArgumentNode, *_: Any) -> ArgumentNode:
        argument = self._types.get_argument()
        assert argument is not None
        variable = VariableNode(name=Name(value=f"v{len(self.variables)}"))
        type_ = parse_type(str(get_nullable_type(argument.type)))
        self.variables.append(
            VariableDefinitionNode(variable=variable, type=type_, default_value=cast(ConstValueNode, node.value))
        )
        return ArgumentNode(name=node.name, value=variable)


def with_nulls(document: str, schema: GraphQLSchema) -> dict[str, Any]:
    """The same question with the value of each argument as a default, in the place of which null is sent: validation
    allows that also where null may not be."""
    types = TypeInfo(schema)
    nulls = _Nulls(types)
    asked = visit(parse(document), TypeInfoVisitor(types, nulls))
    (operation,) = asked.definitions
    whole = replace(operation, variable_definitions=tuple(nulls.variables))
    return {"query": print_ast(whole), "variables": {each.variable.name.value: None for each in nulls.variables}}
