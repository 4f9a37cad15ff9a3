"""An address that nobody has takes the same work and the same answer as one that somebody has: nobody learns which
addresses there are."""

import pytest

from tests.plugins.passwords import CountingHasher
from tests.support.world import PASSWORD, Play
from tests.throttling.tries import MEMBER

_SIGN_IN = """mutation ($input: SignInInput!) {
    signIn(input: $input) { sessionToken expiresAt viewer { role } userErrors { field code message } }
}"""


@pytest.fixture
def deactivated(play: Play) -> str:
    play.administrator.do("deactivateUser", "user { id }", userId=play.alder.users["auditor"])
    return "auditor@alder.example"


@pytest.fixture
def invited(play: Play) -> str:
    """Somebody who has not set a password yet."""
    fields = {"email": "new@alder.example", "displayName": "New", "role": "MEMBER"}
    play.administrator.do("createUser", "user { id }", **fields)
    return fields["email"]


@pytest.fixture
def suspended(play: Play) -> str:
    play.operator.do("suspendAccount", "account { id }", accountId=play.birch.id)
    return "member@birch.example"


def test_every_sign_in_that_is_refused_takes_one_argon2id_and_gets_the_same_answer(
    play: Play, hasher: CountingHasher, deactivated: str, invited: str, suspended: str
) -> None:
    tries = [
        (MEMBER, "wrong"),
        (MEMBER, ""),
        (MEMBER, "x" * 2000),
        ("nobody@alder.example", PASSWORD),
        ("no address", PASSWORD),
        ("\0@alder.example", PASSWORD),
        (deactivated, PASSWORD),
        (invited, PASSWORD),
        (suspended, PASSWORD),
    ]
    answers = set()
    for email, password in tries:
        answers.add(play.nobody.post(_SIGN_IN, {"input": {"email": email, "password": password}}).text)
    assert len(hasher.checked) == len(tries)
    assert all(checked == hasher.checked[0] for checked in hasher.checked)
    (answer,) = answers
    assert '"INVALID_CREDENTIALS"' in answer


def test_the_hash_that_nobody_s_password_has_is_made_as_new_ones_are(hasher: CountingHasher, play: Play) -> None:
    play.nobody.post(_SIGN_IN, {"input": {"email": "nobody@alder.example", "password": PASSWORD}})
    play.nobody.post(_SIGN_IN, {"input": {"email": MEMBER, "password": PASSWORD}})
    nobodys, members = hasher.checked
    assert nobodys == members
