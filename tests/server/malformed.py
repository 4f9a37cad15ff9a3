"""Requests that are not as they should be."""

import json
from typing import Any, NamedTuple

JSON = "application/json"
OK = '{"query": "{ __typename }"}'


class Sent(NamedTuple):
    """A request to /graphql."""

    body: bytes | str = OK
    content_type: str | None = JSON
    method: str = "POST"
    query: str = ""
    more_headers: tuple[tuple[str, str], ...] = ()


def operation(query: Any, **more: Any) -> Sent:
    return Sent(json.dumps({"query": query, **more}))


def beside(**wrong: Any) -> Sent:
    return operation("{ __typename }", **wrong)


def asked_by_get(query: str) -> Sent:
    return Sent("", None, "GET", query)


def having(name: str, value: str) -> Sent:
    return Sent(more_headers=((name, value),))


TWO = "query A { __typename } query B { __typename }"
MALFORMED: dict[str, Sent] = {
    # What is no JSON.
    "nothing": Sent(""),
    "a space": Sent(" "),
    "half an object": Sent("{"),
    "a text without quotes": Sent("nonsense"),
    "GraphQL as it is": Sent("{ __typename }"),
    "quotes of another language": Sent("{'query': '{ __typename }'}"),
    "a comma too many": Sent('{"query": "{ __typename }",}'),
    "a comment": Sent(OK + "// please"),
    "two bodies": Sent(OK + OK),
    "no number": Sent('{"query": "{ __typename }", "variables": {"a": NaN}}'),
    "no end of numbers": Sent('{"query": "{ __typename }", "variables": {"a": Infinity}}'),
    "not UTF-8": Sent(b'{"query": "{ __typename } \xff"}'),
    "half a character": Sent('{"query": "{ __typename } \\ud800"}'),
    "UTF-16": Sent(OK.encode("utf-16")),
    "a byte order mark": Sent(b"\xef\xbb\xbf" + OK.encode()),
    "compressed": Sent(b"\x1f\x8b\x08\x00\x00\x00\x00\x00", more_headers=(("Content-Encoding", "gzip"),)),
    "lists without end": Sent("[" * 100_000),
    "objects without end": Sent('{"a":' * 100_000),
    "lists in lists in variables": Sent(f'{{"query": "{{ a }}", "variables": {{"a": {"[" * 2000}{"]" * 2000}}}}}'),
    # JSON that is not one operation.
    "a text": Sent('"{ __typename }"'),
    "a number": Sent("1"),
    "true": Sent("true"),
    "null": Sent("null"),
    "an empty list": Sent("[]"),
    "a batch": Sent(f"[{OK}]"),
    "an empty object": Sent("{}"),
    "an id of another name": Sent('{"id": "sha256:00"}'),
    "a misspelt query": Sent('{"qeury": "{ __typename }"}'),
    "a query of null": operation(None),
    "a query of number": operation(1),
    "a query in a list": operation(["{ __typename }"]),
    "a query as an object": operation({"__typename": True}),
    "an empty query": operation(""),
    "a blank query": operation(" \n\t"),
    "variables as text": beside(variables="{}"),
    "variables as a number": beside(variables=0),
    "variables as a list": beside(variables=[{}]),
    "variables that are false": beside(variables=False),
    "a number for a name": beside(operationName=1),
    "a list for a name": beside(operationName=["A"]),
    "an object for a name": beside(operationName={}),
    "extensions as text": beside(extensions="{}"),
    "extensions as a list": beside(extensions=[]),
    "too long a document": operation("{ __typename }" + " " * 32_768),
    "too large a body": Sent(OK + " " * 1024 * 1024),
    # Other ways to send it.
    "no type": Sent(content_type=None),
    "an empty type": Sent(content_type=""),
    "text": Sent(content_type="text/plain"),
    "a form": Sent("query=%7B+__typename+%7D", "application/x-www-form-urlencoded"),
    "parts": Sent(content_type="multipart/form-data; boundary=x"),
    "GraphQL's own type": Sent("{ __typename }", "application/graphql"),
    "the type of answers": Sent(content_type="application/graphql-response+json"),
    "another encoding": Sent(content_type="application/json; charset=utf-16"),
    "PUT": Sent(method="PUT"),
    "DELETE": Sent(method="DELETE"),
    "OPTIONS": Sent("", None, "OPTIONS"),
    "wanting HTML": having("Accept", "text/html"),
    "wanting nothing": having("Accept", "*/*;q=0"),
    # By GET.
    "GET of nothing": asked_by_get(""),
    "GET of an empty query": asked_by_get("query="),
    "GET of two queries": asked_by_get("query={a}&query={b}"),
    "GET with variables that are no JSON": asked_by_get("query={__typename}&variables={"),
    "GET with variables in a list": asked_by_get("query={__typename}&variables=[]"),
    "GET with extensions that are a text": asked_by_get('query={__typename}&extensions="a"'),
    "GET of a mutation": asked_by_get("query=mutation{__typename}"),
    "GET of too long a document": asked_by_get("query={__typename}" + "+" * 32_768),
    # Documents that are no GraphQL.
    "a brace": operation("{"),
    "the other brace": operation("}"),
    "only a comment": operation("# nothing"),
    "another language": operation("SELECT * FROM users"),
    "a word that is not known": operation("qwerty cop { abc }"),
    "a text that does not end": operation('{ node(id: "abc'),
    "half a character in a text": operation('{ node(id: "\\ud800") { id } }'),
    "a number with a letter": operation("{ credentials(first: 1a) { totalCount } }"),
    "a control character": operation("{ __typename \0 }"),
    "fields without end": operation("{ a " * 400),
    "lists without end in a document": operation("{ nodes(ids: " + "[" * 900),
    # GraphQL that is not valid.
    "a field that is not there": operation("{ viewr }"),
    "an argument that is not there": operation("{ viewer(id: 1) { role } }"),
    "no argument": operation("{ node { id } }"),
    "a field with nothing selected": operation("{ viewer }"),
    "a number with something selected": operation("{ credentials { totalCount { a } } }"),
    "a fragment that is not there": operation("{ ...F }"),
    "a fragment that is not used": operation("{ __typename } fragment F on Query { __typename }"),
    "a fragment in itself": operation("{ ...F } fragment F on Query { ...F }"),
    "a directive that is not there": operation("{ __typename @nothing }"),
    "a type that is not there": operation("query ($a: Nothing) { __typename @skip(if: $a) }"),
    "a variable that is not there": operation("{ node(id: $a) { id } }"),
    "two meanings of one name": operation("{ a: __typename a: viewer { role } }"),
    "a subscription": operation("subscription { credentialChanged { eventType } }"),
    "the schema's own language": operation("type Query { a: Int }"),
    # Operations that can't be told, values that do not fit.
    "two operations and no name": operation(TWO),
    "two operations and another name": operation(TWO, operationName="C"),
    "one operation and another name": operation("query A { __typename }", operationName="B"),
    "no operation": operation("fragment F on Query { __typename }"),
    "no value": operation("query ($i: ID!) { node(id: $i) { id } }"),
    "a list for a value": operation("query ($i: ID!) { node(id: $i) { id } }", variables={"i": [1]}),
    "a number too large": operation("query ($n: Int) { users(first: $n) { totalCount } }", variables={"n": 2**31}),
    "a role that is not there": operation(
        "query ($r: [Role!]) { users(filter: {roles: $r}) { totalCount } }", variables={"r": ["MEMBR"]}
    ),
    # What is well-formed and too much.
    "deep fields": operation("{ credentials { nodes { " + "successor { " * 12 + "id" + " }" * 15),
    "the same field sixty times": operation("{ viewer { " + "role " * 60 + "} }"),
}
