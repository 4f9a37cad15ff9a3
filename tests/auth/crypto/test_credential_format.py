"""The form of API keys and secrets."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.crypto.credential_format import (
    generate_api_key,
    generate_api_secret,
    is_api_key,
    is_api_secret,
    mask_api_key,
)

BASE62 = string.digits + string.ascii_letters
PREFIXES = st.from_regex(r"[a-z][a-z0-9]{0,15}", fullmatch=True)
# The secret of 256 zero bits: its checksum is the CRC-32 of all before it (0x9AB52502, by gzip), in base62.
ZERO = "sealkey_secret_" + "0" * 43 + "2peiRO"


@given(PREFIXES)
def test_keys_and_secrets_have_their_form_whatever_the_prefix(prefix: str) -> None:
    key, secret = generate_api_key(prefix), generate_api_secret(prefix).reveal()
    assert re.fullmatch(rf"{prefix}_key_[0-9A-Za-z]{{16}}", key)
    assert re.fullmatch(rf"{prefix}_secret_[0-9A-Za-z]{{49}}", secret)
    assert (is_api_key(key), is_api_secret(secret)) == (True, True)
    assert (is_api_key(secret), is_api_secret(key)) == (False, False)
    # The columns that keys are kept in.
    assert len(key) <= 64


def test_no_two_are_alike() -> None:
    assert len({generate_api_key("sealkey") for _ in range(1000)}) == 1000
    assert len({generate_api_secret("sealkey").reveal() for _ in range(1000)}) == 1000


@pytest.mark.parametrize("bits", [0, 1, 61, 62, 2**256 - 1])
def test_every_256_bits_fit(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.randbits", lambda count: bits if count == 256 else pytest.fail("other bits"))
    secret = generate_api_secret("sealkey").reveal()
    digits = secret.removeprefix("sealkey_secret_")[:43]
    alphabet = string.digits + string.ascii_uppercase + string.ascii_lowercase
    number = 0
    for digit in digits:
        number = number * 62 + alphabet.index(digit)
    assert (len(digits), number) == (43, bits)
    assert is_api_secret(secret)


def test_the_checksum_is_the_crc_32_of_all_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.randbits", lambda _: 0)
    assert generate_api_secret("sealkey").reveal() == ZERO
    assert is_api_secret(ZERO)


@pytest.mark.parametrize("secret", [ZERO, generate_api_secret("acme").reveal()], ids=["zero", "random"])
def test_the_checksum_finds_every_single_typo(secret: str) -> None:
    changed = (
        secret[:at] + other + secret[at + 1 :]
        for at in range(len(secret))
        for other in BASE62 + "_ -"
        if other != secret[at]
    )
    assert not [each for each in changed if is_api_secret(each)]


@given(st.data())
def test_the_checksum_finds_two_characters_exchanged_or_any_left_out_or_doubled(data: st.DataObject) -> None:
    secret = generate_api_secret("sealkey").reveal()
    at = data.draw(st.integers(0, len(secret) - 2))
    exchanged = secret[:at] + secret[at + 1] + secret[at] + secret[at + 2 :]
    assert is_api_secret(exchanged) is (exchanged == secret)
    assert not is_api_secret(secret[:at] + secret[at + 1 :])
    assert not is_api_secret(secret[: at + 1] + secret[at:])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "_key_" + "a" * 16,
        "key_" + "a" * 16,
        "sealkey_key_" + "a" * 15,
        "sealkey_key_" + "a" * 17,
        "sealkey_key_" + "a" * 15 + "-",
        "sealkey_key_" + "a" * 15 + "\u00e9",
        "sealkey_key_" + "a" * 15 + "\uff11",
        "sealkey_key_" + "a" * 16 + "\n",
        " sealkey_key_" + "a" * 16,
        "seal key_key_" + "a" * 16,
        "seal\0_key_" + "a" * 16,
        "\u00e9_key_" + "a" * 16,
        "a" * 17 + "_key_" + "a" * 16,
        "sealkey_secret_" + "a" * 16,
        "sealkey_KEY_" + "a" * 16,
    ],
    ids=ascii,
)
def test_what_is_no_key_is_not_looked_up(text: str) -> None:
    assert not is_api_key(text)


@given(st.text() | st.from_regex(r".{0,20}_(key|secret)_.{0,60}", fullmatch=True))
def test_no_text_breaks_the_check(text: str) -> None:
    assert is_api_key(text) is bool(re.fullmatch(r"[0-9A-Za-z]{1,16}_key_[0-9A-Za-z]{16}", text))
    assert not is_api_secret(text)


@given(PREFIXES)
def test_a_masked_key_shows_its_prefix_and_last_four_characters(prefix: str) -> None:
    key = generate_api_key(prefix)
    assert mask_api_key(key) == f"{prefix}_key_{'*' * 12}{key[-4:]}"
