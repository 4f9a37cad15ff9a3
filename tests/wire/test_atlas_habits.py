"""Clients written for GlobalSign's Atlas API: how they log in, call, and log in again."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.world import Play

WRITTEN = [
    "application/json",
    "application/json;charset=utf-8",
    "application/json; charset=UTF-8",
    "application/json;  charset=utf-8",
    "application/json ; charset=utf-8",
    "application/json;charset=Utf-8",
    'application/json; charset="utf-8"',
    "application/json; Charset=UTF-8",
    "Application/JSON; CHARSET=UTF-8",
    "application/json;",
    "APPLICATION/JSON",
]


class AtlasClient:
    """Logs in when it is told that it should, five times at most, and then repeats what it was about to do."""

    def __init__(self, play: Play, keys: dict[str, str], content_type: str = WRITTEN[2]) -> None:
        self.play, self.keys, self.content_type = play, keys, content_type
        wanted = {"name": "edge", "expiresAt": play.clock.in_(days=30)}
        self._gateway = {"X-Sealkey-Gateway-Token": play.operator.do("createGatewayToken", "token", **wanted)["token"]}
        self.token = "none yet"
        self.logins = 0

    def login(self) -> httpx.Response:
        self.logins += 1
        body = f'{{"api_key":"{self.keys["apiKey"]}","api_secret":"{self.keys["apiSecret"]}"}}'
        headers = {"Content-Type": self.content_type, "Accept": "application/json"}
        answer = httpx.post(f"{self.play.server.url}/v2/login/", content=body, headers=headers)
        if answer.status_code == 200:
            self.token = answer.json()["access_token"]
        return answer

    def call(self) -> int:
        """The status that the API behind a gateway answers with."""
        for _ in range(6):
            headers = {**self._gateway, "Authorization": f"Bearer {self.token}"}
            status = httpx.get(f"{self.play.server.url}/verify?service=certificates", headers=headers).status_code
            if status != 401 or self.login().status_code == 429:
                break
        return status


@pytest.fixture
def known(play: Play) -> tuple[Play, dict[str, str]]:
    return play, play.keys()


@pytest.mark.parametrize("content_type", WRITTEN)
def test_the_charset_may_be_written_in_any_case_and_spacing(
    known: tuple[Play, dict[str, str]], content_type: str
) -> None:
    answer = AtlasClient(*known, content_type).login()
    assert (answer.status_code, list(answer.json())) == (200, ["access_token"])
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/jsonx", "application/x-www-form-urlencoded"])
def test_another_type_is_refused(known: tuple[Play, dict[str, str]], content_type: str) -> None:
    answer = AtlasClient(*known, content_type).login()
    assert (answer.status_code, answer.headers["content-type"]) == (415, "application/problem+json")


def test_the_slash_at_the_end_is_no_redirect(known: tuple[Play, dict[str, str]]) -> None:
    """A client that is redirected sends the same again as GET, and without its body."""
    play, keys = known
    body = {"api_key": keys["apiKey"], "api_secret": keys["apiSecret"]}
    for path in ("/v2/login", "/v2/login/"):
        answer = httpx.post(f"{play.server.url}{path}", json=body, follow_redirects=False)
        assert answer.status_code == 200


def test_more_members_than_are_needed_do_no_harm(known: tuple[Play, dict[str, str]]) -> None:
    play, keys = known
    body = {"api_key": keys["apiKey"], "api_secret": keys["apiSecret"], "account": "A1"}
    assert httpx.post(f"{play.server.url}/v2/login", json=body).status_code == 200


def test_a_client_logs_in_again_when_its_token_has_ended(play: Play) -> None:
    client = AtlasClient(play, play.keys())
    assert [client.call(), client.call()] == [200, 200]
    assert client.logins == 1
    play.clock.advance(minutes=10)
    assert [client.call(), client.call()] == [200, 200]
    assert client.logins == 2


def test_a_client_is_told_at_once_that_its_credential_was_revoked(play: Play) -> None:
    generated = play.generate()
    client = AtlasClient(play, {name: generated["delivery"][name] for name in ("apiKey", "apiSecret")})
    assert client.call() == 200
    play.member.do("revokeCredential", "credential { id }", credentialId=generated["credential"]["id"])
    assert client.call() == 401
    answer = client.login()
    assert answer.status_code == 401
    assert problem_of(answer) == ("Unauthorized", 401, "CREDENTIAL_NOT_ACTIVE")


def problem_of(answer: httpx.Response) -> tuple[str, int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "code"}
    assert (body["type"], body["status"]) == ("about:blank", answer.status_code)
    return body["title"], body["status"], body["code"]


@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_five_tries_at_once_are_not_throttled(play: Play, right: bool) -> None:
    """A client that got no answer tries again five times; one with an old secret does too."""
    keys = play.keys()
    wrong = {**keys, "apiSecret": play.keys("other")["apiSecret"]}
    clients = [AtlasClient(play, keys if right else wrong) for _ in range(3)]
    for _ in range(2):
        with ThreadPoolExecutor(15) as threads:
            answers = list(threads.map(AtlasClient.login, clients * 5))
        assert [answer.status_code for answer in answers] == [200 if right else 401] * 15
    assert AtlasClient(play, keys).login().status_code == 200


def test_while_the_service_may_not_be_used_the_login_works_and_the_calls_do_not(play: Play) -> None:
    client = AtlasClient(play, play.keys())
    service = {"serviceId": play.alder.services["certificates"]}
    play.operator.do("suspendService", "service { id }", **service)
    assert client.call() == 403
    assert client.logins == 1
    play.operator.do("resumeService", "service { id }", **service)
    assert client.call() == 200
    assert client.logins == 1
