"""What counts as used of a schema."""

from typing import Any

import pytest
from graphql import build_schema

from tests.sdl.coverage import Coverage

SCHEMA = """
interface Node { id: ID! }
type Query { tree(kind: Kind, id: ID): Tree  plant: Node  forest: [Tree!] }
type Tree implements Node { id: ID!  kind: Kind  near(first: Int): [[Tree]] }
type Shrub implements Node { id: ID! }
type Mutation { grow(input: Grow!): Grown! }
type Grown { tree: Tree  userErrors: [Refusal!]! }
type Refusal { code: String! }
enum Kind { OAK BEECH ELM }
input Grow { kind: Kind  soil: Soil  ph: Float }
input Soil { depth: Int }
"""


def used(document: str, data: Any, **variables: Any) -> set[str]:
    coverage = Coverage(build_schema(SCHEMA))
    coverage.record(document, variables, data)
    assert coverage.used.isdisjoint(coverage.unused())
    return coverage.used


def test_all_of_it_can_be_used_but_what_is_of_interfaces() -> None:
    assert set(Coverage(build_schema(SCHEMA)).unused()) == {
        *("Query.tree", "Query.tree(kind:)", "Query.tree(id:)", "Query.plant", "Query.forest"),
        *("Tree.id", "Tree.kind", "Tree.near", "Tree.near(first:)", "Shrub.id"),
        *("Mutation.grow", "Mutation.grow(input:)", "Grown.tree", "Grown.userErrors", "Refusal.code"),
        *("Kind.OAK", "Kind.BEECH", "Kind.ELM", "Grow.kind", "Grow.soil", "Grow.ph", "Soil.depth"),
    }


def test_a_field_counts_where_the_answer_has_it() -> None:
    document = "query ($no: Boolean!) { oak: tree { kind ...on Tree @include(if: $no) { id } } }"
    assert used(document, {"oak": {"kind": "OAK"}}, no=False) == {"Query.tree", "Tree.kind", "Kind.OAK"}
    assert used(document, {"oak": None}, no=True) == {"Query.tree"}
    assert used(document, None, no=True) == set()


def test_lists_and_fragments_are_gone_into() -> None:
    document = "{ forest { ...F } } fragment F on Tree { near { id } }"
    found = used(document, {"forest": [{"near": [[None, {"id": "1"}]]}]})
    assert found == {"Query.forest", "Tree.near", "Tree.id"}


@pytest.mark.parametrize(("data", "field"), [({"id": "1", "near": []}, "Tree.id"), ({"id": "1"}, "Shrub.id")])
def test_what_an_interface_stands_for_is_seen_by_what_there_is(data: Any, field: str) -> None:
    document = "{ plant { ...on Tree { id near { id } } ...on Shrub { id } } }"
    assert field in used(document, {"plant": data})


def test_what_says_its_type_is_nothing_else() -> None:
    document = "{ plant { __typename ...on Tree { id } ...on Shrub { id } } }"
    assert used(document, {"plant": {"__typename": "Shrub", "id": "1"}}) == {"Query.plant", "Shrub.id"}


def test_an_argument_counts_where_it_was_given_and_there_is_an_answer() -> None:
    document = "query ($kind: Kind, $id: ID) { tree(kind: $kind, id: $id) { __typename } }"
    tree = {"tree": {"__typename": "Tree"}}
    assert used(document, tree, kind="ELM") == {"Query.tree", "Query.tree(kind:)", "Kind.ELM"}
    assert used(document, {"tree": None}, kind="ELM") == {"Query.tree"}
    assert used("{ tree(kind: OAK) { __typename } }", tree) == {"Query.tree", "Query.tree(kind:)", "Kind.OAK"}


def test_an_input_counts_where_it_was_accepted() -> None:
    document = "mutation ($depth: Int) { grow(input: {soil: {depth: $depth}, kind: OAK}) { userErrors { code } } }"
    answered = {"Mutation.grow", "Grown.userErrors"}
    accepted = {"Mutation.grow(input:)", "Grow.soil", "Soil.depth", "Grow.kind", "Kind.OAK"}
    assert used(document, {"grow": {"userErrors": []}}, depth=1) == answered | accepted
    refused = {"grow": {"userErrors": [{"code": "TOO_DRY"}]}}
    assert used(document, refused, depth=1) == answered | {"Refusal.code"}


@pytest.mark.parametrize("document", ["{ tree", "query A { forest { id } } query B { forest { id } }"])
def test_what_is_not_one_operation_says_nothing(document: str) -> None:
    assert used(document, {"forest": [{"id": "1"}]}) == set()
