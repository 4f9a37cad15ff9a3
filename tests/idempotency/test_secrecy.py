"""A kept answer is of use to who has the client's key, and to nobody else: not with the database, not with the
server's keys."""

import io
import json
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from auth.crypto.idempotency import AnswerUnreadable, IdempotencyKey
from auth.crypto.secret import Secret
from models.ids import parse_global_id
from tests.idempotency.asking import KEY, OTHER_KEY, generate, refusals, rotate, sealed
from tests.support.rows import Rows
from tests.support.world import Play


def rows(play: Play) -> Rows:
    return Rows(play.server.database_url)


def context(play: Play) -> str:
    parsed = parse_global_id(play.alder.users["member"])
    assert parsed
    return f"{parsed[1]} generate"


def kept(play: Play) -> str:
    """The one answer that is kept."""
    ((answer,),) = rows(play).execute("SELECT answer FROM idempotent_answers")
    return str(answer)


def server_keys(play: Play) -> Iterator[bytes]:
    """All key material of the server's."""
    for key in json.loads((play.server.data_dir / "server-keys.json").read_bytes())["keys"]:
        for name in {"k", "d", "x", "y"} & key.keys():
            yield urlsafe_b64decode(key[name] + "=" * (-len(key[name]) % 4))


def columns(play: Play) -> Iterator[bytes]:
    """Every value in the database, and what it stands for where it is hex or base64."""
    for table in rows(play).dump().values():
        for value in {value for row in table for value in row if value is not None}:
            text = value if isinstance(value, str) else str(value)
            yield text.encode()
            for decode in (bytes.fromhex, b64decode):
                try:
                    yield decode(text)
                except ValueError:
                    continue


def opens(sealed_answer: str, key: bytes, bound_to: bytes | None) -> bool:
    data = b64decode(sealed_answer)
    try:
        AESGCM(key).decrypt(data[:12], data[12:], bound_to)
    except InvalidTag:
        return False
    return True


def test_only_the_clients_key_opens_a_kept_answer(play: Play) -> None:
    delivery = generate(play)["delivery"]
    answer, about = kept(play), context(play)
    opened = IdempotencyKey(Secret(KEY), about).open(answer)
    assert delivery["apiSecret"].encode() in opened

    material = {*server_keys(play), *columns(play)}
    assert len(material) > 100
    for each in material:
        # As a key, as what a key is made of, and as what a client could have sent.
        for key in {each, sha256(each).digest()}:
            if len(key) in {16, 24, 32}:
                assert not any(opens(answer, key, bound_to) for bound_to in (None, about.encode()))
        with pytest.raises(AnswerUnreadable):
            IdempotencyKey(Secret(each.decode("latin-1")), about).open(answer)


def test_key_secret_and_public_key_stand_nowhere_in_the_database_or_the_logs(play: Play, logs: io.StringIO) -> None:
    shown = generate(play)
    again = generate(play)
    rotated = rotate(play, shown["credential"]["id"], idempotencyKey=OTHER_KEY)
    by_file = generate(play, name="by_file", delivery=sealed(), idempotencyKey=f"{KEY}{KEY}")
    refusals(play, name="conflict")

    public_key = sealed()["publicKey"]
    lines = [line for line in public_key.splitlines() if not line.startswith("-")]
    secrets = [KEY, OTHER_KEY, *lines, by_file["delivery"]["file"]["contentBase64"]]
    for answer in (shown, again, rotated):
        secrets += [answer["delivery"]["apiSecret"], answer["delivery"]["csv"]["contentBase64"]]
    written = b"\n".join(columns(play)).decode("latin-1") + str(rows(play).dump()) + logs.getvalue()
    assert shown["credential"]["id"].rpartition("_")[2] in written.replace("-", "")
    assert "/graphql" in written
    for secret in secrets:
        assert secret not in written
        assert secret.encode().hex() not in written


def test_what_is_kept_of_the_key_is_not_the_key_and_is_another_for_another_user(play: Play) -> None:
    generate(play)
    found: Any = rows(play).execute("SELECT key_hash, request_hash FROM idempotent_answers")
    ((key_hash, request_hash),) = found
    assert key_hash == IdempotencyKey(Secret(KEY), context(play)).key_hash
    assert len({key_hash, request_hash, sha256(KEY.encode()).hexdigest()}) == 3


def test_an_altered_answer_is_noticed_and_nothing_of_it_is_shown(play: Play, logs: io.StringIO) -> None:
    delivery = generate(play)["delivery"]
    answer = kept(play)
    flipped = ("A" if answer[-8] != "A" else "B").join([answer[:-8], answer[-7:]])
    for altered in (flipped, answer[: len(answer) // 2], "", "?"):
        rows(play).execute(f"UPDATE idempotent_answers SET answer = '{altered}'")
        with pytest.raises(AssertionError, match="INTERNAL_SERVER_ERROR") as told:
            generate(play)
        assert delivery["apiSecret"] not in str(told.value)
        logged = logs.getvalue()
        assert "AnswerUnreadable" in logged
        assert not altered or altered not in logged
