"""Equal requests at the same moment, and clients that are gone before their answer."""

import json
import select
import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from tests.idempotency.asking import (
    ROTATED,
    SHOWN,
    count,
    generate,
    generation,
    rotate,
    rotation,
    sealed,
    verdict,
)
from tests.support.world import GENERATED, Play

MANY = 50
GENERATE = f"mutation ($input: GenerateCredentialInput!) {{ generateCredential(input: $input) {{ {GENERATED} }} }}"


@pytest.mark.parametrize("delivery", [SHOWN, sealed()], ids=["shown", "sealed"])
def test_fifty_equal_generations_at_once_make_one_credential_and_get_one_answer(
    play: Play, delivery: dict[str, str]
) -> None:
    with ThreadPoolExecutor(MANY) as pool:
        answers = list(pool.map(lambda _: generate(play, delivery=delivery), range(MANY)))
    assert len(answers) == MANY
    assert all(answer == answers[0] for answer in answers)
    assert count(play) == 1


def test_fifty_equal_rotations_at_once_make_one_successor_and_get_one_answer(play: Play) -> None:
    credential_id = play.generate("ci")["credential"]["id"]
    with ThreadPoolExecutor(MANY) as pool:
        answers = list(pool.map(lambda _: rotate(play, credential_id), range(MANY)))
    assert all(answer == answers[0] for answer in answers)
    assert count(play) == 2


def test_of_unequal_requests_with_one_key_at_once_one_is_done_and_the_others_conflict(play: Play) -> None:
    with ThreadPoolExecutor(10) as pool:
        payloads = list(
            pool.map(
                lambda number: play.member.mutate(
                    "generateCredential", GENERATED, **generation(play.alder, name=f"ci_{number}")
                ),
                range(10),
            )
        )
    codes = [[error["code"] for error in payload["userErrors"]] for payload in payloads]
    assert sorted(codes) == [[], *([["CONFLICT"]] * 9)]
    assert count(play) == 1


def test_of_equal_requests_that_are_refused_at_once_each_is_refused_for_the_reason(play: Play) -> None:
    play.generate("ci")
    with ThreadPoolExecutor(10) as pool:
        told = list(
            pool.map(
                lambda _: play.member.refusals("generateCredential", GENERATED, **generation(play.alder)), range(10)
            )
        )
    assert told == [[("TAKEN", ["name"])]] * 10


def sent(play: Play) -> socket.socket:
    """A connection on which a generation was asked for, whole."""
    body = json.dumps({"query": GENERATE, "variables": {"input": generation(play.alder)}}).encode()
    address = urlsplit(play.server.url)
    assert address.hostname
    connection = socket.create_connection((address.hostname, address.port or 80), timeout=30)
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {play.member.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    return connection


def test_a_client_that_is_gone_before_it_read_the_answer_gets_its_secret_by_asking_again(play: Play) -> None:
    with sent(play) as connection:
        # The answer is there, and is not read.
        assert select.select([connection], [], [], 30)[0]
    assert count(play) == 1

    answer = generate(play)
    assert verdict(play, answer["delivery"]) == "OK"
    assert count(play) == 1


def test_a_client_that_is_gone_as_soon_as_it_has_asked_gets_its_secret_by_asking_again(play: Play) -> None:
    """Whether the server had begun by then or not."""
    for _ in range(5):
        sent(play).close()
    answer = generate(play)
    assert verdict(play, answer["delivery"]) == "OK"
    assert generate(play) == answer
    assert count(play) == 1


def test_fifty_different_rotations_of_one_credential_at_once_make_one_successor(play: Play) -> None:
    credential_id = play.generate("ci")["credential"]["id"]
    keys = [f"{number:02}-a-key-of-its-own-for-each" for number in range(MANY)]
    with ThreadPoolExecutor(MANY) as pool:
        payloads = list(
            pool.map(
                lambda key: play.member.mutate(
                    "rotateCredential", ROTATED, **rotation(credential_id, idempotencyKey=key)
                ),
                keys,
            )
        )
    codes = [[error["code"] for error in payload["userErrors"]] for payload in payloads]
    assert sorted(codes) == [[], *([["CREDENTIAL_NOT_ACTIVE"]] * (MANY - 1))]
    assert count(play) == 2
