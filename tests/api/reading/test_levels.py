"""Whatever is asked inside the things of a list, it takes as many statements for five of them as for one. What is asked
follows from the schema: every list and every object, inside every other."""

from collections.abc import Iterator

import pytest
from graphql import (
    GraphQLField,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
    is_object_type,
    is_required_argument,
)

from models.ids import Kind
from schema.api import build_api
from tests.plugins.play import Theatre
from tests.support import bulk
from tests.support.rows import row_id
from tests.support.server import START
from tests.support.statements import statements
from tests.support.world import Play

SCHEMA = build_api()._schema
ROOTS = {
    "accounts": "",
    "users": "",
    "accessTokens": "",
    "webhookEndpoints": "",
    "identities": "",
    "services": "",
    # The first were made in nobody's place, or in that of one that was.
    "credentials": "after: $first",
    "auditEvents": "",
}
NUMBER = 5


@pytest.fixture(scope="module")
def full(theatre: Theatre) -> Play:
    """Five and more of everything, each with five and more of what is inside it."""
    play = theatre.shared()
    alder = play.alder
    some = bulk.times(NUMBER + 2)
    users = bulk.global_ids(Kind.USER, bulk.users(play, alder, some))
    services = bulk.global_ids(Kind.SERVICE, bulk.services(play, alder, some))
    identities = bulk.global_ids(Kind.IDENTITY, bulk.identities(play, alder, some))
    every_service = [*services, *alder.services.values()]
    every_identity = [*identities, *alder.identities.values()]
    bulk.links(play, services, every_identity)
    bulk.links(play, alder.services.values(), identities)
    bulk.links(play, alder.services.values(), [alder.identities["lone"], alder.identities["pending"]])
    chain = bulk.credentials(play, alder, [{"rotated_at": START, "name": "rotated"}])
    for _ in range(NUMBER + 4):
        each = {"rotated_at": START, "name": "rotated", "predecessor_id": chain[-1]["id"]}
        chain += bulk.credentials(play, alder, [each])
    living = [
        {"service_id": service, "identity_id": identity, "owner_id": users[0], "name": f"{place}_{other}"}
        for place, service in enumerate(every_service)
        for other, identity in enumerate(every_identity)
    ]
    made = [*chain, *bulk.credentials(play, alder, living)]
    each_event = [
        {"actor_id": row_id(user), "subject_id": credential}
        for user, credential in zip(users * len(made), bulk.global_ids(Kind.CREDENTIAL, made), strict=False)
    ]
    bulk.audit_events(play, alder, each_event * 2)
    for number in range(NUMBER):
        play.operator.do(
            "createGatewayToken", "tokenId", accountId=alder.id, name=f"{number}", expiresAt=play.clock.in_(days=1)
        )
        play.administrator.do(
            "createWebhookEndpoint",
            "endpoint { id }",
            url=f"https://receiver.example/{number}",
            eventTypes=["SERVICE_ENDING"],
        )
    bulk.accounts(play, some)
    return play


def is_connection(type_: GraphQLObjectType) -> bool:
    return type_.name.endswith("Connection")


def node_type(type_: GraphQLObjectType) -> GraphQLObjectType:
    found = get_named_type(type_.fields["nodes"].type)
    assert isinstance(found, GraphQLObjectType)
    return found


def composite(type_: GraphQLObjectType) -> Iterator[tuple[str, GraphQLField, GraphQLObjectType]]:
    for name, field in type_.fields.items():
        of = get_named_type(field.type)
        if is_object_type(of) and not any(is_required_argument(argument) for argument in field.args.values()):
            yield name, field, of


def leaves(type_: GraphQLObjectType) -> str:
    return " ".join(name for name, field in type_.fields.items() if is_leaf_type(get_named_type(field.type)))


def shown(name: str, type_: GraphQLObjectType, inside: str, arguments: str = "") -> str:
    """A field with this inside: all of a connection, or an object."""
    if not is_connection(type_):
        return f"{name} {{ {leaves(type_)} {inside} }}"
    page_info = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
    within = f"{leaves(node_type(type_))} {inside}"
    return f"{name}({arguments}) {{ totalCount {page_info} edges {{ cursor node {{ {within} }} }} }}"


def everything_in(type_: GraphQLObjectType, depth: int) -> str:
    """All that a thing has, so many levels deep."""
    of = node_type(type_) if is_connection(type_) else type_
    return " ".join(
        shown(name, inner, everything_in(inner, depth - 1) if depth > 1 else "", f"first: 2, after: {start_of(inner)}")
        for name, _, inner in composite(of)
    )


def start_of(type_: GraphQLObjectType) -> str:
    """The variable for a cursor of a list of such things."""
    return f"$start{node_type(type_).name}" if is_connection(type_) else ""


def roots() -> Iterator[tuple[str, str, GraphQLObjectType]]:
    """Of every list of the query its name, its arguments and its type."""
    assert SCHEMA.query_type is not None
    for root, arguments in ROOTS.items():
        type_ = get_named_type(SCHEMA.query_type.fields[root].type)
        assert isinstance(type_, GraphQLObjectType)
        yield root, arguments, type_


def documents() -> Iterator[tuple[str, str]]:
    """For every list of the query, and every list or object in each of its things, one with all that is in these."""
    for root, arguments, type_ in roots():
        for name, _, inner in composite(node_type(type_)):
            inside = shown(name, inner, everything_in(inner, 1), "first: 3")
            yield f"{root}.{name}", shown(root, type_, inside, f"first: $number {arguments}")


DOCUMENTS = dict(documents())


def test_every_list_and_object_of_the_schema_is_asked_for() -> None:
    asked = " ".join(DOCUMENTS.values())
    types = [node_type(type_) for type_ in SCHEMA.type_map.values() if is_object_type(type_) and is_connection(type_)]
    assert len(types) == len(ROOTS)
    for type_ in types:
        for name, _, _ in composite(type_):
            assert f" {name}" in asked


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_five_cost_what_one_costs(full: Play, document: str) -> None:
    pages = {
        "first": "credentials(first: 3)",
        **{start_of(type_)[1:]: f"{root}(first: 1)" for root, _, type_ in roots()},
    }
    used = {name: cursor(full, page) for name, page in pages.items() if f"${name}" in document}
    declared = "".join(f", ${name}: String" for name in used)

    def cost(number: int) -> int:
        with statements() as run:
            connection = full.operator.data(f"query ($number: Int!{declared}) {{ {document} }}", number=number, **used)
        assert len(connection["edges"]) == number
        return len(run)

    assert cost(1) == cost(NUMBER) <= 30


def cursor(play: Play, page: str) -> str:
    end: str = play.operator.data(f"{{ {page} {{ pageInfo {{ endCursor }} }} }}")["pageInfo"]["endCursor"]
    return end


def test_what_gateways_ask_about_five_costs_what_it_costs_about_one(full: Play) -> None:
    full.operator.do(
        "updateCredentialPolicy", "account { id }", accountId=full.alder.id, maxActiveCredentialsPerUser=1000
    )
    keys = [full.keys(f"checked_{number}") for number in range(NUMBER)]
    document = """mutation ($input: VerifyCredentialsInput!) { verifyCredentials(input: $input) {
        results { decision credential { predecessor { id } service { identities { totalCount nodes { id } } } } } } }"""

    def cost(number: int) -> int:
        with statements() as run:
            answer = full.operator.data(document, input={"credentials": keys[:number]})
        assert [result["decision"] for result in answer["results"]] == ["ALLOW"] * number
        return len(run)

    cost(NUMBER)  # and what was read is remembered
    assert cost(1) == cost(NUMBER)


def test_ids_of_five_cost_what_one_costs(full: Play) -> None:
    found = full.operator.data("query ($n: Int!) { credentials(last: $n) { nodes { id } } }", n=NUMBER)["nodes"]
    document = (
        "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Credential { service { identities { totalCount } } } } }"
    )

    def cost(number: int) -> int:
        with statements() as run:
            full.operator.data(document, ids=[each["id"] for each in found[:number]])
        return len(run)

    assert cost(1) == cost(NUMBER) == 4


def test_what_is_counted_is_counted_up_to_ten_thousand(full: Play) -> None:
    play, birch = full, full.birch
    here = {"service_id": birch.services["certificates"], "identity_id": birch.identities["active"]}
    bulk.credentials(play, birch, [{**here, "owner_id": birch.users["member"]}] * 10_000)
    inside = "services(first: 2) { nodes { credentials(first: 0) { totalCount } } }"
    document = f"{{ credentials(first: 0) {{ totalCount }} {inside} }}"

    def counted() -> list[int]:
        data = play.other_administrator.data(document)
        nested = [node["credentials"]["totalCount"] for node in data["services"]["nodes"]]
        return [data["credentials"]["totalCount"], *nested]

    assert counted() == [10_000, 10_000, 0]
    bulk.credentials(play, birch, [{**here, "owner_id": birch.users["member"]}] * 2)
    assert counted() == [10_001, 10_001, 0]
