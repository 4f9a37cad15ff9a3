"""Null, for a variable with a default, where there may be none: validation lets it pass, and it is no fault of ours."""

import pytest

from server.logs import faults
from tests.support.world import Play

SIGN_IN = """mutation ($cookie: Boolean = false) {
    signIn(input: {email: "a@b.example", password: "guessed", cookie: $cookie}) { expiresAt }
}"""
USAGE = "query ($id: ID!, $days: Int = 7) { node(id: $id) { ... on Credential { usage(days: $days) { date } } } }"


@pytest.mark.parametrize("what", ["signIn", "usage"])
def test_null_for_what_has_a_default_is_bad_input(shared_play: Play, what: str) -> None:
    before = faults["unforeseen", ""]
    if what == "signIn":
        answer = shared_play.nobody.post(SIGN_IN, {"cookie": None})
    else:
        id_ = shared_play.generate()["credential"]["id"]
        answer = shared_play.member.post(USAGE, {"id": id_, "days": None})
    (error,) = answer.json()["errors"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert faults["unforeseen", ""] == before
