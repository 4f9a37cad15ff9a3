"""Plain fields are read in place and documents are kept: whatever is asked, the answer is the one that Strawberry and
graphql-core give by themselves."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
import strawberry
from graphql import (
    GraphQLField,
    GraphQLObjectType,
    get_named_type,
    is_interface_type,
    is_leaf_type,
    is_required_argument,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auth.bearer import find_principal
from auth.crypto.secret import Secret
from models.user import Role
from resolvers.caller import Caller, Deployment
from schema.api import build_api
from schema.budget import Allowance
from schema.context import Context
from schema.execution import Executor
from schema.limits import Limits
from tests.plugins.play import Theatre
from tests.support.server import Client
from tests.support.world import Play

# What is too large is answered otherwise, and elsewhere tested.
HUGE = 10**9
ALL = Limits(HUGE, HUGE, HUGE, HUGE, HUGE, HUGE, HUGE)
NO_END, NOBODY = Allowance(amount=0), SimpleNamespace(caller=None)
OURS, STOCK = build_api(ALL, NO_END), build_api()
SCHEMA = OURS._schema
ROOTS = ["viewer", "accounts", "users", "identities", "services", "credentials", "auditEvents", "accessTokens"]


@pytest.fixture(scope="module")
def full(theatre: Theatre) -> Play:
    """With something of everything in it."""
    play = theatre.shared()
    for name in ("ci", "backup"):
        play.generate(name)
    play.administrator.do(
        "createWebhookEndpoint", "endpoint { id }", url="https://receiver.example/", eventTypes=["SERVICE_ENDING"]
    )
    return play


def test_whatever_is_selected(full: Play) -> None:
    @settings(deadline=None, max_examples=75, suppress_health_check=[HealthCheck.too_slow])
    @given(documents(), st.booleans(), st.sampled_from(["operator", "administrator", "member", "auditor"]))
    def same(document: str, shown: bool, who: str) -> None:
        ours, stock = both(full, getattr(full, who), document, {"shown": shown})
        assert ours == stock

    same()


@pytest.mark.parametrize(
    "document",
    [
        "{ viewer { role } viewer { permissions role } }",
        "{ a: viewer { b: role c: role ...F } } fragment F on Viewer { role user { email } }",
        "{ credentials { nodes { id name ... on Credential { status usable } ...F } } } fragment F on Node { id }",
        "{ credentials { nodes { auditEvents { nodes { id } } id } } }",
        "{ users { nodes { id email } } viewer { role } }",
        '{ node(id: "nothing") { id } viewer { role } }',
        '{ nodes(ids: ["nothing"]) { id } }',
        "{ credentials(first: 1000) { nodes { id } } }",
        "{ credentials { nodes { nothing } } }",
        "{ credentials { nodes { id }",
        'mutation { login(input: {apiKey: "a", apiSecret: "b"}) { accessToken userErrors { code message } } }',
        "{ __typename viewer { __typename } __schema { queryType { name } } }",
    ],
)
@pytest.mark.parametrize("who", ["member", "nobody"])
def test_whatever_goes_wrong(full: Play, document: str, who: str) -> None:
    ours, stock = both(full, getattr(full, who), document, {})
    assert ours == stock


@strawberry.interface
class Named:
    name: str | None = "named"


@strawberry.type
class Part(Named):
    name: str = "part"
    size: int = 1


@strawberry.type
class Other(Named):
    size: int = 2


@strawberry.type
class Later:
    """Some of it is not plain."""

    part: Part = strawberry.field(default_factory=Part)

    @strawberry.field
    async def soon(self, fails: bool = False) -> int:
        if fails:
            raise ValueError("not at all")
        return 1


@strawberry.type
class Broken:
    fine: str = "fine"
    missing: str | None = None
    null: str | None = strawberry.field(default=None)

    def __getattribute__(self, name: str) -> Any:
        if name == "failing":
            raise ValueError("it is broken")
        return super().__getattribute__(name)

    failing: int = 0
    wrong: int = strawberry.field(default=cast(Any, "no number"))
    never_null: str = strawberry.field(default=cast(Any, None))
    part: Part = strawberry.field(default_factory=Part)
    no_part: Part | None = None
    never_no_part: Part = strawberry.field(default=cast(Any, None))
    other_part: Part = strawberry.field(default_factory=lambda: cast(Any, Other()))
    parts: list[Part] = strawberry.field(default_factory=lambda: [Part(), Part(name=cast(Any, None)), Part()])
    some_parts: list[Part | None] = strawberry.field(default_factory=lambda: [Part(), None])
    missing_parts: list[Part] = strawberry.field(default_factory=lambda: [Part(), cast(Any, None)])
    mixed_parts: list[Part] = strawberry.field(default_factory=lambda: [Part(), cast(Any, Other())])
    few_parts: list[Part] = strawberry.field(default_factory=lambda: cast(Any, (Part(),)))
    no_list: list[Part] = strawberry.field(default_factory=lambda: cast(Any, 7))
    later: list[Later] = strawberry.field(default_factory=lambda: [Later(), Later()])
    numbers: list[list[int]] = strawberry.field(default_factory=lambda: [[1, 2], []])
    large: int = 2**31
    flag: bool = strawberry.field(default=cast(Any, 1))
    text: str = strawberry.field(default=cast(Any, 7))
    role: Role = Role.MEMBER
    roles: list[Role] = strawberry.field(default_factory=lambda: [Role.MEMBER, cast(Any, "OPERATOR")])


@strawberry.type
class BrokenQuery:
    @strawberry.field
    def broken(self) -> Broken | None:
        return Broken()

    @strawberry.field
    async def list(self) -> list[Broken | None]:
        return [Broken(), None, Broken()]


@pytest.mark.parametrize(
    "fields",
    [
        "fine null missing",
        "failing fine",
        "fine wrong",
        "neverNull fine",
        "fine: null",
        "part { name size __typename } again: part { size } part { ... on Named { name } }",
        "noPart { name } fine",
        "neverNoPart { name } fine",
        "otherPart { name size } fine",
        "parts { size } fine",
        "parts { name size } fine",
        "someParts { name } missing",
        "missingParts { name } fine",
        "mixedParts { name } fine",
        "fewParts { name } fine",
        "noList { name } fine",
        "later { part { name } soon } fine",
        "later { part { name } soon(fails: true) } fine",
        "later { part { name } } fine parts { name } otherPart { name }",
        "numbers role",
        "large fine",
        "flag text",
        "roles",
    ],
)
@pytest.mark.parametrize("root", ["broken", "list"])
def test_a_field_that_is_null_where_it_may_not_be_or_fails_is_told_of_alike(root: str, fields: str) -> None:
    api = strawberry.Schema(BrokenQuery)
    document = f"{{ {root} {{ {fields} __typename }} again: {root} {{ fine }} }}"
    ours = asyncio.run(Executor(api._schema, ALL, NO_END).execute(document, None, None, NOBODY))
    assert told(ours) == told(asyncio.run(strawberry.Schema(BrokenQuery).execute(document)))


def both(play: Play, client: Client, document: str, variables: dict[str, Any]) -> tuple[Any, Any]:
    async def use(deployment: Deployment) -> tuple[Any, Any]:
        now = deployment.clock()
        known = await find_principal(Secret(client.token or ""), now, deployment.session_rules)
        principal = known and known.principal
        caller = Caller(principal, None, now, deployment)
        first = await OURS.executor.execute(document, variables, None, Context(caller))
        # By what was planned the first time.
        ours = await OURS.executor.execute(document, variables, None, Context(caller))
        assert told(first) == told(ours)
        stock = await STOCK.execute(document, variable_values=variables, context_value=Context(caller))
        return told(ours), told(stock)

    return play.server.run(use)


def told(result: Any) -> Any:
    errors = [(error.message, error.path, error.locations) for error in result.errors or ()]
    return orjson.dumps(result.data, default=str), errors


def selections(type_: GraphQLObjectType, depth: int) -> st.SearchStrategy[str]:
    """Some of what a type has to be asked for, in any order, some of it twice, under other names, or on a condition."""
    fields = [
        selected(name, field, depth)
        for name, field in type_.fields.items()
        if not any(is_required_argument(argument) for argument in field.args.values())
        and (depth or is_leaf_type(get_named_type(field.type)))
        and not is_interface_type(get_named_type(field.type))
    ]
    some = st.lists(st.one_of(*fields), min_size=1, max_size=6).map(" ".join)
    where = st.sampled_from([f"... on {type_.name}", "...", "... @include(if: $shown)"])
    in_fragment = st.tuples(where, some, some).map(lambda each: f"{each[1]} {each[0]} {{ {each[2]} }}")
    return st.one_of(some, some, in_fragment).map(lambda chosen: f"{{ {chosen} }}")


@st.composite
def selected(draw: st.DrawFn, name: str, field: GraphQLField, depth: int) -> str:
    type_ = get_named_type(field.type)
    alias = draw(st.sampled_from(["", "", "", f"{name}Again: "]))
    condition = draw(st.sampled_from(["", "", "", " @include(if: $shown)", " @skip(if: $shown)"]))
    inside = draw(selections(type_, depth - 1)) if isinstance(type_, GraphQLObjectType) else ""
    return f"{alias}{name}{condition} {inside}"


@st.composite
def documents(draw: st.DrawFn) -> str:
    assert SCHEMA.query_type is not None
    fields = SCHEMA.query_type.fields
    roots = draw(st.lists(st.sampled_from(ROOTS), min_size=1, max_size=2, unique=True))
    asked = [draw(selected(name, fields[name], 3)) for name in roots]
    return f"query ($shown: Boolean!) {{ __typename @include(if: $shown) {' '.join(asked)} }}"
