"""/verify, as gateways ask it: which service is required, and what is refused because it can be read in two ways."""

from collections.abc import Iterator

import httpx
import pytest

from server import verify
from tests.plugins.play import Theatre
from tests.support.logs import recorded_logs
from tests.support.world import Play


class Gateway:
    def __init__(self, play: Play) -> None:
        keys = play.keys()
        self.play, self.auth = play, (keys["apiKey"], keys["apiSecret"])
        wanted = {"name": "edge", "expiresAt": play.clock.in_(days=1)}
        self.token: str = play.operator.do("createGatewayToken", "token", **wanted)["token"]

    def ask(self, path: str, *headers: tuple[str, str], method: str = "GET") -> tuple[int, str]:
        """Status and code."""
        own = ("X-Sealkey-Gateway-Token", self.token)
        answer = httpx.request(method, f"{self.play.server.url}{path}", auth=self.auth, headers=[own, *headers])
        return answer.status_code, answer.headers["x-sealkey-code"]


@pytest.fixture(scope="module")
def gateway(theatre: Theatre) -> Iterator[Gateway]:
    with theatre.new() as play:
        yield Gateway(play)


REQUIRED = "X-Sealkey-Service-Required"
OK, OTHER, BAD = (200, "OK"), (403, "WRONG_SERVICE"), (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    ("path", "required", "expected"),
    [
        ("/verify", [], OK),
        ("/verify?", [], OK),
        ("/verify?service=certificates", [], OK),
        ("/verify?service=timestamps", [], OTHER),
        ("/verify?service=", [], OTHER),
        ("/verify?service", [], OTHER),
        ("/verify?service=certificates&service=timestamps", [], BAD),
        ("/verify?service=timestamps&service=certificates", [], BAD),
        ("/verify?service=certificates&service=certificates", [], BAD),
        ("/verify?servce=certificates", [], BAD),
        ("/verify?Service=certificates", [], BAD),
        ("/verify?service=certificates&debug=", [], BAD),
        ("/verify?service=certificates", ["timestamps"], OK),
        ("/verify", ["timestamps"], OTHER),
        ("/verify", ["certificates"], OK),
        ("/verify?service=", ["certificates"], OTHER),
        ("/verify/", [], BAD),
        ("/verify/?service=certificates", [], BAD),
        ("/verify/", ["*"], OK),
        ("/verify", ["*"], OTHER),
        ("/verify/", ["certificates"], OK),
        ("/verify/", ["timestamps"], OTHER),
        ("/verify/", [""], OTHER),
        ("/verify/", ["certificates", "timestamps"], BAD),
        ("/verify/", ["timestamps", "certificates"], BAD),
        ("/verify/orders/7?service=timestamps", ["certificates"], OK),
        ("/verify/orders/7?service=certificates", ["timestamps"], OTHER),
        ("/verify/?service=certificates&service=timestamps", ["certificates"], OK),
        ("/verify//", ["timestamps"], OTHER),
        ("/verify/%2e%2e/healthz", ["timestamps"], OTHER),
        ("/verify/%3Fservice=certificates", ["timestamps"], OTHER),
        ("/verify/%ff%00", ["timestamps"], OTHER),
    ],
)
def test_the_gateway_says_which_service_is_required_in_one_place(
    gateway: Gateway, path: str, required: list[str], expected: tuple[int, str]
) -> None:
    assert gateway.ask(path, *[(REQUIRED, code) for code in required]) == expected


@pytest.mark.parametrize("name", ["X-Sealkey-Gateway-Token", "X-Sealkey-Client-Address"])
@pytest.mark.parametrize("path", ["/verify", "/verify/orders"])
def test_what_the_gateway_and_its_client_both_say_is_refused(gateway: Gateway, name: str, path: str) -> None:
    value = gateway.token if name == "X-Sealkey-Gateway-Token" else "192.0.2.7"
    more = [(name, value)] * (1 if name == "X-Sealkey-Gateway-Token" else 2)
    assert gateway.ask(path, *more) == BAD


@pytest.mark.parametrize(
    ("path", "more", "detail"),
    [
        ("/verify?servce=certificates", [], "The query of /verify may be service=…, once, and nothing else."),
        ("/verify/?service=certificates", [], "At /verify/… the header X-Sealkey-Service-Required must say which"),
        ("/verify", [(REQUIRED, "a"), (REQUIRED, "b")], "x-sealkey-service-required was sent twice: the gateway must"),
    ],
)
def test_what_is_wrong_is_told_to_who_can_read_it(
    gateway: Gateway, path: str, more: list[tuple[str, str]], detail: str
) -> None:
    headers = [("X-Sealkey-Gateway-Token", gateway.token), ("Accept", "application/json"), *more]
    answer = httpx.get(f"{gateway.play.server.url}{path}", headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
    assert answer.json()["code"] == "BAD_REQUEST"
    assert answer.json()["detail"].startswith(detail)


@pytest.mark.parametrize("query", ["a=&" * 20_000, "&" * 60_000, "service=" + "%41" * 20_000, "service=" + "a" * 600])
def test_a_query_that_no_service_needs_is_not_even_read(
    gateway: Gateway, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading it would hold up everybody, before it is known who asks."""
    monkeypatch.setattr(verify, "parse_qsl", None)
    assert gateway.ask(f"/verify?{query}") == BAD


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/verify", "/verify/orders/7"])
def test_any_method_will_do(gateway: Gateway, method: str, path: str) -> None:
    assert gateway.ask(path, (REQUIRED, "certificates"), method=method) == OK


@pytest.mark.parametrize("path", ["/verifyx", "/verify%2Forders", "/Verify", "/v/verify"])
def test_other_paths_let_nobody_in(gateway: Gateway, path: str) -> None:
    answer = httpx.get(f"{gateway.play.server.url}{path}", headers={"X-Sealkey-Gateway-Token": gateway.token})
    assert answer.status_code in {400, 401, 404}


def test_checks_are_not_logged_nor_are_the_paths_of_somebody_elses_api(gateway: Gateway) -> None:
    with recorded_logs() as logs:
        assert gateway.ask("/verify") == OK
        assert gateway.ask("/verify/reset/a-secret-in-the-path", (REQUIRED, "*")) == OK
        gateway.play.nobody.data("{ __typename }")  # what there is of the request before has been written by now
    assert "/verify" not in logs.getvalue()
    assert "a-secret-in-the-path" not in logs.getvalue()
