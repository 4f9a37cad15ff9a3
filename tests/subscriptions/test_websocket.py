"""graphql-transport-ws, as https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md has it."""

from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.plugins.play import Theatre
from tests.subscriptions.watching import revoke, tell_something
from tests.support.server import Client
from tests.support.subscribers import CHANGES, Socket, connecting
from tests.support.world import PASSWORD, Play

CHANGE = {"query": CHANGES}


@pytest.mark.parametrize("offered", ["graphql-ws", "something"])
def test_any_other_subprotocol_is_refused(shared_play: Play, offered: str) -> None:
    with pytest.raises(InvalidStatus) as refused, connecting(shared_play.member, offered):
        pass
    assert refused.value.response.status_code == 400
    assert b"graphql-transport-ws" in refused.value.response.body


def test_of_several_subprotocols_the_one_that_is_spoken_here_is_taken(shared_play: Play) -> None:
    with connecting(shared_play.member, "graphql-ws", "graphql-transport-ws") as socket:
        assert socket.connection.subprotocol == "graphql-transport-ws"
        socket.begin()


# What a client does after the connection began, and the code that it is closed with.
BREACHES: list[tuple[str, int]] = [
    ('{"type": "connection_init"}', 4429),
    ("no JSON", 4400),
    ("[]", 4400),
    ('{"type": 1}', 4400),
    ('{"type": "start"}', 4400),
    ('{"type": "ping", "payload": 1}', 4400),
    ('{"type": "subscribe", "payload": {"query": "{ __typename }"}}', 4400),
    ('{"type": "subscribe", "id": 1, "payload": {"query": "{ __typename }"}}', 4400),
    ('{"type": "subscribe", "id": "1"}', 4400),
    ('{"type": "subscribe", "id": "1", "payload": {}}', 4400),
    ('{"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }", "variables": []}}', 4400),
    ('{"type": "ping", "payload": {"it": "' + "x" * 300_000 + '"}}', 1009),
]


@pytest.mark.parametrize(("message", "code"), BREACHES, ids=range(len(BREACHES)))
def test_what_is_not_of_the_protocol_ends_the_connection(shared_play: Play, message: str, code: int) -> None:
    with connecting(shared_play.member) as socket:
        socket.begin().connection.send(message)
        assert socket.closed_with() == code


def test_a_binary_message_that_is_no_text_ends_the_connection(shared_play: Play) -> None:
    with connecting(shared_play.member) as socket:
        socket.begin().connection.send(b'{"type": "ping"}')
        assert socket.closed_with() == 4400


def test_who_subscribes_first_is_not_authorized(shared_play: Play) -> None:
    with connecting(shared_play.member) as socket:
        socket.send("subscribe", id="1", payload=CHANGE)
        assert socket.closed_with() == 4401


def test_who_does_not_begin_is_not_waited_for(theatre: Theatre) -> None:
    with theatre.new(subscription_init_seconds=0.1) as play, connecting(play.member) as socket:
        assert socket.closed_with() == 4408


@pytest.mark.parametrize("begun", [False, True])
def test_a_ping_is_answered_with_what_it_brought(shared_play: Play, begun: bool) -> None:
    with connecting(shared_play.member) as socket:
        if begun:
            socket.begin()
        socket.send("pong").send("ping", payload={"a": 1}).send("ping")
        assert [socket.receive(), socket.receive()] == [{"type": "pong", "payload": {"a": 1}}, {"type": "pong"}]


def test_an_id_is_of_one_subscription_at_a_time(shared_play: Play) -> None:
    with connecting(shared_play.member) as socket:
        socket.begin().subscribe("1").subscribe("2")
        socket.send("complete", id="1").send("complete", id="nobody's")
        socket.subscribe("1")
        socket.send("subscribe", id="2", payload=CHANGE)
        assert socket.closed_with() == 4409


def test_one_that_the_client_completed_is_told_nothing_more(shared_play: Play) -> None:
    with connecting(shared_play.member) as socket:
        socket.begin().subscribe("1").subscribe("2")
        socket.send("complete", id="1")
        credential = shared_play.generate("for_the_second")["credential"]
        assert socket.told("2") == ("credential.generated", "for_the_second")
        revoke(shared_play.member, credential)
        assert socket.told("2") == ("credential.revoked", "for_the_second")


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{ viewer { role } }", "OPERATION_RESOLUTION_FAILURE"),
        ("mutation { signOut { userErrors { code } } }", "OPERATION_RESOLUTION_FAILURE"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        (f"{CHANGES} query B {{ viewer {{ role }} }}", "OPERATION_RESOLUTION_FAILURE"),
        ("subscription { a: credentialChanged { eventType } b: credentialChanged { eventType } }",
         "GRAPHQL_VALIDATION_FAILED"),
    ],
)  # fmt: skip
def test_what_can_not_be_watched_is_an_error_and_the_connection_stays(
    shared_play: Play, document: str, code: str
) -> None:
    with connecting(shared_play.member) as socket:
        socket.begin().send("subscribe", id="1", payload={"query": document})
        assert socket.ended_with() == code
        socket.subscribe("1")


def test_a_variable_that_does_not_fit_is_an_error(shared_play: Play) -> None:
    document = "subscription ($all: Boolean!) { credentialChanged { eventType @include(if: $all) occurredAt } }"
    with connecting(shared_play.member) as socket:
        payload: dict[str, Any] = {"query": document, "variables": {"all": "secret"}}
        socket.begin().send("subscribe", id="1", payload=payload)
        message = socket.receive()
        assert message["payload"][0]["extensions"]["code"] == "BAD_USER_INPUT"
        assert "secret" not in str(message)


# Who it is


def nobody_at(play: Play) -> Client:
    return play.server.client()


def test_who_it_is_may_be_said_when_it_begins(shared_play: Play) -> None:
    with connecting(nobody_at(shared_play)) as socket:
        socket.begin(shared_play.alder.tokens["member"]).subscribe()
        tell_something(shared_play, "said")
        assert socket.told() == ("credential.generated", "said")


@pytest.mark.parametrize("token", [None, "sealkey_session_" + "x" * 49, "nonsense"])
def test_nobody_in_particular_gets_no_connection(shared_play: Play, token: str | None) -> None:
    with connecting(nobody_at(shared_play)) as socket:
        payload = {"payload": {"Authorization": f"Bearer {token}"}} if token else {}
        socket.send("connection_init", **payload)
        assert socket.closed_with() == 4403


def test_a_gateway_may_not_watch_and_that_is_on_record(play: Play) -> None:
    made = play.administrator.do("createGatewayToken", "token", name="edge", expiresAt=play.clock.in_(days=1))
    with connecting(play.server.client(made["token"])) as socket:
        socket.begin().send("subscribe", id="1", payload=CHANGE)
        assert socket.ended_with() == "FORBIDDEN"
    events = play.administrator.data('{ auditEvents(filter: {types: ["access.denied"]}) { nodes { summary } } }')
    assert [event["summary"].partition(":")[0] for event in events["nodes"]] == ["credentialChanged was denied"]


@pytest.fixture(scope="module")
def cookie(theatre: Any) -> str:
    play: Play = theatre.shared()
    document = """mutation {
        signIn(input: {email: "auditor@alder.example", password: "%s", cookie: true}) { userErrors { code } }
    }"""
    return play.nobody.post(document % PASSWORD).headers["set-cookie"].partition(";")[0]


@pytest.mark.parametrize(
    ("origin", "gets_in"),
    [
        ("http://{own}", True),
        ("https://{own}", False),
        ("http://evil.example", False),
        ("http://{own}.evil.example", False),
        ("http://127.0.0.1:1", False),
        ("null", False),
        (None, False),
    ],
)
def test_a_cookie_counts_for_a_page_of_this_server_alone(
    shared_play: Play, cookie: str, origin: str | None, gets_in: bool
) -> None:
    own = shared_play.server.url.removeprefix("http://")
    headers = {"Cookie": cookie, **({"Origin": origin.format(own=own)} if origin else {})}
    with connecting(nobody_at(shared_play), headers=headers) as socket:
        if gets_in:
            socket.begin().subscribe()
        else:
            socket.send("connection_init")
            assert socket.closed_with() == 4403


def test_of_two_tokens_the_one_sent_when_it_begins_is_taken(shared_play: Play) -> None:
    with connecting(shared_play.operator) as socket:
        assert isinstance(socket, Socket)
        socket.begin(shared_play.birch.tokens["member"]).subscribe()
        tell_something(shared_play, "not_for_birch")
        socket.subscribe("2")
        socket.send("complete", id="2")
        with pytest.raises(TimeoutError):
            socket.connection.recv(0.5)
