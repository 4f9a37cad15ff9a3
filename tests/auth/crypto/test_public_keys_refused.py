"""What is not taken as a public key: each kind with its code and with words of its own, and none of its text."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from auth.crypto.public_keys import MAXIMUM_CHARACTERS, PublicKeyFault, PublicKeyRefused, read_public_key
from tests.auth.crypto import keys
from tests.auth.crypto.der_writer import NULL, element, integer, sequence
from tests.auth.crypto.refused_forms import OTHER_TEXTS
from tests.auth.crypto.refused_numbers import BAD_NUMBERS
from tests.auth.crypto.refused_private import DISGUISED, DISGUISES, PRIVATE_KEYS

INVALID, PRIVATE = PublicKeyFault.INVALID_PUBLIC_KEY, PublicKeyFault.PRIVATE_KEY_SUPPLIED

REFUSED: dict[str, tuple[PublicKeyFault, Callable[[], str]]] = {
    **{name: (PRIVATE, text) for name, text in PRIVATE_KEYS.items()},
    **{name: (INVALID, text) for name, text in OTHER_TEXTS.items()},
    **BAD_NUMBERS,
}


def refusal(text: str) -> PublicKeyRefused:
    with pytest.raises(PublicKeyRefused) as refused:
        read_public_key(text)
    return refused.value


def pieces(text: str, length: int = 8) -> set[str]:
    return {text[at : at + length] for at in range(len(text) - length + 1)}


@pytest.mark.parametrize(("code", "text"), REFUSED.values(), ids=REFUSED)
def test_a_bad_key_is_refused_with_its_code_and_none_of_its_text(code: PublicKeyFault, text: Callable[[], str]) -> None:
    bad = text()
    refused = refusal(bad)
    assert refused.code is code
    assert str(refused) == refused.message
    assert not pieces(bad) & pieces(refused.message)


def test_each_kind_of_bad_key_has_a_message_of_its_own() -> None:
    names: dict[str, str] = {}
    for name, (_, text) in REFUSED.items():
        message = refusal(text()).message
        assert message not in names, f"{name} has the same message as {names.get(message)}"
        names[message] = name
    assert len(names) == len(REFUSED) >= 100


@pytest.mark.parametrize(("name", "text"), PRIVATE_KEYS.items(), ids=PRIVATE_KEYS)
def test_a_private_key_is_called_what_it_is(name: str, text: Callable[[], str]) -> None:
    assert refusal(text()).message.startswith(f"This is {name}. ")


@pytest.mark.parametrize(("name", "text"), PRIVATE_KEYS.items(), ids=PRIVATE_KEYS)
def test_it_is_told_how_to_make_the_public_key_by_what_reads_the_private_one(
    name: str, text: Callable[[], str]
) -> None:
    of_ssh = "SSH" in name
    assert ("ssh-keygen -y" in refusal(text()).message, "openssl pkey" in refusal(text()).message) == (
        of_ssh,
        not of_ssh,
    )


@pytest.mark.parametrize("text", DISGUISED.values(), ids=DISGUISED)
@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
def test_a_private_key_is_found_in_any_disguise(disguise: Callable[[str], str], text: Callable[[], str]) -> None:
    assert refusal(disguise(text())).code is PRIVATE


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
@pytest.mark.parametrize(
    "wrap",
    ["{}", '{{"keys": [{}]}}', '[[{{"x": {}}}]]', "{}}}}}", "  jwk = {};"],
    ids=["alone", "in a set", "deeper", "not JSON", "in code"],
)
def test_every_private_member_of_a_jwk_is_found(member: str, wrap: str) -> None:
    assert refusal(wrap.format(keys.jwk(keys.public_key(), **{member: "AQ"}))).code is PRIVATE


def test_a_private_key_is_found_before_the_length_is_minded() -> None:
    assert refusal(keys.private_pem() + " " * MAXIMUM_CHARACTERS).code is PRIVATE


def certificate_with(extensions: bytes) -> bytes:
    """Nothing in it is sound but the key."""
    name = sequence()
    key = keys.spki(keys.public_key())
    body = sequence(integer(1), name, name, name, name, key, element(0xA3, extensions))
    return sequence(body, name, element(3, b"\0"))


def test_a_certificate_is_taken_for_its_key_alone() -> None:
    assert read_public_key(keys.base64(certificate_with(sequence()))) == keys.recipient()


# No two of these need differ in their message; they must be refused all the same.
ALSO_INVALID = {
    "a lone surrogate": "\ud800" + keys.ssh_line(keys.public_key()),
    "NUL": keys.ssh_line(keys.public_key()) + "\0",
    "an integer of very many digits": '{"kty": "RSA", "n": ' + "9" * 5000 + "}",
    "objects in objects": '{"a":' * 5000,
    "a JSON text": '"RSA"',
    "kty is an object": '{"kty": {}}',
    "key_ops is a number": keys.jwk(keys.public_key(), key_ops=1),
    "key_ops is empty": keys.jwk(keys.public_key(), key_ops=[]),
    "use is null": keys.jwk(keys.public_key(), use=None),
    "alg is a list": keys.jwk(keys.public_key(), alg=["RSA-OAEP-256"]),
    "alg is OAEP with SHA-1": keys.jwk(keys.public_key(), alg="RSA-OAEP"),
    "alg is PKCS#1 v1.5": keys.jwk(keys.public_key(), alg="RSA1_5"),
    "a certificate chain": keys.pem("CERTIFICATE", keys.certificate()) * 2,
    "a PEM block without a body": "-----BEGIN PUBLIC KEY----------END PUBLIC KEY-----",
    "a line of dashes": "-----BEGIN PUBLIC KEY-----",
    "hexadecimal with colons": keys.spki(keys.public_key()).hex(":"),
    "an address": "https://example.com/jo.keys",
    "an algorithm without a name": keys.base64(sequence(sequence(), element(3, b"\0"))),
    "a key with unused bits": keys.base64(keys.spki(keys.public_key()).replace(b"\x0f\0", b"\x0f\1", 1)),
    "an extension that is none": keys.base64(certificate_with(sequence(sequence(), integer(7)))),
    "a key usage that is none": keys.base64(certificate_with(sequence(sequence(element(6, b"\x55\x1d\x0f"), NULL)))),
    "extensions in no sequence": keys.base64(certificate_with(NULL)),
}


@pytest.mark.parametrize("text", ALSO_INVALID.values(), ids=ALSO_INVALID)
def test_other_nonsense_is_invalid(text: str) -> None:
    assert refusal(text).code is INVALID


def test_a_certificate_whose_key_is_restricted_to_pss_is_refused() -> None:
    plain, restricted = (bytes.fromhex(f"06092a864886f70d0101{end}") for end in ("01", "0a"))
    altered = keys.certificate().replace(plain, restricted)
    assert altered != keys.certificate()
    assert "PSS" in refusal(keys.pem("CERTIFICATE", altered)).message


def test_a_certificate_of_another_kind_of_key_names_it() -> None:
    certificate = keys.certificate(key=generate_private_key(SECP256R1()))
    assert "elliptic-curve" in refusal(keys.pem("CERTIFICATE", certificate)).message
