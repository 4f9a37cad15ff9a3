"""Trying to get in, and what comes of it."""

from collections.abc import Iterable, Iterator
from itertools import islice

from tests.support.server import Client
from tests.support.world import PASSWORD, Play

IN = "in"
REFUSED = "refused"
MEMBER = "member@alder.example"
# A multiple of seventy, which is how many go into one document.
GUESSES = [f"guess number {number}" for number in range(10_010)]
HERE = "203.0.113.9"
ELSEWHERE = "198.51.100.7"

_SIGN_IN = "mutation ($input: SignInInput!) { signIn(input: $input) { sessionToken userErrors { code } } }"
_LOGIN = "mutation ($input: LoginInput!) { login(input: $input) { accessToken userErrors { code } } }"


def sign_in(client: Client, password: str = PASSWORD, email: str = MEMBER) -> str | int:
    """IN, REFUSED, or the seconds to wait."""
    return _outcome(client, _SIGN_IN, {"email": email, "password": password})


def log_in(client: Client, api_key: str, api_secret: str) -> str | int:
    return _outcome(client, _LOGIN, {"apiKey": api_key, "apiSecret": api_secret})


def _outcome(client: Client, document: str, fields: dict[str, str]) -> str | int:
    answer = client.execute(document, input=fields)
    if "errors" in answer:
        (error,) = answer["errors"]
        assert error["extensions"]["code"] == "RATE_LIMITED"
        seconds: int = error["extensions"]["retryAfterSeconds"]
        return seconds
    (payload,) = answer["data"].values()
    codes = [error["code"] for error in payload["userErrors"]]
    assert codes in ([], ["INVALID_CREDENTIALS"])
    return REFUSED if codes else IN


def documents(fields: Iterable[str], at_once: int = 80) -> Iterator[str]:
    """Mutations of many fields each, as many as a document may have."""
    remaining = iter(fields)
    while some := list(islice(remaining, at_once)):
        yield "mutation {" + " ".join(f"a{number}: {field}" for number, field in enumerate(some)) + "}"


def sign_in_fields(guesses: Iterable[str], email: str = MEMBER) -> Iterator[str]:
    for guess in guesses:
        yield f'signIn(input: {{email: "{email}", password: "{guess}"}}) {{ userErrors {{ code }} }}'


def denied(play: Play, event_type: str = "sign_in.denied") -> int:
    """How many tries were made in vain: each is in the audit log."""
    return denied_at(play.operator, event_type)


def denied_at(operator: Client, event_type: str = "sign_in.denied") -> int:
    document = "query ($types: [String!]) { auditEvents(filter: {types: $types}) { totalCount } }"
    count: int = operator.data(document, types=[event_type])["totalCount"]
    return count
