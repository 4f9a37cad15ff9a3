"""Reading the private key that opens an envelope."""

from base64 import b64decode
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from auth.crypto.envelopes import PrivateKeyUnreadable, read_private_key
from tests.auth.crypto import keys
from tests.auth.crypto.keys import PASSPHRASE, PROTECTED, UNPROTECTED

FORMS = pytest.mark.parametrize("form", keys.PRIVATE_FORMS.values(), ids=keys.PRIVATE_FORMS)


UNDER_A_PASSPHRASE = (
    "The private key is under a passphrase, which is asked for on a terminal, or else read from standard input."
)


def refusal(text: str, passphrase: bytes | None = None) -> str:
    with pytest.raises(PrivateKeyUnreadable) as refused:
        read_private_key(text.encode(), passphrase)
    return str(refused.value)


def openssh_under_a_passphrase() -> str:
    """As ssh-keygen writes it; only that the rest is not there, which takes a passphrase to notice."""
    fields = [b"aes256-ctr", b"bcrypt", b"\0\0\0\4salt\0\0\0\x10"]
    blob = b"openssh-key-v1\0" + b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    public = b64decode(keys.ssh_line(keys.public_key()).split()[1])
    blob += (1).to_bytes(4, "big") + len(public).to_bytes(4, "big") + public + (32).to_bytes(4, "big") + bytes(32)
    return keys.pem("OPENSSH PRIVATE KEY", blob)


def elliptic() -> str:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, UNPROTECTED).decode()


@FORMS
def test_a_private_key_is_read_in_each_of_its_forms(form: PrivateFormat) -> None:
    key = read_private_key(keys.private_pem(form).encode(), None)
    assert key.private_numbers() == keys.private_key().private_numbers()


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL], ids=["PKCS#8", "PKCS#1"])
def test_a_private_key_under_a_passphrase_is_read_with_it(form: PrivateFormat) -> None:
    text = keys.private_pem(form, PROTECTED)
    assert read_private_key(text.encode(), PASSPHRASE).private_numbers() == keys.private_key().private_numbers()
    assert [refusal(text, each) for each in (None, b"")] == [UNDER_A_PASSPHRASE] * 2
    assert "passphrase is wrong" in refusal(text, b"wrong")


def test_an_openssh_key_under_a_passphrase_needs_converting() -> None:
    """Nor is its passphrase wanted first."""
    for passphrase in (None, PASSPHRASE):
        assert "ssh-keygen -p -m PKCS8" in refusal(openssh_under_a_passphrase(), passphrase)


@FORMS
def test_a_needless_passphrase_is_pointed_out(form: PrivateFormat) -> None:
    assert "Leave the passphrase out" in refusal(keys.private_pem(form), PASSPHRASE)


@pytest.mark.parametrize("form", keys.FORMS)
def test_a_public_key_is_called_one(form: str) -> None:
    text = keys.FORMS[form]()
    expected = "public key" if text.startswith(("-----", "ssh-")) else "no private key"
    assert expected in refusal(text)


def test_a_private_key_that_is_not_rsa_is_called_so() -> None:
    assert "not an RSA one" in refusal(elliptic())


@pytest.mark.parametrize("text", ["", "private", keys.pem("PRIVATE KEY", b""), keys.pem("OPENSSH PRIVATE KEY", b"x")])
def test_what_is_no_private_key_is_refused(text: str) -> None:
    assert "no private key" in refusal(text)


@FORMS
@settings(deadline=None)
@given(data=st.data())
def test_a_damaged_private_key_is_read_or_refused_and_nothing_else_happens(
    form: PrivateFormat, data: st.DataObject
) -> None:
    text = keys.private_pem(form)
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 200))
    damaged = text[:start] + data.draw(st.text(max_size=3)) + text[start + length :]
    with suppress(PrivateKeyUnreadable):
        read_private_key(damaged.encode(), data.draw(st.sampled_from([None, PASSPHRASE])))
