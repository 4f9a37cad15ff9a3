"""More than a server can do is refused soon, and in the way of whoever is asked; what it can do it goes on doing."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from auth import passwords
from server.gate import Bounds, Gate, Overloaded, Place, Refusals
from tests.plugins.play import Theatre
from tests.support.subscribers import connecting, streaming
from tests.support.world import PASSWORD, Play

VIEWER = {"query": "{ viewer { role } }"}
FORM = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b"}
GRAPHQL_JSON = "application/graphql-response+json"


@pytest.fixture(scope="module")
def play(theatre: Theatre) -> Iterator[Play]:
    with theatre.new(operations_at_once=1, operations_waiting=1, operation_wait_seconds=0.2) as play:
        yield play


@contextmanager
def taken(play: Play, *gates: str, places: int = 1) -> Iterator[None]:
    """So many places are taken, and the first of them is at work for as long as this lasts."""

    async def take() -> list[Place]:
        found = [getattr(play.server.app.state, gate).take() for gate in gates for _ in range(places)]
        for place in found[::places]:
            await place.turn()
        return found

    async def leave() -> None:
        for place in found:
            place.leave()

    found = on_its_loop(play, take)
    try:
        yield
    finally:
        on_its_loop(play, leave)


def on_its_loop(play: Play, do: Callable[[], Any]) -> Any:
    return asyncio.run_coroutine_threadsafe(do(), play.server.loop).result(10)


def ask(play: Play, method: str, path: str, **request: Any) -> httpx.Response:
    return httpx.request(method, f"{play.server.url}{path}", **request)


# As whom, what is asked, and how the answer says that it is for later.
REFUSED: dict[str, tuple[str, str, dict[str, Any], Callable[[Any], bool]]] = {
    "GraphQL": ("POST", "/graphql", {"json": VIEWER}, lambda body: code_of(body) == "UNAVAILABLE"),
    "GraphQL, newer": (
        "POST",
        "/graphql",
        {"json": VIEWER, "headers": {"Accept": GRAPHQL_JSON}},
        lambda body: code_of(body) == "UNAVAILABLE",
    ),
    "GraphQL by GET": ("GET", "/graphql", {"params": VIEWER}, lambda body: code_of(body) == "UNAVAILABLE"),
    "a stream": (
        "POST",
        "/graphql",
        {"json": VIEWER, "headers": {"Accept": "text/event-stream"}},
        lambda body: code_of(body) == "UNAVAILABLE",
    ),
    "logging in": ("POST", "/v2/login", {"json": {}}, lambda body: body["code"] == "UNAVAILABLE"),
    "OAuth": ("POST", "/oauth/token", {"data": FORM}, lambda body: body["error"] == "temporarily_unavailable"),
}


def code_of(body: Any) -> Any:
    (error,) = body["errors"]
    assert error["extensions"]["retryAfterSeconds"] == 1
    assert "data" not in body
    return error["extensions"]["code"]


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_what_there_is_no_room_for_is_told_to_come_again(play: Play, what: str, connection: str) -> None:
    method, path, request, is_told = REFUSED[what]
    headers = {"Connection": connection, **request.get("headers", {})}
    with taken(play, "gate", places=2):
        answer = ask(play, method, path, **{**request, "headers": headers})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert answer.headers["Cache-Control"] == "no-store"
        assert is_told(answer.json())
    assert ask(play, method, path, **request).status_code != 503


def test_the_answer_is_of_the_type_that_was_asked_for(play: Play) -> None:
    with taken(play, "gate", places=2):
        for accepted in (GRAPHQL_JSON, "application/json"):
            answer = ask(play, "POST", "/graphql", json=VIEWER, headers={"Accept": accepted})
            assert answer.headers["Content-Type"].startswith(accepted)


@pytest.mark.parametrize(
    "body", [{"json": VIEWER}, {"content": iter([b'{"query": "{ viewer', b' { role } }"}'])}], ids=["whole", "in parts"]
)
def test_what_waits_for_too_long_is_refused_too(play: Play, body: dict[str, Any]) -> None:
    before = play.server.app.state.gate.late
    with taken(play, "gate"):
        answer = ask(play, "POST", "/graphql", headers={"Content-Type": "application/json"}, **body)
        assert (answer.status_code, code_of(answer.json())) == (503, "UNAVAILABLE")
    assert play.server.app.state.gate.late == before + 1


def test_who_waits_is_answered_when_it_is_their_turn(play: Play) -> None:
    with ThreadPoolExecutor() as pool:
        with taken(play, "gate"):
            waiting = pool.submit(ask, play, "POST", "/graphql", json=VIEWER)
            while not play.server.app.state.gate.is_full:
                pass
        assert waiting.result(10).status_code == 200


def test_a_connection_is_there_for_another_after_a_refusal(play: Play) -> None:
    with httpx.Client(base_url=play.server.url) as client:
        with taken(play, "gate", places=2):
            assert [client.post("/graphql", json=VIEWER).status_code for _ in range(3)] == [503] * 3
        assert client.post("/graphql", json=VIEWER).status_code == 200


def test_health_is_told_and_what_is_remembered_is_checked_whatever_there_is_to_do(play: Play) -> None:
    keys = play.keys("busy")
    wanted = {"name": "busy", "expiresAt": play.clock.in_(days=1)}
    headers = {"X-Sealkey-Gateway-Token": play.operator.do("createGatewayToken", "token", **wanted)["token"]}
    token = play.nobody.do("login", "accessToken", **keys)["accessToken"]

    def check(**shown: Any) -> int:
        return ask(play, "GET", "/verify", **{**shown, "headers": {**headers, **shown.get("headers", {})}}).status_code

    warm = {"auth": (keys["apiKey"], keys["apiSecret"])}
    assert check(**warm) == 200
    with taken(play, "gate", "checks_gate", places=2):
        assert [ask(play, "GET", path).status_code for path in ("/healthz", "/readyz")] == [200, 200]
        assert check(**warm) == 200
        assert check(**warm, headers={"Accept": "application/json"}) == 200
        assert check(headers={"Authorization": f"Bearer {token}"}) == 503
    with taken(play, "gate", places=2):
        assert check(headers={"Authorization": f"Bearer {token}"}) == 200


def test_who_begins_to_watch_passes_as_others_do_and_then_takes_no_place(play: Play) -> None:
    with taken(play, "gate", places=2), connecting(play.member) as socket:
        socket.send("connection_init")
        assert socket.closed_with("Try again") == 1013
    gate = play.server.app.state.gate
    with connecting(play.member) as socket, streaming(play.member) as stream:
        assert stream.first() is None
        socket.begin()
        with taken(play, "gate", places=2):
            socket.send("subscribe", id="1", payload={"query": "subscription { credentialChanged { eventType } }"})
            assert socket.ended_with() == "UNAVAILABLE"
        socket.subscribe("2")
        assert (gate.at_work, gate.waiting) == (0, 0)


def test_no_more_passwords_are_hashed_than_soon_can_be_and_none_of_the_others_was_tried(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "MOST_AT_ONCE", 0)
    document = 'mutation ($p: String!) { signIn(input: {email: "member@alder.example", password: $p}) { expiresAt } }'
    for _ in range(10):  # more than may be wrong
        answer = play.nobody.post(document, {"p": PASSWORD})
        (error,) = answer.json()["errors"]
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert (error["extensions"]["code"], error["path"]) == ("UNAVAILABLE", ["signIn"])
    monkeypatch.undo()
    assert play.nobody.data(document, p=PASSWORD)["expiresAt"]


def test_how_many_were_refused_is_told_once() -> None:
    async def scene() -> list[dict[str, int]]:
        full, other = Gate(Bounds(at_work=1, waiting=0)), Gate(Bounds())
        refusals = Refusals(full=full, other=other)
        told = [refusals.news()]
        full.take()
        for _ in range(2):
            with pytest.raises(Overloaded):
                full.take()
        return [*told, refusals.news(), refusals.news()]

    assert asyncio.run(scene()) == [{}, {"full": 2}, {}]


def test_whoever_came_first_is_first_and_who_gives_up_keeps_nobody_waiting() -> None:
    async def scene() -> list[int]:
        gate, turns = Gate(Bounds(at_work=1, waiting=3, seconds=60)), list[int]()

        async def work(number: int) -> None:
            async with gate.passed():
                turns.append(number)

        first = gate.take()
        await first.turn()
        tasks = [asyncio.create_task(work(number)) for number in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            gate.take()
        tasks[1].cancel()
        await asyncio.sleep(0)
        first.leave()
        first.leave()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (gate.at_work, gate.waiting, gate.full, gate.late) == (0, 0, 1, 0)
        return turns

    assert asyncio.run(scene()) == [0, 2]
