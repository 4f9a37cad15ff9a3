"""Ten thousand passwords for one address: through many fields in a document, over many connections, and against two
processes on one database. The passwords that are checked are as few as the rule says."""

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.plugins.database import Databases
from tests.plugins.passwords import CountingHasher
from tests.plugins.play import Template
from tests.support.processes import running_sealkey
from tests.support.server import LARGE_DOCUMENTS, Client
from tests.support.world import OPERATOR, PASSWORD, Play
from tests.throttling.tries import (
    ELSEWHERE,
    GUESSES,
    HERE,
    IN,
    MEMBER,
    denied,
    denied_at,
    documents,
    sign_in,
    sign_in_fields,
)

AT_ONCE = 70
# The same document for all of them, so that the server need not read it anew each time.
_PASSWORDS = " ".join(f"$p{number}: String!" for number in range(AT_ONCE))
_FIELDS = " ".join(
    f'a{number}: signIn(input: {{email: "{MEMBER}", password: $p{number}}}) {{ userErrors {{ code }} }}'
    for number in range(AT_ONCE)
)
_DOCUMENT = f"mutation ({_PASSWORDS}) {{ {_FIELDS} }}"


def attack(urls: list[str], passwords: list[str], connections: int) -> int:
    """Offers all these passwords; how many of them were right."""
    bodies = [
        {"query": _DOCUMENT, "variables": {f"p{number}": guess for number, guess in enumerate(guesses)}}
        for guesses in _some_at_once(passwords)
    ]
    with ExitStack() as stack:
        clients = [stack.enter_context(_client(urls[number % len(urls)])) for number in range(connections)]
        threads = stack.enter_context(ThreadPoolExecutor(connections))
        sent = [
            threads.submit(clients[number % connections].post, "/graphql", json=body)
            for number, body in enumerate(bodies)
        ]
        answers = [answer.result().json() for answer in sent]
    fields = [field for answer in answers for field in (answer["data"] or {}).values()]
    return sum(not field["userErrors"] for field in fields)


def _some_at_once(passwords: list[str]) -> Iterator[list[str]]:
    for first in range(0, len(passwords), AT_ONCE):
        yield passwords[first : first + AT_ONCE]


def _client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, verify=False, headers={"X-Forwarded-For": ELSEWHERE}, timeout=60)


def allowed(seconds: float) -> int:
    """The tries that the rule admits in so many seconds: eight, and one after each wait of 1, 2, 4 … seconds."""
    tries, wait = 8, 1
    while seconds >= wait:
        tries, seconds, wait = tries + 1, seconds - wait, wait * 2
    return tries


@pytest.mark.parametrize(
    ("guesses", "connections"),
    [(14 * AT_ONCE, 1), pytest.param(143 * AT_ONCE, 16, marks=pytest.mark.engine("sqlite"))],
)
def test_ten_thousand_guesses_at_a_standing_clock_are_eight(
    proxied: Play, hasher: CountingHasher, guesses: int, connections: int
) -> None:
    assert attack([proxied.server.url], [*GUESSES[:guesses], *[PASSWORD] * AT_ONCE], connections) == 0
    assert len(hasher.checked) == denied(proxied) == 8
    assert sign_in(proxied.nobody.sending(X_Forwarded_For=ELSEWHERE)) == 1
    assert sign_in(proxied.nobody.sending(X_Forwarded_For=HERE)) == IN


def test_a_document_full_of_guesses_is_answered_with_the_first_that_was_throttled(proxied: Play) -> None:
    (document,) = documents(sign_in_fields(GUESSES[:50]))
    answer = proxied.nobody.execute(document)
    (error,) = answer["errors"]
    assert (answer["data"], error["path"], error["extensions"]["code"]) == (None, ["a8"], "RATE_LIMITED")


@pytest.fixture
def two_processes(
    databases: Databases, names: Iterator[str], world_template: Template, tmp_path: Path
) -> Iterator[list[str]]:
    """The addresses of two servers on one database, with the machine's clock."""
    name, data_dir = next(names), tmp_path / "data"
    shutil.copytree(world_template.data_dir, data_dir)
    url = databases.create_database(name, world_template.database)
    with ThreadPoolExecutor(2) as threads, ExitStack() as running:
        settings = {name: str(value) for name, value in {**LARGE_DOCUMENTS, "graphql_budget": 0}.items()}
        proxies = '["127.0.0.0/8"]'
        servers = [running_sealkey(url, data_dir, trusted_proxies=proxies, **settings) for _ in range(2)]
        yield list(threads.map(running.enter_context, servers))
    databases.drop_database(name)


def test_two_processes_on_one_database_check_no_more_guesses_than_one(two_processes: list[str]) -> None:
    began = time.monotonic()
    assert attack(two_processes, GUESSES, connections=16) == 0
    took = time.monotonic() - began

    at_home = Client(two_processes[0]).sending(X_Forwarded_For=HERE)
    assert sign_in(at_home) == IN
    signed_in = at_home.do("signIn", "sessionToken", email=OPERATOR, password=PASSWORD)
    operator = Client(two_processes[1], signed_in["sessionToken"])
    assert 8 <= denied_at(operator) <= allowed(took)
