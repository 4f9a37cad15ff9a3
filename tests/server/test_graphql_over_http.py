"""GraphQL over HTTP as its specification has it (first edition, September 2026): what answers are written in, what is
asked for by GET, and the statuses."""

import json
from typing import Any

import httpx
import pytest

from server.graphql_request import MAXIMUM_DOCUMENT
from tests.auth.crypto.readers import NODE_PROJECT, needs_node, node
from tests.plugins.play import Theatre
from tests.support.world import PASSWORD, Play

NEWER, OLDER = "application/graphql-response+json", "application/json"
TYPENAME = {"query": "{ __typename }"}
NOBODY = {"query": "{ viewer { role } }"}
PARTIAL = {"query": '{ __typename nodes(ids: ["a"]) { id } }'}


def post(play: Play, body: Any, accept: str | None = None) -> httpx.Response:
    headers = {} if accept is None else {"Accept": accept}
    request = httpx.Request("POST", f"{play.server.url}/graphql", json=body, headers=headers)
    with httpx.Client(verify=False) as client:
        return client.send(request)


def get(play: Play, headers: dict[str, str] | None = None, /, **parameters: str) -> httpx.Response:
    url = f"{play.server.url}/graphql"
    return httpx.get(url, params=parameters, headers={"Accept": NEWER, **(headers or {})}, verify=False)


@needs_node
@pytest.mark.skipif(not (NODE_PROJECT / "node_modules/graphql-http").is_dir(), reason="graphql-http is not installed")
def test_all_61_audits_of_graphql_http_are_passed(shared_play: Play) -> None:
    ran = node("audit.mjs", f"{shared_play.server.url}/graphql")
    assert ran.returncode == 0, ran.stderr.decode()
    audits = json.loads(ran.stdout)
    assert [audit for audit in audits if audit["status"] != "ok"] == []
    assert len(audits) == 61


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, OLDER),
        ("", OLDER),
        ("*/*", OLDER),
        ("application/*", OLDER),
        (OLDER, OLDER),
        (NEWER, NEWER),
        (NEWER.upper(), NEWER),
        (f"{NEWER}; charset=utf-8, {OLDER}; charset=utf-8", NEWER),
        (f"{OLDER}, {NEWER}", NEWER),
        (f"{NEWER};q=0.8, {OLDER};q=0.9", OLDER),
        (f"{NEWER};q=0.9,{OLDER};q=0.8", NEWER),
        (f"{NEWER};q=0, */*", OLDER),
        (f"{OLDER};q=0, */*", NEWER),
        (f"{OLDER};q=0, application/*;q=0.1", NEWER),
        (f"text/html, {NEWER};q=0.5, */*;q=0.1", NEWER),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", OLDER),
        (f'{NEWER}; charset="UTF-8"', NEWER),
        (f"{NEWER}; charset=utf-16, {OLDER}", OLDER),
        (f"{NEWER};q=much, {OLDER}", OLDER),
        (f"{NEWER}; profile=x; q=1.0", NEWER),
        (f", {NEWER} ,", NEWER),
        ("text/html", None),
        ("application/xml;q=1, text/*", None),
        (f"{OLDER};q=0, {NEWER};q=0", None),
        (f"{NEWER};q=0", None),
        (f"{OLDER}; charset=latin1", None),
        (f"{NEWER};q=2", None),
        ("nonsense", None),
    ],
)
def test_the_answer_is_written_in_what_the_client_likes_best(
    shared_play: Play, accept: str | None, expected: str | None
) -> None:
    answer = post(shared_play, TYPENAME, accept)
    if expected is None:
        assert (answer.status_code, answer.headers["content-type"]) == (406, f"{OLDER}; charset=utf-8")
        assert answer.json()["errors"][0]["extensions"] == {"code": "BAD_REQUEST"}
    else:
        assert (answer.status_code, answer.headers["content-type"]) == (200, f"{expected}; charset=utf-8")


def test_without_accept_nothing_newer_is_assumed(shared_play: Play) -> None:
    with httpx.Client(verify=False) as client:
        del client.headers["accept"]
        answer = client.post(f"{shared_play.server.url}/graphql", json=TYPENAME)
    assert answer.headers["content-type"] == f"{OLDER}; charset=utf-8"


class TestGet:
    def test_asks_queries(self, shared_play: Play) -> None:
        answer = get(shared_play, query="{ __typename }")
        assert (answer.status_code, answer.json()) == (200, {"data": {"__typename": "Query"}})
        assert answer.headers["cache-control"] == "no-store"

    def test_takes_all_that_a_body_does(self, shared_play: Play) -> None:
        answer = get(
            shared_play,
            query="query A($n: String!) { __type(name: $n) { name } } query B { __typename }",
            variables='{"n": "Viewer"}',
            operationName="A",
            extensions="{}",
        )
        assert answer.json() == {"data": {"__type": {"name": "Viewer"}}}
        assert get(shared_play, query="{ __typename }", variables="", operationName="", another="x").status_code == 200

    @pytest.mark.parametrize(
        "document", ["mutation { __typename }", "query A { __typename } mutation B { __typename }"]
    )
    def test_changes_nothing(self, shared_play: Play, document: str) -> None:
        answer = get(shared_play, query=document, operationName="B" if "B" in document else "")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert answer.json()["errors"][0]["extensions"] == {"code": "BAD_REQUEST"}

    def test_is_answered_to_whom_a_token_stands_for(self, shared_play: Play) -> None:
        answer = get(shared_play, shared_play.member.headers, query="{ viewer { role } }")
        assert answer.json() == {"data": {"viewer": {"role": "MEMBER"}}}

    def test_takes_the_header_beside_a_cookie_as_any_other_request(self, play: Play, quick_passwords: None) -> None:
        """Without it a page of somebody else's had the browser send it, who learns nothing then of whose it is."""
        sign_in = "mutation ($i: SignInInput!) { signIn(input: $i) { viewer { role } } }"
        input_ = {"email": "member@alder.example", "password": PASSWORD, "cookie": True}
        signed_in = post(play, {"query": sign_in, "variables": {"i": input_}})
        cookie = {"Cookie": signed_in.headers["set-cookie"].partition(";")[0]}
        refused = get(play, cookie, query="{ viewer { role } }").json()
        assert refused["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
        answer = get(play, {**cookie, "X-Sealkey-CSRF": "1"}, query="{ viewer { role } }")
        assert answer.json() == {"data": {"viewer": {"role": "MEMBER"}}}
        elsewhere = {**cookie, "X-Sealkey-CSRF": "1", "Sec-Fetch-Site": "cross-site"}
        refused_there = get(play, elsewhere, query="{ viewer { role } }").json()
        assert refused_there["data"] is None
        assert refused_there["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}

    def test_has_room_for_as_long_a_document_as_a_body(self, shared_play: Play) -> None:
        document = "{ __typename }".ljust(MAXIMUM_DOCUMENT)
        assert get(shared_play, query=document).status_code == 200
        assert get(shared_play, query=document + " ").status_code == 414


STATUSES: list[tuple[Any, int, int, int]] = [
    # What is sent; the status for an older client, for a newer one, and for a newer one where they are strict.
    (TYPENAME, 200, 200, 200),
    (PARTIAL, 200, 200, 294),
    (NOBODY, 200, 200, 294),
    ({"query": "{"}, 200, 400, 400),
    ({"query": "{ nothing }"}, 200, 400, 422),
    ({"query": "{ viewer { " + "role " * 60 + "} }"}, 200, 400, 422),
    ({"query": "query A { __typename } query B { __typename }"}, 200, 400, 422),
    ({"query": "query ($n: Int!) { __typename @skip(if: $n) }"}, 200, 400, 422),
    ({"query": "query ($i: ID!) { node(id: $i) { id } }"}, 200, 400, 422),
    ({"qeury": "{ __typename }"}, 400, 400, 422),
    ({"query": "{ __typename }", "variables": [7]}, 400, 400, 422),
    ([TYPENAME], 400, 400, 422),
]


def test_statuses_are_those_that_clients_expect_unless_stricter_ones_are_asked_for(theatre: Theatre) -> None:
    play = theatre.shared()
    assert [post(play, body, OLDER).status_code for body, *_ in STATUSES] == [older for _, older, _, _ in STATUSES]
    assert [post(play, body, NEWER).status_code for body, *_ in STATUSES] == [newer for _, _, newer, _ in STATUSES]
    with theatre.new(graphql_strict_status=True) as play:
        assert [post(play, body, OLDER).status_code for body, *_ in STATUSES] == [older for _, older, _, _ in STATUSES]
        assert [post(play, body, NEWER).status_code for body, *_ in STATUSES] == [strict for *_, strict in STATUSES]
        assert httpx.post(f"{play.server.url}/graphql", json=TYPENAME, verify=False).status_code == 200
        headers = {"Content-Type": OLDER, "Accept": NEWER}
        not_json = httpx.post(f"{play.server.url}/graphql", content=b"{", headers=headers, verify=False)
        assert not_json.status_code == 400


class TestCop:
    """What graphql-cop asks of a server, which is not to be had as a package. It finds introspection, GraphiQL at its
    own address and queries by GET, all of which are there on purpose."""

    def test_is_not_answered_a_hundred_aliases(self, shared_play: Play) -> None:
        document = "query cop { " + " ".join(f"alias{n}:__typename" for n in range(101)) + " }"
        assert "data" not in shared_play.nobody.execute(document)

    def test_is_not_answered_a_batch(self, shared_play: Play) -> None:
        assert set(post(shared_play, [{"query": "query cop { __typename }"}] * 10).json()) == {"errors"}

    def test_is_not_answered_one_field_five_hundred_times(self, shared_play: Play) -> None:
        assert "data" not in shared_play.nobody.execute("query cop { " + "__typename \n" * 500 + "}")

    def test_is_told_of_fewer_than_ten_errors(self, shared_play: Play) -> None:
        assert len(shared_play.nobody.execute("query cop { __typename " + "@aa" * 10 + " }")["errors"]) < 10

    def test_does_not_go_round_in_introspection(self, shared_play: Play) -> None:
        document = (
            "query cop { __schema { types { fields { type { fields { type { fields { type { name } } } } } } } } }"
        )
        assert "data" not in shared_play.nobody.execute(document)

    def test_is_told_no_names_that_it_did_not_know(self, shared_play: Play) -> None:
        for document in (
            "query cop { __schema { directive } }",
            "query cop { viewr { role } }",
            "{ node(di: 1) { id } }",
        ):
            for error in shared_play.nobody.execute(document)["errors"]:
                assert "Did you mean" not in error["message"]

    def test_changes_nothing_by_get_nor_by_a_form(self, shared_play: Play) -> None:
        assert "data" not in get(shared_play, query="mutation cop {__typename}").json()
        form = httpx.post(f"{shared_play.server.url}/graphql", data={"query": "query cop { __typename }"}, verify=False)
        assert (form.status_code, "data" in form.json()) == (415, False)

    def test_sees_no_trace_and_no_exception(self, shared_play: Play) -> None:
        for document in ("query cop { __typename }", "qwerty cop { abc }"):
            assert not {"tracing", "exception"} & set(json.dumps(shared_play.nobody.execute(document)).split('"'))
