"""However badly GraphQL over HTTP is spoken, the answer is JSON that says what is wrong; `malformed.txt` has each, with
its status for clients that read the older media type and for those that read the newer one."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.malformed import MALFORMED, Sent
from tests.support.world import Play

ANSWERS = Path(__file__).with_name("malformed.txt").read_text().splitlines()
NEWER = "application/graphql-response+json"


def ask(play: Play, sent: Sent, accept: str) -> httpx.Response:
    types = {"Content-Type": sent.content_type} if sent.content_type is not None else {}
    headers = {"Accept": accept, **types, **dict(sent.more_headers)}
    url = f"{play.server.url}/graphql?{sent.query}"
    return httpx.request(sent.method, url, content=sent.body, headers=headers, timeout=30, verify=False)


def described(play: Play, sent: Sent) -> str:
    """The answer as a line: its statuses, the methods that would be allowed, and each error."""
    older, newer = (ask(play, sent, accept) for accept in ("application/json", NEWER))
    assert older.json() == newer.json()
    assert set(older.json()) == {"errors"}
    errors = " | ".join(map(error_described, older.json()["errors"]))
    allow = f" ({newer.headers['allow']})" if "allow" in newer.headers else ""
    return f"{older.status_code} {newer.status_code}{allow} {errors}"


def error_described(error: dict[str, Any]) -> str:
    (code,) = error["extensions"].values()
    places = "".join(f" {place['line']}:{place['column']}" for place in error.get("locations", ()))
    assert set(error) <= {"message", "extensions", "locations"}
    return f"{code}{places} {error['message']}"


@pytest.mark.parametrize(("name", "sent"), MALFORMED.items(), ids=MALFORMED)
def test_it_is_answered_what_is_wrong_with_it(shared_play: Play, name: str, sent: Sent) -> None:
    (expected,) = [line.removeprefix(name).strip() for line in ANSWERS if line.startswith(f"{name}  ")]
    assert described(shared_play, sent) == expected


def test_there_is_an_answer_for_each() -> None:
    assert len(ANSWERS) == len(MALFORMED) >= 60
