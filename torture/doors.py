"""The HTTP doors, as the server's own event loop meets them: any body and any header, and what may be answered."""

import json
from base64 import b64encode
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from schema.errors import Code
from tests.access.stage import Stage
from tests.support.server import Client

_JSON, _FORM = b"application/json", b"application/x-www-form-urlencoded"
_GRAPHQL = {200, 400, 405, 406, 413, 414, 415, 429}
_LOGIN = {200, 400, 401, 403, 413, 415, 429}
_VERIFY = {200, 400, 401, 403}
_EXPORT = {200, 400, 401, 403, 404, 405, 503}  # more at once than may be


@dataclass(frozen=True)
class Door:
    """Where an input goes: the body, or, with `in_header`, the value of that header.

    share: how many of a thousand cases it gets.
    """

    name: str
    share: int
    path: str
    seeds: Sequence[bytes]
    statuses: frozenset[int] | set[int]
    headers: Sequence[tuple[bytes, bytes]] = ()
    method: str = "POST"
    in_header: bytes = b""
    body: bytes = b""
    in_query: bool = False


def doors(stage: Stage) -> list[Door]:
    return [*_graphql_doors(stage), *_oauth_doors(stage), *_verify_doors(stage), *_export_doors(stage)]


def _graphql_doors(stage: Stage) -> list[Door]:
    json_type = (b"content-type", _JSON)
    bearer, by_json = _bearer(stage.play.member), [json_type]
    signed_in = [json_type, (b"authorization", bearer)]
    # What is in these headers decides how the same operation is answered.
    in_headers: dict[str, tuple[int, list[bytes], list[tuple[bytes, bytes]]]] = {
        "Authorization": (8, [bearer, _basic(stage)], by_json),
        "Content-Type": (5, [_JSON, _JSON + b'; charset="utf-8"'], []),
        "Accept": (5, [_JSON, b"text/event-stream;q=1"], by_json),
        "Cookie": (5, [b"sealkey_session=sealkey_session_x; a=b"], [json_type, (b"x-sealkey-csrf", b"1")]),
        "X-Forwarded-For": (4, [b"203.0.113.7, 10.0.0.1"], by_json),
    }
    viewer, path = _operation("{ viewer { role } }"), "/graphql"
    return [
        Door("/graphql, bodies", 25, path, _operations(stage), _GRAPHQL, by_json),
        Door("/graphql, signed in", 25, path, _operations(stage), _GRAPHQL, signed_in),
        *(
            Door(
                f"/graphql, {name}", share, path, seeds, _GRAPHQL, others, in_header=name.lower().encode(), body=viewer
            )
            for name, (share, seeds, others) in in_headers.items()
        ),
        Door("/graphql, addresses", 10, path, _addresses(), _GRAPHQL, method="GET", in_query=True),
        Door("idempotency keys", 6, path, [b"x" * 22, b"y" * 255], _GRAPHQL, signed_in, body=_generating(stage)),
    ]


def _oauth_doors(stage: Stage) -> list[Door]:
    key, secret = stage.mine.keys["apiKey"], stage.mine.keys["apiSecret"]
    form, by_gateway = (b"content-type", _FORM), (b"authorization", stage.mine.gateway_token.encode())
    login = orjson.dumps({"api_key": key, "api_secret": secret})
    granting = _form(grant_type="client_credentials", client_id=key, client_secret=secret, scope="certificates")
    revoking = _form(token="x.y.z", client_id=key, client_secret=secret)
    asking = _form(token="x.y.z", token_type_hint="access_token")
    path, asks = "/oauth/token", b"grant_type=client_credentials"
    return [
        Door("/v2/login", 12, "/v2/login", [login, b'{"api_key": 1}'], _LOGIN, [(b"content-type", _JSON)]),
        Door("/oauth/token, forms", 10, path, [granting], _LOGIN, [form]),
        Door(
            *("/oauth/token, Authorization", 8, path, [_basic(stage)], _LOGIN, [form]),
            in_header=b"authorization",
            body=asks,
        ),
        Door("/oauth/introspect", 6, "/oauth/introspect", [asking], _LOGIN, [form, by_gateway]),
        Door("/oauth/revoke", 6, "/oauth/revoke", [revoking], _LOGIN, [form]),
    ]


def _verify_doors(stage: Stage) -> list[Door]:
    basic, token = _basic(stage), stage.mine.gateway_token.encode()
    gateway, credential = (b"x-sealkey-gateway-token", token), (b"authorization", basic)
    in_headers = {
        "Authorization": (15, b"authorization", [basic, b"Bearer a.b.c"], [gateway]),
        "gateway's token": (5, gateway[0], [token], [credential]),
        "client's address": (5, b"x-sealkey-client-address", [b"203.0.113.7", b"::1"], [gateway, credential]),
    }
    queries, both = [b"service=certificates"], [gateway, credential]
    return [
        *(
            Door(f"/verify, {name}", share, "/verify", seeds, _VERIFY, others, "GET", in_header=header)
            for name, (share, header, seeds, others) in in_headers.items()
        ),
        Door("/verify, queries", 5, "/verify", queries, _VERIFY, both, "GET", in_query=True),
    ]


def _export_doors(stage: Stage) -> list[Door]:
    administrator, path = _bearer(stage.play.administrator), "/audit/export"
    signed_in, tokens = [(b"authorization", administrator)], [administrator, _basic(stage)]
    return [
        Door("/audit/export, queries", 5, path, _ranges(), _EXPORT, signed_in, "GET", in_query=True),
        Door("/audit/export, Authorization", 3, path, tokens, _EXPORT, method="GET", in_header=b"authorization"),
    ]


def _bearer(client: Client) -> bytes:
    return f"Bearer {client.token}".encode()


def _basic(stage: Stage) -> bytes:
    return b"Basic " + b64encode(f"{stage.mine.keys['apiKey']}:{stage.mine.keys['apiSecret']}".encode())


async def knock(app: Any, door: Door, data: bytes, number: int) -> Hashable:
    """The status and the code of the answer to one input. Raises AssertionError where it is none that is documented."""
    status, headers, body = await _asked(app, door, data, number)
    assert status in door.statuses, f"{status}: {body[:300]!r}"
    assert b"Traceback" not in body
    if door.path != "/graphql":
        return status
    assert headers[b"content-type"].startswith((_JSON, b"application/graphql-response+json", b"text/event-stream"))
    if headers[b"content-type"].startswith(b"text/event-stream"):
        return status
    errors = orjson.loads(body).get("errors", ())
    codes = {error["extensions"]["code"] for error in errors}
    assert codes <= set(Code) - {Code.INTERNAL_SERVER_ERROR, Code.UNAVAILABLE}, body
    return status, *sorted(codes), *(error["message"][:40] for error in errors)


async def _asked(app: Any, door: Door, data: bytes, number: int) -> tuple[int, dict[bytes, bytes], bytes]:
    sent, headers = door.body or data, [(b"host", b"sealkey.example"), *door.headers]
    if door.name == "idempotency keys":
        sent = sent.replace(b'"KEY"', orjson.dumps(data.decode(errors="replace")))
    if door.in_header:
        # As far as HTTP lets it through.
        headers.append((door.in_header, data.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"").strip(b" \t")))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": door.method,
        "scheme": "http",
        "path": door.path,
        "raw_path": door.path.encode(),
        "query_string": _in_address(data) if door.in_query else b"",
        "headers": headers,
        # Each from an address of its own: none is throttled for another's tries.
        "client": (f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", 1),
        "server": ("sealkey.example", 80),
        "state": {},
    }
    answered: list[Any] = []
    incoming = [{"type": "http.request", "body": b"" if door.method == "GET" else sent, "more_body": False}]

    async def receive() -> Any:
        return incoming.pop() if incoming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        answered.append(message)

    await app(scope, receive, send)
    start = answered[0]
    return start["status"], dict(start["headers"]), b"".join(each.get("body", b"") for each in answered[1:])


def _in_address(data: bytes) -> bytes:
    return bytes(byte for byte in data if 32 < byte < 127 and byte != ord("#"))


def _operation(query: str, **variables: Any) -> bytes:
    return json.dumps({"query": query, "variables": variables}).encode()


def _operations(stage: Stage) -> list[bytes]:
    ids = stage.mine.ids
    login = "mutation ($input: LoginInput!) { login(input: $input) { scope userErrors { code field message } } }"
    return [
        _operation("{ viewer { role permissions user { email } } }"),
        _operation("query A($first: Int!) { credentials(first: $first) { nodes { id name } } }", first=2),
        _operation("query ($id: ID!) { node(id: $id) { id ... on Credential { name } } }", id=ids["Credential"]),
        _operation('{ credentials(filter: {nameContains: "a", statuses: [ACTIVE]}, first: 1) { totalCount } }'),
        _operation('{ __type(name: "Credential") { fields { name type { name } } } }'),
        _operation(login, input={"apiKey": "sealkey_key_1", "apiSecret": "sealkey_secret_2"}),
        _operation('mutation { signIn(input: {email: "a@b.example", password: "x"}) { userErrors { code } } }'),
        json.dumps(
            {"query": "{ __typename }", "extensions": {"persistedQuery": {"version": 1, "sha256Hash": "a"}}}
        ).encode(),
        _operation("fragment F on Query { viewer { role } } query { ...F @include(if: true) }"),
    ]


def _addresses() -> list[bytes]:
    return [urlencode({"query": "{ viewer { role } }", "variables": "{}", "operationName": ""}).encode()]


def _ranges() -> list[bytes]:
    return [b"format=csv", b"format=jsonl&after=2026-01-01T00:00:00Z&before=2027-01-01T00:00:00%2B00:00"]


def _generating(stage: Stage) -> bytes:
    fields = {
        "name": "idempotent",
        "serviceId": stage.mine.ids["Service"],
        "identityId": stage.mine.ids["Identity"],
        "delivery": {"method": "VIEW_AND_COPY"},
        "idempotencyKey": "KEY",
    }
    query = "mutation ($i: GenerateCredentialInput!) { generateCredential(input: $i) { userErrors { code field } } }"
    return _operation(query, i=fields)


def _form(**fields: str) -> bytes:
    return urlencode(fields).encode()
