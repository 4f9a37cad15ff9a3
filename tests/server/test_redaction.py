"""What a client sent wrongly never comes back in an error: a secret planted anywhere in the input of any mutation, as
a variable or in the document, of the wrong type, in a broken document, in the wrong field."""

import json
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

import httpx
import pytest
from graphql import build_schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schema.api import build_api
from server.redaction import without_values
from tests.plugins.play import Theatre
from tests.support.operations import Operation, Writer
from tests.support.world import Play

CORE = "Qx7ZkP2vLm9Tw4Rb"
DIGITS = 9_182_736_455_463_728
# What the messages of GraphQL have around a value, and what ends a string, a value or a line.
AROUND = ["", "'", '"', '"""', "\\", "\n", "\r\n", "\u2028", "\u00e9", "#", "$", "{", "}", ", found: ", "; found: "]
AROUND += [" does not exist in ", "Value '", "cannot represent value: ", "Unexpected Name ", "' enum.", ": ", "\0"]


@cache
def mutations() -> list[Operation]:
    return list(Writer(build_schema(build_api().as_str()), {}, everything=True).mutations())


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a value, its own first."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*path, key))


def with_planted(value: Any, path: tuple[Any, ...], planted: Any) -> Any:
    if not path:
        return planted
    changed = deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = planted
    return changed


class Unquoted(str):
    """Stands in a document as it is: as an enum value, where it is a name."""


def literal(value: Any) -> str:
    """A value as GraphQL writes it."""
    if isinstance(value, Unquoted):
        return value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {literal(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(literal(each) for each in value) + "]"
    return json.dumps(value)


@st.composite
def secrets(draw: st.DrawFn) -> str:
    return draw(st.sampled_from(AROUND)) + CORE + draw(st.sampled_from(AROUND))


@st.composite
def planted_values(draw: st.DrawFn) -> Any:
    secret = draw(secrets())
    shapes = [secret, [secret], {"hidden": secret}, {"hidden": [{"deep": secret}]}, DIGITS, -DIGITS, DIGITS / 1e6]
    return draw(st.sampled_from(shapes))


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """A request that has the secret in it, somewhere."""
    operation = draw(st.sampled_from([each for each in mutations() if each.variables]))
    path = draw(st.sampled_from(list(places(operation.variables["input"]))))
    how = draw(st.sampled_from(["variables", "document", "unquoted", "cut short", "after a quote"]))
    planted = Unquoted(CORE) if how == "unquoted" else draw(planted_values())
    input_ = with_planted(operation.variables["input"], path, planted)
    if how == "variables":
        return {"query": operation.document, "variables": {"input": input_}}
    document = f"mutation {{ {operation.field}(input: {literal(input_)}) {{ userErrors {{ code }} }} }}"
    if how == "cut short":
        document = document[: document.index(digits_or_core(document)) + draw(st.integers(1, 60))]
    if how == "after a quote":
        document = document.replace(CORE, f'"{CORE}')
    return {"query": document}


def digits_or_core(document: str) -> str:
    return next(needle for needle in (CORE, *needles()) if needle in document)


def needles() -> list[str]:
    return [CORE, str(DIGITS), str(DIGITS / 1e6)]


def answer(play: Play, request: dict[str, Any]) -> str:
    headers = {"Accept": "application/graphql-response+json"}
    response = httpx.post(f"{play.server.url}/graphql", json=request, headers=headers, timeout=60, verify=False)
    assert response.status_code in {200, 400}
    return response.text


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(requests())
def test_a_planted_secret_does_not_come_back(theatre: Theatre, request: dict[str, Any]) -> None:
    told = answer(theatre.shared(), request)
    assert not [needle for needle in needles() if needle in told]


OUTSIDE = {
    "the operation's name": {"query": "{ __typename }", "operationName": CORE},
    "the variables": {"query": "{ __typename }", "variables": CORE},
    "a variable that nobody asked for": {"query": "{ __typename }", "variables": {"other": CORE}},
    "the extensions": {"query": "{ __typename }", "extensions": CORE},
    "a comment": {"query": f"{{ nothing }} # {CORE}"},
    "the document": {"query": CORE},
    "a default": {"query": f'query ($id: ID! = {{hidden: "{CORE}"}}) {{ node(id: $id) {{ id }} }}'},
    "a directive": {"query": f'{{ __typename @include(if: "{CORE}") }}'},
    "an id": {"query": f'{{ node(id: {{hidden: "{CORE}"}}) {{ id }} }}'},
    "a cursor": {"query": f'{{ accounts(after: "{CORE}") {{ totalCount }} }}'},
    "an escape": {"query": f'{{ node(id: "\\{CORE}") {{ id }} }}'},
    "a number": {"query": f"{{ nodes(ids: [0{CORE}]) {{ id }} }}"},
    "an instant": {
        "query": "query ($at: DateTime!) { credentials(filter: {expiresBefore: $at}) { totalCount } }",
        "variables": {"at": CORE},
    },
    "an enum": {
        "query": "query ($r: Role!) { users(filter: {roles: [$r]}) { totalCount } }",
        "variables": {"r": CORE},
    },
}


@pytest.mark.parametrize("request_", OUTSIDE.values(), ids=OUTSIDE)
def test_a_secret_in_any_other_place_does_not_come_back_either(shared_play: Play, request_: dict[str, Any]) -> None:
    assert CORE not in answer(shared_play, request_)


@pytest.mark.parametrize(
    ("document", "helpful"),
    [
        ("{ viewer { rol } }", "'rol'"),
        ("{ viewr { role } }", "'viewr'"),
        ("mutation { signIn { sessionToken } }", "signIn(input:)"),
        ('mutation { signIn(input: {email: "a"}) { sessionToken } }', "'password'"),
        ("{ viewer", "Expected Name"),
        ("query ($id: ID!) { node(id: $id) { id } }", "'$id'"),
        ('mutation { signIn(input: {email: 1, password: "a"}) { sessionToken } }', "non string value"),
    ],
)
def test_an_error_still_tells_what_is_wrong(shared_play: Play, document: str, helpful: str) -> None:
    assert helpful in answer(shared_play, {"query": document})


@pytest.mark.parametrize(
    "message",
    [
        "Cannot query field 'rol' on type 'Viewer'. Did you mean 'role'?",
        "Field 'viewer' of type 'Viewer!' must have a selection of subfields. Did you mean 'viewer { ... }'?",
        "Variable '$id' of required type 'ID!' was not provided.",
    ],
)
def test_a_message_without_values_stays_as_it_is(message: str) -> None:
    assert without_values(message) == message


def test_not_even_a_short_piece_of_a_secret_comes_back_from_an_escape(shared_play: Play) -> None:
    secret = CORE[:6]
    for escape in ("\\u{%s", "\\u%s", "\\u{%s}"):
        document = '{ node(id: "' + escape.replace("%s", secret) + '") { id } }'
        told = answer(shared_play, {"query": document})
        assert "escape" in told
        assert secret[:3] not in told
