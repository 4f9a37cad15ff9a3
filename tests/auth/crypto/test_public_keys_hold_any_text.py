"""Whatever the text: a recipient or a refusal comes out, and never a recipient out of a private key."""

import json
from base64 import b64decode
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat
from hypothesis import example, given, settings
from hypothesis import strategies as st

from auth.crypto.public_keys import PublicKeyRefused, RecipientKey, read_public_key
from tests.auth.crypto import keys

# Also lone surrogates, which st.text() leaves out.
ANY_TEXT = st.text(st.characters())

some = settings(max_examples=150, deadline=None)


def outcome(text: str) -> RecipientKey | PublicKeyRefused:
    try:
        return read_public_key(text)
    except PublicKeyRefused as refused:
        return refused


@some
@given(ANY_TEXT)
@example("\0")
@example("\ud800")
@example("[" * 32_768)
@example("9" * 32_768)
@example("-----BEGIN A-----" + "-----END A" * 3_000)
def test_any_text_is_refused(text: str) -> None:
    assert isinstance(outcome(text), PublicKeyRefused)


@some
@given(st.binary(max_size=2000))
def test_any_bytes_are_refused(data: bytes) -> None:
    assert isinstance(outcome(data.decode("latin-1")), PublicKeyRefused)
    assert isinstance(outcome(keys.base64(b"\x30" + data)), PublicKeyRefused)


MEMBERS = st.sampled_from(["kty", "n", "e", "use", "key_ops", "alg", "keys", "x5c", "kid"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["RSA", "AQAB", "enc", "RSA-OAEP-256"]),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(MEMBERS, values, max_size=3),
)


@some
@given(st.dictionaries(MEMBERS, VALUES))
def test_any_jwk_gives_a_recipient_or_a_refusal(members: dict[str, object]) -> None:
    outcome(json.dumps(members))
    outcome(json.dumps({**json.loads(keys.jwk(keys.public_key())), **members}))


@st.composite
def edits(draw: st.DrawFn, text: str) -> str:
    """The text after a few slips of the hand: pieces taken out, put in, or put in twice."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        new = draw(st.sampled_from(["", text[start:end] * 2, "\n", "A", "=", " ", '"', "-", "\0"]) | ANY_TEXT)
        text = text[:start] + new + text[end:]
    return text


@st.composite
def flips(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with a few bits flipped."""
    number = int.from_bytes(data, "big")
    for bit in draw(st.lists(st.integers(0, 8 * len(data) - 1), min_size=1, max_size=3, unique=True)):
        number ^= 1 << bit
    return number.to_bytes(len(data), "big")


@pytest.mark.parametrize("form", keys.FORMS.values(), ids=keys.FORMS)
@some
@given(data=st.data())
def test_an_edited_public_key_gives_a_recipient_or_a_refusal(form: Callable[[], str], data: st.DataObject) -> None:
    outcome(data.draw(edits(form())))


@pytest.mark.parametrize("form", ["SubjectPublicKeyInfo in base64", "PKCS#1 in base64", "a certificate in base64"])
@some
@given(data=st.data())
def test_flipped_bits_give_a_recipient_or_a_refusal(form: str, data: st.DataObject) -> None:
    der = b64decode(keys.FORMS[form]())
    found = outcome(keys.base64(data.draw(flips(der))))
    if isinstance(found, RecipientKey):
        assert found.bits >= 2048


@pytest.mark.parametrize("form", keys.PRIVATE_FORMS.values(), ids=keys.PRIVATE_FORMS)
@some
@given(data=st.data())
def test_an_edited_private_key_never_passes(form: PrivateFormat, data: st.DataObject) -> None:
    assert isinstance(outcome(data.draw(edits(keys.private_pem(form)))), PublicKeyRefused)
