"""GraphQL over HTTP, as badly as it can be spoken: each answer is JSON with a code, and none is a 500."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from resolvers.caller import Deployment
from server.graphql_request import MAXIMUM_BODY
from tests.plugins.database import Databases
from tests.support.subscribers import connecting, streaming
from tests.support.world import Play

JSON = {"Content-Type": "application/json"}
NEWER = {"Accept": "application/graphql-response+json"}
SIGNED_OUT = {"query": "{ viewer { role } }"}
PROBE = json.dumps({"query": "{ __typename }"})


def send(
    play: Play, body: bytes | str = PROBE, *, method: str = "POST", headers: dict[str, str] = JSON
) -> httpx.Response:
    return httpx.request(method, f"{play.server.url}/graphql", content=body, headers=headers, timeout=30, verify=False)


def get(play: Play, path: str) -> httpx.Response:
    return httpx.get(play.server.url + path, verify=False)


def ask(play: Play, body: Any, **headers: str) -> httpx.Response:
    return send(play, json.dumps(body), headers={**JSON, **headers})


def code_of(answer: httpx.Response) -> str:
    """The code of an answer's only error; there is nothing else in the answer."""
    assert answer.headers["content-type"].startswith(("application/json", "application/graphql-response+json"))
    body = answer.json()
    (error,) = body["errors"]
    assert set(body) == {"errors"}
    assert error["message"]
    code: str = error["extensions"]["code"]
    return code


def test_the_answer_to_a_good_request_is_json_that_nobody_keeps(shared_play: Play) -> None:
    answer = send(shared_play)
    assert (answer.status_code, answer.json()) == (200, {"data": {"__typename": "Query"}})
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"


def test_a_client_that_knows_the_newer_media_type_gets_it(shared_play: Play) -> None:
    answer = ask(shared_play, {"query": "{ __typename }"}, **NEWER)
    assert answer.headers["content-type"] == "application/graphql-response+json; charset=utf-8"


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON;charset=UTF-8", "application/json ;x=y"]
)
def test_the_content_type_may_have_parameters_and_any_case(shared_play: Play, content_type: str) -> None:
    assert send(shared_play, headers={"Content-Type": content_type}).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_only_post_and_get_are_answered(shared_play: Play, method: str) -> None:
    answer = send(shared_play, method=method)
    assert (answer.status_code, code_of(answer)) == (405, "BAD_REQUEST")
    assert answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/graphql",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ],
)
def test_only_json_is_read(shared_play: Play, content_type: str | None) -> None:
    # What a form on another site can send without asking first must never be run.
    answer = send(shared_play, headers={} if content_type is None else {"Content-Type": content_type})
    assert (answer.status_code, code_of(answer)) == (415, "BAD_REQUEST")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'query': '{ __typename }'}",
        b'{"query": "{ __typename }"} again',
        b"NaN",
        b'{"query": "{ __typename }", "variables": {"number": NaN}}',
        b'{"query": "{ __typename } \xff"}',
        b'{"query": "{ __typename } \\ud800"}',
        '{"query": "{ __typename }"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"query": "{ __typename }"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"query": "{ __typename }", "variables": {"list": ' + b"[" * 5000 + b"]" * 5000 + b"}}",
    ],
    ids=[
        "nothing",
        "cut short",
        "quotes of another language",
        "more after it",
        "no number",
        "no number inside",
        "not UTF-8",
        "half a character",
        "UTF-16",
        "a byte order mark",
        "lists without end",
        "objects without end",
        "deep variables",
    ],
)
def test_what_is_not_json_is_refused(shared_play: Play, body: bytes) -> None:
    answer = send(shared_play, body)
    assert (answer.status_code, code_of(answer)) == (400, "BAD_REQUEST")


def with_wrong(name: str, *values: Any) -> list[dict[str, Any]]:
    return [{"query": "{ __typename }", name: value} for value in values]


@pytest.mark.parametrize(
    "body",
    [
        "str",
        1,
        True,
        None,
        [],
        [{"query": "{ __typename }"}],
        {},
        {"query": None},
        {"query": 1},
        {"query": ["{ __typename }"]},
        {"query": {"__typename": True}},
        {"query": ""},
        {"query": " \n"},
        {"Query": "{ __typename }"},
        *with_wrong("variables", "{}", 1, True, [], [{}]),
        *with_wrong("operationName", 1, True, [], {}),
        *with_wrong("extensions", "{}", 1, []),
    ],
    ids=json.dumps,
)
def test_json_that_is_not_one_operation_is_refused(shared_play: Play, body: Any) -> None:
    answer = ask(shared_play, body)
    assert (answer.status_code, code_of(answer)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("empty", [{"variables": None}, {"operationName": None}, {"extensions": None}])
def test_null_is_as_good_as_left_out(shared_play: Play, empty: dict[str, None]) -> None:
    assert ask(shared_play, {"query": "{ __typename }", **empty}).json() == {"data": {"__typename": "Query"}}


def test_a_body_as_large_as_is_taken_is_read(shared_play: Play) -> None:
    body = PROBE + " " * (MAXIMUM_BODY - len(PROBE))
    assert send(shared_play, body).status_code == 200


def test_a_larger_body_is_refused_whether_or_not_its_length_was_told(shared_play: Play) -> None:
    answer = send(shared_play, PROBE + " " * (MAXIMUM_BODY - len(PROBE) + 1))
    assert (answer.status_code, code_of(answer)) == (413, "BAD_REQUEST")

    def pieces() -> Iterator[bytes]:
        yield from (b" " * 65_536 for _ in range(MAXIMUM_BODY // 65_536 + 1))

    url = f"{shared_play.server.url}/graphql"
    answer = httpx.post(url, content=pieces(), headers=JSON, timeout=30, verify=False)
    assert (answer.status_code, code_of(answer)) == (413, "BAD_REQUEST")


TWO = "query A { __typename } query B { other: __typename }"


@pytest.mark.parametrize(
    ("document", "name", "code"),
    [
        ("{", None, "GRAPHQL_PARSE_FAILED"),
        ("}", None, "GRAPHQL_PARSE_FAILED"),
        ("# nothing", None, "GRAPHQL_PARSE_FAILED"),
        ('{ node(id: "\\ud800") { id } }', None, "GRAPHQL_PARSE_FAILED"),
        ("{ a " * 600 + "}" * 600, None, "GRAPHQL_PARSE_FAILED"),
        ("{ nodes(ids: " + "[" * 900 + "]" * 900 + ") { id } }", None, "GRAPHQL_PARSE_FAILED"),
        ("{ __typename " * 1500, None, "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("fragment F on Query { __typename }", None, "OPERATION_RESOLUTION_FAILURE"),
        ("type Query { a: Int }", None, "OPERATION_RESOLUTION_FAILURE"),
        (TWO, None, "OPERATION_RESOLUTION_FAILURE"),
        (TWO, "C", "OPERATION_RESOLUTION_FAILURE"),
        ("query A { __typename }", "C", "OPERATION_RESOLUTION_FAILURE"),
        ("{ __typename } { __typename }", None, "OPERATION_RESOLUTION_FAILURE"),
        ("{ node { id } }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("query ($id: ID!) { node(id: $id) { id } }", None, "BAD_USER_INPUT"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_document_that_can_not_be_run_is_refused_before_anything_is(
    shared_play: Play, document: str, name: str | None, code: str
) -> None:
    for headers, status in (({}, 200), (NEWER, 400)):
        answer = ask(shared_play, {"query": document, "operationName": name}, **headers)
        assert (answer.status_code, code_of(answer)) == (status, code)


def test_of_several_operations_the_named_one_is_run(shared_play: Play) -> None:
    assert ask(shared_play, {"query": TWO, "operationName": "B"}).json() == {"data": {"other": "Query"}}


def test_an_empty_operation_name_is_none(shared_play: Play) -> None:
    assert ask(shared_play, {"query": "query A { __typename }", "operationName": ""}).json() == {
        "data": {"__typename": "Query"}
    }
    answer = ask(shared_play, {"query": TWO, "operationName": ""})
    assert code_of(answer) == "OPERATION_RESOLUTION_FAILURE"


def test_a_subscription_takes_a_stream(shared_play: Play) -> None:
    answer = ask(shared_play, {"query": "subscription { credentialChanged { eventType } }"})
    assert (answer.status_code, code_of(answer)) == (200, "OPERATION_RESOLUTION_FAILURE")


@pytest.mark.parametrize("depth", [10, 900])
def test_deep_variables_are_refused_and_harm_nobody(shared_play: Play, depth: int) -> None:
    document = json.dumps("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }")
    answer = send(shared_play, f'{{"query": {document}, "variables": {{"ids": {"[" * depth + "]" * depth}}}}}')
    assert (answer.status_code, code_of(answer)) == (200, "BAD_USER_INPUT")


@pytest.mark.parametrize("expiry", ["{}", "{months: null}", "{months: 1, never: true}"])
def test_a_choice_that_is_none_or_two_is_told_as_what_it_is(shared_play: Play, expiry: str) -> None:
    delivery = "delivery: {method: VIEW_AND_COPY}"
    input_ = f'{{name: "a", serviceId: "b", identityId: "c", {delivery}, expiry: {expiry}}}'
    document = f"mutation {{ generateCredential(input: {input_}) {{ userErrors {{ code }} }} }}"
    assert shared_play.member.error_code(document) == "BAD_USER_INPUT"


def test_an_error_while_running_is_told_beside_null_data(shared_play: Play) -> None:
    for headers in ({}, NEWER):
        answer = ask(shared_play, SIGNED_OUT, **headers)
        assert answer.status_code == 200
        assert answer.json()["data"] is None
        (error,) = answer.json()["errors"]
        assert (error["extensions"]["code"], error["path"]) == ("UNAUTHENTICATED", ["viewer"])


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Basic YTpi", "Bearer sealkey_session_nobodys", "Bearer a b", "bearer\xe9 x", "x" * 5000],
)
def test_a_token_that_is_none_signs_nobody_in(shared_play: Play, authorization: str) -> None:
    headers = [(b"content-type", b"application/json"), (b"authorization", authorization.encode("latin-1"))]
    answer = httpx.post(f"{shared_play.server.url}/graphql", json=SIGNED_OUT, headers=headers, verify=False)
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


def test_the_scheme_of_a_token_may_be_written_in_any_case(shared_play: Play) -> None:
    token = shared_play.member.token
    answer = ask(shared_play, SIGNED_OUT, Authorization=f"BEARER  {token}")
    assert answer.json() == {"data": {"viewer": {"role": "MEMBER"}}}


TEXTS = {
    "NUL": "\0",
    "an address with NUL": "a\0@b.example",
    "an address too long": "a@" + "b" * 300,
    "a key with NUL": "sealkey\0_key_" + "a" * 16,
    "a key too long": "x" * 100 + "_key_" + "a" * 16,
    "a key a little too long": "x" * 50 + "_key_" + "a" * 16,
    "a very long text": "x" * 300_000,
    "characters of four bytes": "\U0001f511" * 200,
    "an injection": "'; DROP TABLE users; --",
}
FIELDS = {
    "login": "mutation ($t: String!) { login(input: {apiKey: $t, apiSecret: $t}) { userErrors { code } } }",
    "verifyCredential": "mutation ($t: String!) "
    "{ verifyCredential(input: {apiKey: $t, apiSecret: $t, service: $t}) { code } }",
    "acceptInvitation": "mutation ($t: String!) "
    '{ acceptInvitation(input: {invitationToken: $t, password: "short"}) { userErrors { code } } }',
    "createAccount": "mutation ($t: String!) { createAccount(input: {name: $t}) { userErrors { code } } }",
    "createUser": "mutation ($t: String!) "
    "{ createUser(input: {email: $t, displayName: $t, role: OPERATOR}) { userErrors { code } } }",
    "revokeCredential": "mutation ($t: ID!) { revokeCredential(input: {credentialId: $t}) { userErrors { code } } }",
    "suspendService": "mutation ($t: String!) "
    '{ suspendService(input: {serviceId: "svc_1", reason: $t}) { userErrors { code } } }',
    "node": "query ($t: ID!) { node(id: $t) { id } }",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("document", FIELDS.values(), ids=FIELDS)
def test_no_text_breaks_a_field(shared_play: Play, document: str, text: str) -> None:
    assert "errors" not in shared_play.operator.execute(document, t=text)


ADDRESSES = ["an address with NUL", "an address too long", "a very long text"]


@pytest.mark.parametrize("email", [TEXTS[name] for name in ADDRESSES], ids=ADDRESSES)
def test_no_text_breaks_the_sign_in(shared_play: Play, email: str) -> None:
    refusals = shared_play.nobody.refusals("signIn", "sessionToken", email=email, password=email)
    assert refusals == [("INVALID_CREDENTIALS", None)]


async def _forget(deployment: Deployment) -> None:
    deployment.memory.forget()


def test_what_was_not_foreseen_is_told_with_an_id_and_nothing_else(play: Play) -> None:
    """In a field, beside the data; before any field is reached, by the status as well."""
    for table, status in (("credentials", 200), ("sessions", 500)):
        play.rows.execute(f"ALTER TABLE {table} RENAME TO lost_{table}")
        play.server.run(_forget)
        answer = ask(play, {"query": "{ credentials { totalCount } }"}, **play.member.headers)
        assert answer.status_code == status
        (error,) = answer.json()["errors"]
        assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR"}
        assert re.fullmatch(r"Something went wrong here. The log has it under [0-9a-f]{32}\.", error["message"])
    with streaming(play.member) as stream:
        stream.response.read()
        assert (stream.response.status_code, code_of(stream.response)) == (500, "INTERNAL_SERVER_ERROR")
    with connecting(play.member) as socket:
        socket.send("connection_init")
        assert socket.closed_with("Something went wrong here. The log has it under") == 1011


@pytest.mark.engine("postgres")
def test_a_server_whose_database_is_gone_lives_on_and_says_that_it_is_not_ready(
    play: Play, databases: Databases
) -> None:
    databases.drop_database(play.server.database_url.rpartition("/")[2])
    assert (get(play, "/readyz").status_code, get(play, "/healthz").status_code) == (503, 200)
    assert get(play, "/readyz").text == "database_unreachable"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_server_that_works_says_so(shared_play: Play, path: str) -> None:
    answer = get(shared_play, path)
    assert (answer.status_code, answer.text) == (200, "ok")


def test_every_answer_has_an_id_of_its_own(shared_play: Play) -> None:
    answers = [get(shared_play, path) for path in ("/healthz", "/healthz", "/nowhere")]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3


def test_what_is_not_there_is_not_found(shared_play: Play) -> None:
    assert get(shared_play, "/nowhere").status_code == 404


def test_the_front_page_leads_to_graphiql(shared_play: Play) -> None:
    answer = get(shared_play, "/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/graphiql")
