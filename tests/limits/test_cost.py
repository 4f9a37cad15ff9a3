"""What an operation costs: never less than the values in its answer, and known before it is executed."""

from typing import Any

import pytest
from graphql import (
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
    parse,
)
from hypothesis import HealthCheck, assume, given, settings

from schema.api import build_api
from schema.cost import Pricing
from schema.limits import Survey
from tests.plugins.play import Theatre
from tests.schema.test_same_answers import documents
from tests.support.world import Play

SCHEMA = build_api().executor._schema  # as it is executed
PRICING = Pricing(SCHEMA)
SERVICES = "query ($n: Int) { services(first: $n) { nodes { name identities(first: 5) { nodes { name } } } } }"
NESTED = "query ($a: Int = 10, $b: Int) { services(first: $a) { nodes { identities(last: $b) { nodes { id } } } } }"
VERIFY = "mutation ($i: VerifyCredentialsInput!) { verifyCredentials(input: $i) { results { decision code } } }"


def cost(document: str, variables: dict[str, Any] | None = None, name: str | None = None) -> int:
    return PRICING.operations(Survey(parse(document)))[name].cost_given(variables)


def query(selection: str) -> str:
    return f"{{ credentials(first: 20) {{ {selection} }} }}"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("{ __typename }", 1),
        ("{ viewer { role } }", 11),
        ("{ viewer { user { account { policy { allowedDeliveryMethods } } } } }", 14),
        (query("totalCount"), 20),
        (query("pageInfo { endCursor hasNextPage }"), 22),
        (query("nodes { id name }"), 51),
        (query("edges { cursor node { id } }"), 71),
        (query("nodes { id } edges { cursor }"), 52),
        (query("nodes { id } nodes { name }"), 52),
        (query("... { nodes { id } ...F }") + " fragment F on CredentialConnection { nodes { name } }", 52),
        (
            "{ a: credentials { ...F } b: credentials(last: 3) { ...F } } "
            "fragment F on CredentialConnection { nodes { id } }",
            75,
        ),
        ("{ credentials(first: 0) { nodes { id } } }", 12),
        ("{ credentials(first: -1) { nodes { id } } }", 12),
        ("{ credentials(first: 1000000) { nodes { id } } }", 111),
        ("{ credentials(first: null) { nodes { id } } }", 61),
        ("{ credentials { nodes { id @skip(if: true) } } }", 61),
        (query("nodes { usage { date } }"), 11 + 20 * (10 + 30)),
        (query("nodes { usage(days: 7) { date } }"), 11 + 20 * (10 + 7)),
        (query("nodes { auditEvents(last: 2) { nodes { id } } predecessor { id } }"), 11 + 20 * (11 + 2 + 11)),
        ('{ nodes(ids: ["a", "b", "c"]) { id __typename } }', 16),
        ('{ nodes(ids: "a") { id } }', 11),
        ('{ node(id: "a") { id ... on Credential { name } ... on User { email } } }', 13),
        ('mutation { login(input: {apiKey: "", apiSecret: ""}) { accessToken userErrors { code } } }', 13),
    ],
)
def test_it_follows_from_the_document(document: str, expected: int) -> None:
    assert cost(document) == expected


@pytest.mark.parametrize(
    ("document", "variables", "expected"),
    [
        (SERVICES, {"n": 20}, 351),
        (SERVICES, {"n": 100}, 1711),
        (SERVICES, {"n": 1000}, 1711),
        (SERVICES, {"n": "many"}, 1711),
        (SERVICES, {"n": None}, 861),
        (SERVICES, {}, 861),
        (SERVICES, None, 861),
        (NESTED, {}, 11 + 10 * (11 + 50)),
        (NESTED, {"a": 2, "b": 3}, 11 + 2 * (11 + 3)),
        (NESTED, {"a": None, "b": 3}, 11 + 50 * (11 + 3)),
        ("query ($i: [ID!]!) { nodes(ids: $i) { id } }", {"i": ["a"] * 7}, 17),
        ("query ($i: [ID!]!) { nodes(ids: $i) { id } }", {"i": "a"}, 11),
        ('query ($i: ID!) { nodes(ids: [$i, "b"]) { id } }', {"i": "a"}, 12),
        ("query ($d: Int!) { credentials(first: 1) { nodes { usage(days: $d) { date } } } }", {"d": 400}, 111),
        (VERIFY, {"i": {"credentials": [{}] * 100}}, 211),
        (VERIFY, {"i": {"credentials": None}}, 13),
        (VERIFY, {"i": None}, 13),
        (VERIFY, {"i": "nonsense"}, 13),
        (
            VERIFY.replace("$i", "$c")
            .replace("Credentials" + "Input!", "CredentialInput!")
            .replace(": $c)", ": {credentials: [$c, $c]})"),
            {},
            15,
        ),
    ],
)
def test_sizes_that_variables_decide_are_multiplied_in(
    document: str, variables: dict[str, Any] | None, expected: int
) -> None:
    assert cost(document, variables) == expected


def test_lists_in_lists_multiply() -> None:
    inside = "id"
    for _ in range(4):
        inside = f"identities(first: 100) {{ nodes {{ services(first: 100) {{ nodes {{ {inside} }} }} }} }}"
    assert cost(f"{{ services(first: 100) {{ nodes {{ {inside} }} }} }}") > 100**9


def test_each_operation_has_its_own_cost_and_values_for_its_variables() -> None:
    document = "query A($n: Int = 3) { ...F } query B($n: Int = 5) { ...F } "
    document += "fragment F on Query { credentials(first: $n) { nodes { id } } }"
    assert (cost(document, {}, "A"), cost(document, {}, "B"), cost(document, {"n": 1}, "B")) == (14, 16, 12)


def test_fragments_that_share_a_size_are_worked_out_once() -> None:
    spread = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(60))
    last = "fragment F60 on Query { credentials(first: $n) { nodes { id } } }"
    assert cost(f"query ($n: Int) {{ ...F0 }} {spread} {last}", {"n": 1}) == 2**60 * 12


def test_no_list_of_objects_is_forgotten() -> None:
    """Each has a size of its own, or is said here to be short."""
    lists = {
        (type_.name, name)
        for type_ in SCHEMA.type_map.values()
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith(("__", "Query"))
        for name, field in type_.fields.items()
        if is_list_type(get_nullable_type(field.type)) and is_composite_type(get_named_type(field.type))
    }
    unknown = {(parent, name) for parent, name in lists if not parent.endswith("Connection") and name != "userErrors"}
    assert unknown == {("Credential", "usage"), ("VerifyCredentialsPayload", "results")}


@pytest.fixture(scope="module")
def full(theatre: Theatre) -> Play:
    play = theatre.shared()
    for name in ("ci", "backup"):
        play.generate(name)
    return play


def values_in(data: Any) -> int:
    if isinstance(data, dict):
        return sum(1 + values_in(value) for value in data.values())
    return sum(map(values_in, data)) if isinstance(data, list) else 0


def test_no_answer_holds_more_values_than_it_costs(full: Play) -> None:
    @settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
    @given(documents())
    def bounded(document: str) -> None:
        answer = full.operator.execute(document, shown=True)
        assume("data" in answer)  # else it is too large to be asked at all
        assert values_in(answer["data"]) <= cost(document)

    bounded()


_OFTEN = " ".join(f"a{number}: inputFields {{ name type {{ name }} }}" for number in range(9))
_ARGUMENTS = "fields { args { type { ofType { inputFields { name type { name ofType { name } } } } } } }"


@pytest.mark.parametrize(
    "singled_out",
    [
        f"mutationType {{ {_ARGUMENTS} }}",
        "mutationType { fields { name type { ofType { fields { name args { name } } } } } }",
        "queryType { fields { args { name type { inputFields { name } } } type { ofType { fields { name } } } } }",
        f"types {{ {_ARGUMENTS} }}",
        f"mutationType {{ fields {{ args {{ type {{ ofType {{ {_OFTEN} }} }} }} }} }}",
        "types { name fields { name type { name } } enumValues { name } possibleTypes { name } }",
    ],
)
def test_introspection_costs_what_it_answers_also_of_the_largest_type(full: Play, singled_out: str) -> None:
    document = f"{{ __schema {{ {singled_out} }} }}"
    assert values_in(full.nobody.execute(document)["data"]) <= cost(document)


def test_what_is_small_and_written_out_is_large_is_planned_anew_each_time() -> None:
    """What is planned stays in memory."""
    levels = "fragment A on Viewer { ...B ...B } fragment B on Viewer { a: permissions b: role c: permissions }"
    executor = build_api().executor
    assert executor.prepare(f"{{ viewer {{ ...A }} }} {levels}").is_planned
    often = " ".join(f"v{number}: viewer {{ ...A }}" for number in range(19))
    many = f"fragment Q on Query {{ {often} }} {levels}"
    assert not executor.prepare(f"{{ ...Q ...Q viewer {{ ...A ...A ...A }} }} {many}").is_planned


def test_whether_an_input_takes_one_field_alone_can_be_asked_of_any_type(full: Play) -> None:
    asked = full.nobody.data('{ __type(name: "Mutation") { fields { args { type { isOneOf ofType { isOneOf } } } } } }')
    assert asked["fields"][0]["args"][0]["type"] == {"isOneOf": None, "ofType": {"isOneOf": False}}
    assert full.nobody.data('{ __type(name: "ExpiryInput") { isOneOf } }') == {"isOneOf": True}


def test_it_is_told_from_a_thousand_on(full: Play) -> None:
    assert "extensions" not in full.member.execute(SERVICES, n=57)
    assert full.member.execute(SERVICES, n=60)["extensions"] == {"cost": {"requested": 1031, "limit": 50_000}}


def test_what_costs_too_much_is_refused_before_it_is_executed(full: Play) -> None:
    inside = "services(first: 100) { nodes { identities(first: 100) { nodes { id name kind status createdAt } } } }"
    answer = full.member.execute(f"{{ {inside} }}")
    assert answer["errors"][0]["extensions"] == {"code": "COST_LIMIT_EXCEEDED"}
    assert (
        answer["errors"][0]["message"] == "This operation costs too much; ask for smaller pages: the limit is 50,000."
    )
    assert answer["extensions"] == {"cost": {"requested": 51_111, "limit": 50_000}}
    assert set(answer) == {"errors", "extensions"}
