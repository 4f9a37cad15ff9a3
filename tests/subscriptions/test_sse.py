"""GraphQL over server-sent events, each subscription a request of its own."""

from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.plugins.play import Theatre
from tests.subscriptions.watching import over_sse, revoke, tell_something
from tests.support.server import Client
from tests.support.statements import statements
from tests.support.subscribers import CHANGES, streaming
from tests.support.world import PASSWORD, Play


def test_it_is_an_event_stream_that_nobody_keeps(shared_play: Play) -> None:
    with streaming(shared_play.member) as stream:
        assert stream.response.status_code == 200
        assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert "no-store" in stream.response.headers["cache-control"]


@pytest.mark.parametrize(
    "accepted",
    [
        "TEXT/EVENT-STREAM",
        "text/event-stream;q=0.5",
        "text/event-stream; charset=UTF-8",
        "text/html, text/event-stream ;q=0.1",
        "text/event-stream, */*",
        "text/event-stream, application/json;q=0",
    ],
)
def test_it_is_asked_for_in_whatever_way_media_types_may_be_written(shared_play: Play, accepted: str) -> None:
    with streaming(shared_play.member, headers={"Accept": accepted}) as stream:
        assert stream.first() is None


def test_one_with_nothing_to_tell_says_that_it_is_there(theatre: Theatre) -> None:
    with theatre.new(subscription_keep_alive_seconds=0.1) as play, streaming(play.member) as stream:
        pieces = stream.response.iter_raw()
        assert b"".join(next(pieces) for _ in range(3)) == b":\n\n" * 3


def test_who_accepts_json_too_is_answered_in_json(shared_play: Play) -> None:
    for accepted in (
        "application/json, text/event-stream",
        "application/graphql-response+json;q=0.9, text/event-stream",
        "Application/JSON, Text/Event-Stream",
        "*/*, text/event-stream;q=0",
    ):
        client = shared_play.member.sending(Accept=accepted)
        assert client.data("{ viewer { role } }") == {"role": "MEMBER"}


def test_a_subscription_that_is_asked_for_without_a_stream_is_told_how(shared_play: Play) -> None:
    (error,) = shared_play.member.execute(CHANGES)["errors"]
    assert error["extensions"]["code"] == "OPERATION_RESOLUTION_FAILURE"
    assert "text/event-stream" in error["message"]


@pytest.mark.parametrize(
    ("who", "document", "code"),
    [
        ("nobody", CHANGES, "UNAUTHENTICATED"),
        ("member_without_access", CHANGES, "FORBIDDEN"),
        ("member", "{ viewer { role } }", "OPERATION_RESOLUTION_FAILURE"),
        ("member", 'mutation { revokeCredential(input: {credentialId: "x"}) { userErrors { code } } }',
         "OPERATION_RESOLUTION_FAILURE"),
        ("member", "subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("member", "subscription {", "GRAPHQL_PARSE_FAILED"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_what_can_not_be_watched_is_told_in_the_stream(
    shared_play: Play, method: str, who: str, document: str, code: str
) -> None:
    how: Any = {"method": "GET", "json": None, "params": {"query": document}} if method == "GET" else {}
    with streaming(getattr(shared_play, who), document, **how) as stream:
        assert stream.response.status_code == 200
        assert stream.ended_with() == code


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"json": []}, 400),
        ({"content": b"no JSON", "json": None, "headers": {"Content-Type": "application/json"}}, 400),
        ({"data": {"query": CHANGES}, "json": None}, 415),
        ({"method": "PUT"}, 405),
        ({"method": "GET", "json": None}, 400),
        ({"method": "GET", "json": None, "params": {"query": CHANGES, "variables": "no JSON"}}, 400),
        ({"json": {"query": " " * 40_000 + "{ a }"}}, 413),
    ],
)
def test_what_is_no_operation_is_refused(shared_play: Play, options: Any, status: int) -> None:
    with streaming(shared_play.member, **options) as stream:
        stream.response.read()
        assert stream.response.status_code == status
        assert stream.response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


def test_it_may_be_asked_for_by_get(shared_play: Play) -> None:
    named = {"query": CHANGES + " query Other { viewer { role } }", "operationName": "Changes", "variables": "{}"}
    with streaming(shared_play.member, method="GET", json=None, params=named) as stream:
        assert stream.first() is None
        tell_something(shared_play, "by_get")
        assert stream.told() == ("credential.generated", "by_get")


def test_get_without_a_stream_is_answered_as_ever(shared_play: Play) -> None:
    answer = httpx.get(f"{shared_play.server.url}/graphql", params={"query": "{ __typename }"})
    assert (answer.status_code, answer.json()) == (200, {"data": {"__typename": "Query"}})


@pytest.mark.parametrize("site", ["same-origin", "same-site", "cross-site", "none", None])
def test_a_cookie_counts_for_a_page_of_this_server_alone(shared_play: Play, site: str | None) -> None:
    document = """mutation {
        signIn(input: {email: "auditor@alder.example", password: "%s", cookie: true}) { userErrors { code } }
    }"""
    cookie = shared_play.nobody.post(document % PASSWORD).headers["set-cookie"].partition(";")[0]
    headers = {"Cookie": cookie, **({"Sec-Fetch-Site": site} if site else {})}
    nobody = shared_play.nobody
    with streaming(nobody, method="GET", json=None, params={"query": CHANGES}, headers=headers) as stream:
        if site == "same-origin":
            assert stream.first() is None
        else:
            assert stream.ended_with() == "UNAUTHENTICATED"


def test_a_change_costs_the_same_statements_however_many_watch(shared_play: Play) -> None:
    play = shared_play
    costs = [cost_of_a_change(play, people) for people in ([play.member], [play.member, play.auditor, play.operator])]
    assert costs[0] == costs[1]
    assert len(costs[0][1]) == 2  # the events, and the credentials


def cost_of_a_change(play: Play, people: list[Client]) -> tuple[int, list[str]]:
    """Of a change that all of these are told of: how many statements requests took, the mutation and what was answered
    to who watches, and which the telling took, but for what is asked again and again without a change."""
    credential = play.generate("counted")["credential"]
    with ExitStack() as watching:
        streams = [watching.enter_context(over_sse(person)) for person in people]
        with statements() as of_requests, statements(of_requests=False) as of_all:
            revoke(play.member, credential)
            for stream in streams:
                assert stream.told() == ("credential.revoked", "counted")
    beside = [each for each in of_all if each not in of_requests]
    return len(of_requests), sorted(each for each in beside if '"audit_events"' in each or '"credentials"' in each)
