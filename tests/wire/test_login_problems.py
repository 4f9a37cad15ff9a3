"""What /v2/login answers to what is no login: problem documents (RFC 9457), and nothing of what was sent."""

from typing import Any

import httpx
import pytest

from tests.support.world import Play

BODY = 'The body must be {"api_key": "…", "api_secret": "…"}.'
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"sent-by-a-client",
    "half of it": b'{"api_key": "sent-by-a-client"',
    "a text": b'"sent-by-a-client"',
    "a number": b"1",
    "null": b"null",
    "a list": b'["sent-by-a-client"]',
    "nothing in it": b"{}",
    "a key alone": b'{"api_key": "sent-by-a-client"}',
    "a secret alone": b'{"api_secret": "sent-by-a-client"}',
    "a number for a key": b'{"api_key": 1, "api_secret": "sent-by-a-client"}',
    "null for a secret": b'{"api_key": "sent-by-a-client", "api_secret": null}',
    "a list for a secret": b'{"api_key": "sent-by-a-client", "api_secret": ["x"]}',
    "names in another case": b'{"API_KEY": "sent-by-a-client", "API_SECRET": "x"}',
    "not UTF-8": b'{"api_key": "\xff", "api_secret": "sent-by-a-client"}',
    "UTF-16": '{"api_key": "x", "api_secret": "x"}'.encode("utf-16"),
    "half a character": b'{"api_key": "\\ud800", "api_secret": "sent-by-a-client"}',
    "very deep": b"[" * 8000 + b"]" * 8000,
    "NaN": b'{"api_key": NaN, "api_secret": "x"}',
}
# JSON as it should be, with what can't be a key: as wrong as any other.
WRONG: dict[str, bytes] = {
    "empty texts": b'{"api_key": "", "api_secret": ""}',
    "zero bytes": b'{"api_key": "\\u0000", "api_secret": "\\u0000"}',
    "letters of elsewhere": '{"api_key": "é", "api_secret": "\U0001f511"}'.encode(),
    "long texts": b'{"api_key": "' + b"x" * 8000 + b'", "api_secret": "x"}',
}


def post(play: Play, content: bytes, content_type: str = "application/json") -> httpx.Response:
    return httpx.post(f"{play.server.url}/v2/login", content=content, headers={"Content-Type": content_type})


def problem(answer: httpx.Response) -> dict[str, Any]:
    """The document, in which status and type are as they must be."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert "sent-by-a-client" not in answer.text
    body: dict[str, Any] = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "code"}
    assert (body["type"], body["status"]) == ("about:blank", answer.status_code)
    return body


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_login_is_refused(shared_play: Play, name: str) -> None:
    said = problem(post(shared_play, BODIES[name]))
    assert (said["status"], said["title"], said["code"], said["detail"]) == (400, "Bad Request", "BAD_REQUEST", BODY)


@pytest.mark.parametrize("name", WRONG)
def test_texts_that_can_be_no_key_are_wrong_ones(shared_play: Play, name: str) -> None:
    said = problem(post(shared_play, WRONG[name]))
    assert (said["status"], said["title"], said["code"]) == (401, "Unauthorized", "INVALID_CREDENTIALS")
    assert said["detail"] == "The API key or the API secret is not right."


def test_a_body_of_another_type_or_too_large_is_refused(shared_play: Play) -> None:
    said = problem(post(shared_play, b"{}", "text/json"))
    assert (said["status"], said["title"]) == (415, "Unsupported Media Type")
    said = problem(post(shared_play, b" " * 16_385))
    assert said["status"] == 413


def test_credentials_in_a_header_or_the_address_count_for_nothing(play: Play) -> None:
    keys = play.keys()
    pair, query = (keys["apiKey"], keys["apiSecret"]), {"api_key": keys["apiKey"], "api_secret": keys["apiSecret"]}
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(f"{play.server.url}/v2/login", auth=pair, params=query, content=b"{}", headers=headers)
    assert problem(answer)["status"] == 400


def test_what_is_throttled_is_told_when_to_come_back(play: Play) -> None:
    keys = play.keys()
    body = {"api_key": keys["apiKey"], "api_secret": "wrong"}
    with httpx.Client() as client:
        for _ in range(200):
            answer = client.post(f"{play.server.url}/v2/login", json=body)
            if answer.status_code == 429:
                break
    said = problem(answer)
    assert (said["title"], said["code"]) == ("Too Many Requests", "RATE_LIMITED")
    assert int(answer.headers["retry-after"]) >= 1
