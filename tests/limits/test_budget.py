"""Whoever asks for a lot again and again has to wait; nobody else does."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.plugins.play import Theatre
from tests.support.server import Client
from tests.support.world import PASSWORD, Play

# Costs 1031, and is to be had five times.
LARGE = "{ services(first: 60) { nodes { name identities(first: 5) { nodes { name } } } } }"


@pytest.fixture
def play(theatre: Theatre) -> Iterator[Play]:
    settings = {"graphql_cost": 5000, "graphql_budget": 5200, "trusted_proxies": ("127.0.0.0/8",)}
    with theatre.new(**settings, session_idle_minutes=43_200) as play:
        yield play


def spend(client: Client) -> list[int]:
    """What remained after each of the five."""
    return [client.execute(LARGE)["extensions"]["cost"]["remaining"] for _ in range(5)]


def test_a_user_who_has_spent_the_budget_is_told_when_to_come_back(play: Play) -> None:
    play.clock.advance(seconds=20)
    assert spend(play.member) == [4169, 3138, 2107, 1076, 45]
    answer = play.member.post(LARGE)
    (error,) = answer.json()["errors"]
    assert error["extensions"] == {"code": "RATE_LIMITED", "retryAfterSeconds": 40}
    assert "data" not in answer.json()
    assert answer.headers["retry-after"] == "40"
    play.clock.advance(seconds=39)
    assert play.member.error_code(LARGE) == "RATE_LIMITED"
    play.clock.advance(seconds=1)
    assert spend(play.member)[0] == 4169


def test_what_hardly_costs_anything_is_answered_all_the_same(play: Play) -> None:
    spend(play.member)
    assert play.member.data("{ viewer { role } }") == {"role": "MEMBER"}


def test_all_sessions_of_a_user_spend_one_budget_and_nobody_elses(play: Play) -> None:
    spend(play.member)
    again = play.nobody.do("signIn", "sessionToken", email="member@alder.example", password=PASSWORD)["sessionToken"]
    assert play.server.client(again).error_code(LARGE) == "RATE_LIMITED"
    assert spend(play.administrator)[0] == 4169


def test_who_is_nobody_here_spends_that_of_the_address(play: Play) -> None:
    introspection = "{ __schema { types { name description fields { name } } } }"
    for first, same, other in (
        ("203.0.113.1", "203.0.113.1", "203.0.113.2"),
        ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"),
    ):
        clients = [play.nobody.sending(X_Forwarded_For=address) for address in (first, same, other)]
        while "errors" not in clients[0].execute(introspection):
            pass
        assert clients[1].error_code(introspection) == "RATE_LIMITED"
        assert "errors" not in clients[2].execute(introspection)


def test_gateways_have_none_to_keep_to(play: Play) -> None:
    expires = (play.clock.now + timedelta(days=30)).isoformat()
    made = play.operator.do("createGatewayToken", "token", name="edge", expiresAt=expires)
    gateway = play.server.client(made["token"])
    document = "mutation ($i: VerifyCredentialsInput!) { verifyCredentials(input: $i) { results { code } } }"
    questions = {"credentials": [{"apiKey": "a", "apiSecret": "b"}] * 100}
    for _ in range(60):
        assert "errors" not in gateway.execute(document, i=questions)
