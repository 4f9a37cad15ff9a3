"""Automatic persisted queries: a document is sent once, and its hash from then on."""

from hashlib import sha256
from typing import Any

import httpx
import pytest

from tests.plugins.play import Theatre
from tests.support.world import Play

VIEWER = "{ viewer { role } }"
NOBODY = {"code": "UNAUTHENTICATED"}


def hash_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def apollo(hash_: str, **more: Any) -> dict[str, Any]:
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash_}}, **more}


def ask(play: Play, **body: Any) -> Any:
    answer = httpx.post(f"{play.server.url}/graphql", json=body, headers=play.member.headers, verify=False)
    assert answer.status_code in {200, 400}
    return answer.json()


def code(answer: Any) -> str:
    (error,) = answer["errors"]
    assert set(answer) == {"errors"}
    (found,) = error["extensions"].values()
    return str(found)


def test_a_document_is_known_by_its_hash_once_it_was_sent(shared_play: Play) -> None:
    text = "query Known { viewer { role } }"
    unknown = ask(shared_play, **apollo(hash_of(text)))
    assert (code(unknown), unknown["errors"][0]["message"]) == ("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
    answer = {"data": {"viewer": {"role": "MEMBER"}}}
    assert ask(shared_play, **apollo(hash_of(text), query=text)) == answer
    for same in (apollo(hash_of(text)), {"documentId": f"sha256:{hash_of(text)}"}, {"documentId": hash_of(text)}):
        assert ask(shared_play, **same) == answer


def test_variables_and_the_operations_name_go_with_it(shared_play: Play) -> None:
    text = "query A($n: String!) { __type(name: $n) { name } } query B { __typename }"
    ask(shared_play, **apollo(hash_of(text), query=text, operationName="B"))
    answer = ask(shared_play, **apollo(hash_of(text), operationName="A", variables={"n": "Viewer"}))
    assert answer == {"data": {"__type": {"name": "Viewer"}}}


def test_by_get_too_for_queries(shared_play: Play) -> None:
    texts = ("query ByGet { __typename }", "mutation ByGet { signOut { userErrors { code } } }")
    for text, status in zip(texts, (200, 405), strict=True):
        shared_play.nobody.execute(text)
        ask_nobody = {"json": apollo(hash_of(text), query=text)}
        httpx.post(f"{shared_play.server.url}/graphql", **ask_nobody, verify=False)  # type: ignore[arg-type]
        parameters = {"extensions": f'{{"persistedQuery": {{"version": 1, "sha256Hash": "{hash_of(text)}"}}}}'}
        answer = httpx.get(f"{shared_play.server.url}/graphql", params=parameters, verify=False)
        assert answer.status_code == status


def test_a_text_that_has_another_hash_is_not_executed_and_not_kept(shared_play: Play) -> None:
    text = "query Mismatch { viewer { role } }"
    assert code(ask(shared_play, **apollo(hash_of(VIEWER), query=text))) == "BAD_USER_INPUT"
    assert code(ask(shared_play, **apollo(hash_of(text)))) == "PERSISTED_QUERY_NOT_FOUND"


@pytest.mark.parametrize(
    "text",
    [
        'mutation { login(input: {apiKey: "a", apiSecret: "the secret"}) { userErrors { code } } }',
        "{ nothing }",
        "{",
        "{ viewer { " + "role " * 60 + "} }",
        "fragment F on Query { __typename }",
    ],
    ids=["has a text in it", "is not valid", "is no GraphQL", "is too large", "has no operation"],
)
def test_not_kept_is_what(shared_play: Play, text: str) -> None:
    ask(shared_play, **apollo(hash_of(text), query=text))
    assert code(ask(shared_play, **apollo(hash_of(text)))) == "PERSISTED_QUERY_NOT_FOUND"


def test_what_was_not_asked_for_in_a_long_while_is_forgotten(play: Play) -> None:
    texts = [f"query Number{number} {{ __typename }}" for number in range(257)]
    url = f"{play.server.url}/graphql"
    with httpx.Client(verify=False) as client:
        for text in texts:
            client.post(url, json=apollo(hash_of(text), query=text))
            client.post(url, json=apollo(hash_of(texts[0])))
        known = ["data" in client.post(url, json=apollo(hash_of(text))).json() for text in texts]
    assert known == [True, False, *[True] * 255]


@pytest.mark.parametrize(
    "wrong",
    [
        {"extensions": {"persistedQuery": {"version": 2, "sha256Hash": hash_of(VIEWER)}}},
        {"extensions": {"persistedQuery": {"version": 1}}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": 1}}},
        {"extensions": {"persistedQuery": hash_of(VIEWER)}},
        {"documentId": 1},
        {"documentId": ["a"]},
        {"documentId": "a", **apollo("b")},
        {"documentId": "a", "query": ""},
        {"documentId": "a", "query": 1},
    ],
)
def test_what_names_no_document_is_refused(shared_play: Play, wrong: dict[str, Any]) -> None:
    assert code(ask(shared_play, **wrong)) == "BAD_REQUEST"


def test_they_can_be_turned_off(theatre: Theatre) -> None:
    with theatre.new(graphql_persisted_queries=False) as play:
        for body in (apollo(hash_of(VIEWER)), apollo(hash_of(VIEWER), query=VIEWER)):
            answer = ask(play, **body)
            assert code(answer) == "PERSISTED_QUERY_NOT_SUPPORTED"
            assert answer["errors"][0]["message"] == "PersistedQueryNotSupported"
        assert "data" in ask(play, query=VIEWER)
