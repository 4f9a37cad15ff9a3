"""Every error code is documented, with the status that it comes with."""

from typing import Any

import httpx
import pytest

from auth.openid import OpenIdProvider, OpenIdRules, OpenIdUnavailable
from resolvers.errors import ErrorCode
from resolvers.throttling import SIGN_IN
from schema.budget import Budget, BudgetSpent
from schema.errors import Code
from schema.persisted import PersistedDocuments
from server.settings import Settings
from tests.docs.markdown import page, rows, section
from tests.support.world import Play

ERRORS = page("docs/errors.md")
TOP_LEVEL = rows(section(ERRORS, "## In errors"), "code", "status", "meaning and when", "what to do")

VIEWER = {"query": "{ viewer { role } }"}
GUESS = {"query": 'mutation { signIn(input: {email: "a@b.example", password: "guessed"}) { sessionToken } }'}
SPENDING = "{ services { nodes { credentials { totalCount } } } }"
NOBODYS = "cred_00000000000000000000000000000000"
DOCUMENTS = {"forgetful": PersistedDocuments(automatic=False), "distrustful": PersistedDocuments({})}
# Requests that are answered with an error, as whom.
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("nobody", {"json": VIEWER}),
    ("member", {"json": {"query": "{ users { totalCount } }"}}),
    ("member", {"json": {"query": f'{{ identities(filter: {{serviceId: "{NOBODYS}"}}) {{ totalCount }} }}'}}),
    ("member", {"json": {"query": "{ services(first: 101) { totalCount } }"}}),
    ("nobody", {"json": {"query": "query ($id: ID!) { node(id: $id) { id } }"}}),
    ("guesser", {"json": GUESS}),
    ("broken", {"json": VIEWER}),
    ("unidentified", {"json": VIEWER}),
    ("of_the_provider", {"json": VIEWER}),
    ("nobody", {"json": {"query": "{"}}),
    ("nobody", {"json": {"query": "{" + " a" * 1000 + "}"}}),
    ("nobody", {"json": {"query": "{ viewer { " + " role" * 100 + "} }"}}),
    ("spender", {"json": {"query": SPENDING}}),
    ("nobody", {"json": {"query": "{ nothing }"}}),
    ("nobody", {"json": {"query": "query A { viewer { role } } query B { viewer { role } }"}}),
    ("nobody", {"json": {"documentId": "none"}}),
    ("nobody", {"json": {**VIEWER, "documentId": "none"}}),
    ("forgetful", {"json": {"documentId": "none"}}),
    ("distrustful", {"json": VIEWER}),
    ("nobody", {"json": []}),
    ("nobody", {"method": "PUT", "json": VIEWER}),
    ("nobody", {"method": "GET", "params": {"query": "{" + " " * 32 * 1024}}),
    ("nobody", {"json": VIEWER, "headers": {"Content-Type": "text/plain"}}),
    ("nobody", {"json": {"query": " " * 1024 * 1024}}),
    ("nobody", {"data": {"query": "{ viewer { role } }"}}),
]


def test_every_user_error_code_is_documented() -> None:
    table = rows(section(ERRORS, "## In userErrors"), "code", "meaning and when", "what to do")
    assert [row[0] for row in table] == [code.value for code in ErrorCode]
    assert all(all(row) for row in table)


def test_every_top_level_code_is_documented() -> None:
    assert [row[0] for row in TOP_LEVEL] == list(Code)
    assert all(all(row) for row in TOP_LEVEL)


def statuses(cell: str) -> set[tuple[int, int]]:
    """Each status of the table, for a client that accepts the newer media type and for one that does not."""
    return {(int(text.rstrip("*")), 200 if text.endswith("*") else int(text)) for text in cell.split(", ")}


def test_every_code_comes_with_the_status_that_is_documented(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, set[tuple[int, int]]] = {}
    for who, request in REQUESTS:
        with monkeypatch.context() as patched:
            if who == "broken":
                patched.delattr("schema.queries.viewer_of")
            if who == "unidentified":
                patched.delattr("server.graphql_caller.identify")
            if who == "guesser":
                guess_in_vain(play)
            if who in DOCUMENTS:
                patched.setattr(PersistedDocuments, "find", DOCUMENTS[who].find)
            if who == "spender":
                patched.setattr(Budget, "spend", spend_all)
            if who == "of_the_provider":
                patched.setattr(play.server.app.state, "openid", OpenIdProvider(rules(), does_not_answer))
            code, status = answer(play, who, request, "application/graphql-response+json")
            same_code, older = answer(play, who, request, "application/json")
        assert same_code == code
        seen.setdefault(code, set()).add((status, older))
    assert seen == {code: statuses(status) for code, status, *_ in TOP_LEVEL if status != "in a stream"}


def guess_in_vain(play: Play) -> None:
    for _ in range(SIGN_IN.pair.free):
        play.nobody.execute(GUESS["query"])


def spend_all(_budget: Any, _caller: Any, _cost: Any) -> int:
    raise BudgetSpent(7)


def rules() -> OpenIdRules:
    found = Settings(oidc_issuer="https://id.example", oidc_audience="sealkey").openid_rules
    assert found
    return found


async def does_not_answer(url: str) -> Any:
    raise OpenIdUnavailable(url)


def answer(play: Play, who: str, request: dict[str, Any], accepted: str) -> tuple[str, int]:
    client = play.member if who in {"member", "broken"} else play.nobody
    if who == "of_the_provider":
        client = play.server.client("a.token.of-its")
    headers = {**client.headers, "Accept": accepted, **request.get("headers", {})}
    wanted = {"method": "POST", **request, "url": f"{play.server.url}/graphql", "headers": headers}
    response = httpx.request(**wanted, timeout=60, verify=False)
    (error,) = response.json()["errors"]
    return error["extensions"]["code"], response.status_code
