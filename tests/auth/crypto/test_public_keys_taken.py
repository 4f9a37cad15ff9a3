"""Public keys that are taken, in every form that people have them in."""

import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from auth.crypto.public_keys import PublicKeyRefused, read_public_key
from tests.auth.crypto import keys
from tests.auth.crypto.der_writer import RSA_OID, rsa_pkcs1, rsa_spki, spki

FORMS = pytest.mark.parametrize("form", keys.FORMS.values(), ids=keys.FORMS)


@FORMS
def test_every_form_of_a_key_gives_the_same_recipient(form: Callable[[], str]) -> None:
    assert read_public_key(form()) == keys.recipient()


@FORMS
@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: f"\n\t  {text} \n\n",
        lambda text: text.replace("\n", "\r\n"),
        lambda text: f"\ufeff{text}",
        lambda text: f" \ufeff\r\n{text}\r\n",
    ],
    ids=["white space around", "CRLF", "byte order mark", "white space and byte order mark"],
)
def test_what_editors_do_to_a_text_does_no_harm(form: Callable[[], str], spoil: Callable[[str], str]) -> None:
    assert read_public_key(spoil(form())) == keys.recipient()


@pytest.mark.parametrize(
    "mangled",
    [
        lambda text: text.replace("\n", " "),
        lambda text: text.replace("\n", r"\n"),
        lambda text: text.replace("\n", r"\r\n"),
        lambda text: text.replace("\n", ""),
        lambda text: f'"{text}"',
        lambda text: f"subject=CN = Jo\nModulus: 00:ab:cd\n{text}",
    ],
    ids=["spaces", "escaped", "escaped CRLF", "none", "quoted", "explained"],
)
def test_a_pem_block_may_have_lost_its_lines_or_be_explained(mangled: Callable[[str], str]) -> None:
    assert read_public_key(mangled(keys.spki_pem(keys.public_key()))) == keys.recipient()


@pytest.mark.parametrize("width", [1, 64, 76])
def test_base64_may_be_wrapped_at_any_width(width: int) -> None:
    text = keys.base64(keys.spki(keys.public_key()))
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    assert read_public_key("\r\n".join(lines)) == keys.recipient()


def test_the_algorithm_parameters_of_rsa_may_be_left_out() -> None:
    bare = spki(RSA_OID, keys.pkcs1(keys.public_key()))
    assert read_public_key(keys.base64(bare)) == keys.recipient()


def test_the_fingerprint_is_the_hash_of_the_subject_public_key_info() -> None:
    assert keys.recipient().fingerprint == hashlib.sha256(keys.spki(keys.public_key())).hexdigest()


def test_the_subject_key_identifier_is_the_hash_of_the_bare_key() -> None:
    digest = hashlib.sha1(keys.pkcs1(keys.public_key()), usedforsecurity=False).digest()
    assert keys.recipient().subject_key_identifier == digest


@pytest.mark.parametrize("bits", [2048, 2049, 3000, 4096, 16384])
def test_any_size_within_the_bounds_is_taken(bits: int) -> None:
    taken = read_public_key(keys.base64(rsa_spki(keys.modulus(bits), 65_537)))
    assert taken.bits == taken.rsa.key_size == bits


@pytest.mark.parametrize("exponent", [65_537, 65_539, 2**64 - 1])
def test_any_odd_exponent_within_the_bounds_is_taken(exponent: int) -> None:
    n = keys.modulus(2048)
    taken = read_public_key(keys.base64(rsa_pkcs1(n, exponent)))
    assert taken.rsa.public_numbers() == RSAPublicNumbers(exponent, n)


def test_the_policy_sets_the_least_size() -> None:
    text = keys.spki_pem(keys.public_key(2048))
    with pytest.raises(PublicKeyRefused, match="2048 bits; at least 2049"):
        read_public_key(text, minimum_bits=2049)
    assert read_public_key(text, minimum_bits=2048).bits == 2048
    assert read_public_key(keys.base64(rsa_spki(keys.modulus(1024), 65_537)), minimum_bits=1024).bits == 1024
