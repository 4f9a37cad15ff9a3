"""A value that must not be seen."""

import logging
import traceback
from dataclasses import dataclass

import pytest

from auth.crypto.keyring import Purpose, generate_keyring, read_keyring
from auth.crypto.secret import Secret
from tests.support.server import START

TEXT = "hunter2"


@dataclass(frozen=True)
class Holder:
    secret: Secret


def test_only_who_asks_for_it_by_name_is_given_it() -> None:
    assert Secret(TEXT).reveal() == TEXT


def test_no_printing_shows_it(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(TEXT)
    logging.getLogger().warning("%s %r %s", secret, secret, [secret])
    writings = [repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", ascii(secret), caplog.text]
    writings += [repr(Holder(secret)), repr([secret]), repr({"secret": secret}), repr(dir(secret))]
    assert not [writing for writing in writings if TEXT in writing]


def test_no_traceback_shows_it() -> None:
    with pytest.raises(TypeError) as raised:
        raise TypeError(Secret(TEXT))
    told = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=True).format())
    assert "Secret(…)" in told
    assert TEXT not in told


def test_it_has_no_attributes_to_be_dumped() -> None:
    assert not hasattr(Secret(TEXT), "__dict__")


def test_the_servers_keys_are_not_printed_either() -> None:
    keyring = read_keyring(generate_keyring())
    key = keyring.symmetric_key(Purpose.CREDENTIAL_HASHING, START)
    assert repr(key) == "SymmetricKey(credential-hashing-1)"
    printed = repr(keyring)
    for hashing_key in keyring.symmetric_keys.values():
        assert repr(hashing_key.key) not in printed
    assert str(keyring.signing_key(START).key.as_dict(private=True)["d"]) not in printed
