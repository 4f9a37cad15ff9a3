"""Asking for a field as somebody, and what came of it in one word."""

from typing import Any

import httpx

from tests.access.api import Field, document, id_paths, put_at, selection_of, variables
from tests.access.stage import Stage
from tests.support.server import Client
from tests.support.subscribers import streaming

ALLOW = "allow"
NOTHING = "null"
DENIED = ("FORBIDDEN", "UNAUTHENTICATED", "API_ACCESS_REMOVED")

_VERIFY = "mutation ($input: VerifyCredentialInput!) { verifyCredential(input: $input) { credential %s } }"
_SUBMIT = "mutation ($input: SubmitIdentityInput!) { submitIdentity(input: $input) { identity %s } }"


def ask(stage: Stage, client: Client, field: Field, given: dict[str, Any] | None = None) -> httpx.Response:
    """The answer to a field; what it needs that is not given belongs to the same account."""
    if not field.at_root:
        return _ask_inside(stage, client, field)
    if field.is_subscription:
        return _begin(client, field)
    if given is None:
        given = _enough(stage, field)
    return client.post(document(field, given), given)


def outcome(answer: httpx.Response) -> str:
    """ALLOW where all went well, else the code of what did not; NOTHING where there was nothing to be seen."""
    body = answer.json()
    if "errors" in body:
        (error,) = body["errors"]
        return str(error["extensions"]["code"])
    (value,) = body["data"].values()
    while isinstance(value, list):
        (value,) = value
    if value is None:
        return NOTHING
    refusals = [error["code"] for error in value.get("userErrors", ())]
    return ", ".join(refusals) or ALLOW


def _begin(client: Client, field: Field) -> httpx.Response:
    """An answer with nothing in it where a subscription has begun, else the one that it ended with."""
    with streaming(client, document(field, ())) as stream:
        return httpx.Response(200, json=stream.first() or {"data": {field.name: {}}})


def _enough(stage: Stage, field: Field) -> dict[str, Any]:
    given = variables(field.definition, stage.value_of)
    if not field.of:
        return given
    (path,) = id_paths(field.definition)
    return put_at(given, path, stage.mine.ids[field.of])


def _ask_inside(stage: Stage, client: Client, field: Field) -> httpx.Response:
    """By `node`, or, for those who see nothing there, in the answers of the mutations that they may use."""
    asked = f"{{ __typename ... on {field.parent} {{ {field.name} {selection_of(field.definition.type)} }} }}"
    if client in (stage.clients["gateway"], stage.clients["gateway-all"]):
        inside = asked if field.parent == "Credential" else f"{{ {field.parent.lower()} {asked} }}"
        return client.post(_VERIFY % inside, {"input": stage.mine.keys})
    if client is stage.clients["no-access"] and field.parent == "Identity":
        return client.post(_SUBMIT % asked, {"input": {"name": stage.unique("identity"), "kind": "DOMAIN"}})
    return client.post(f"query ($id: ID!) {{ node(id: $id) {asked} }}", {"id": stage.mine.ids[field.parent]})
