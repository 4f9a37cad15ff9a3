"""The sealing of kept answers, for any key, context and answer."""

from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.crypto.idempotency import AnswerUnreadable, IdempotencyKey
from auth.crypto.secret import Secret

# Whatever JSON can carry, lone surrogates too.
texts = st.text(st.characters(), min_size=1, max_size=60)
answers = st.binary(max_size=300)
CONTEXT = "a user generate"


def key(text: str, context: str = CONTEXT) -> IdempotencyKey:
    return IdempotencyKey(Secret(text), context)


@given(texts, answers)
def test_what_is_sealed_opens_with_the_same_key(text: str, answer: bytes) -> None:
    assert key(text).open(key(text).seal(answer)) == answer


@given(texts, texts, answers)
def test_with_another_key_or_in_another_context_nothing_opens(text: str, other: str, answer: bytes) -> None:
    sealed = key(text).seal(answer)
    for stranger in (key(text + other), key(text, CONTEXT + "x"), key(text, "another user generate")):
        with pytest.raises(AnswerUnreadable):
            stranger.open(sealed)


@given(texts, answers, st.data())
def test_any_altered_byte_is_noticed(text: str, answer: bytes, data: st.DataObject) -> None:
    sealed = key(text).seal(answer)
    at = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.characters().filter(lambda character: character != sealed[at]))
    with pytest.raises(AnswerUnreadable):
        key(text).open(sealed[:at] + other + sealed[at + 1 :])


def test_another_spelling_of_the_same_bytes_is_noticed() -> None:
    sealed = key("a key").seal(b"")
    assert len(b64decode(sealed)) % 3 == 1, "so that its last character has bits to spare"
    # The last character of one byte is A, Q, g or w; the one after it stands for the same byte.
    spare = sealed[:-3] + chr(ord(sealed[-3]) + 1) + "=="
    spellings = [spare, sealed + "=", sealed + "\n", f"{sealed[:8]} {sealed[8:]}", f"{sealed[:8]}!{sealed[8:]}"]
    for other in spellings:
        assert b64decode(other) == b64decode(sealed)
        with pytest.raises(AnswerUnreadable):
            key("a key").open(other)


@given(texts, answers, st.data())
def test_an_answer_cut_short_is_noticed(text: str, answer: bytes, data: st.DataObject) -> None:
    sealed = key(text).seal(answer)
    with pytest.raises(AnswerUnreadable):
        key(text).open(sealed[: data.draw(st.integers(0, len(sealed) - 1))])


@given(texts, st.text(max_size=100))
def test_what_was_never_sealed_does_not_open(text: str, nonsense: str) -> None:
    with pytest.raises(AnswerUnreadable):
        key(text).open(nonsense)
    with pytest.raises(AnswerUnreadable):
        key(text).open(b64encode(nonsense.encode(errors="surrogatepass")).decode())


@given(texts, answers)
def test_sealing_twice_gives_two_texts_of_one_length(text: str, answer: bytes) -> None:
    first, second = key(text).seal(answer), key(text).seal(answer)
    assert first != second
    assert len(first) == len(second)


@given(texts, texts, st.binary(max_size=100), st.binary(max_size=100))
def test_hashes_are_equal_for_equal_things_alone(text: str, other: str, request: bytes, changed: bytes) -> None:
    assert key(text).key_hash == key(text).key_hash
    assert key(text).request_hash(request) == key(text).request_hash(request)
    hashes = [key(text).key_hash, key(text + other).key_hash, key(text, CONTEXT + "x").key_hash]
    hashes += [key(text).request_hash(request), key(text).request_hash(request + b"\0" + changed)]
    hashes += [key(text + other).request_hash(request), key(text, CONTEXT + "x").request_hash(request)]
    assert len(set(hashes)) == len(hashes)
    assert all(len(bytes.fromhex(each)) == 32 for each in hashes)


def test_the_refusal_says_nothing_of_key_or_answer() -> None:
    sealed = key("the key").seal(b"the answer")
    with pytest.raises(AnswerUnreadable) as refused:
        key("another key").open(sealed)
    assert str(refused.value) == "the kept answer was altered"
    assert refused.value.__cause__ is None
