"""What is kept of a secret, and whether a secret belongs to it."""

import hmac
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.crypto.keyring import Keyring, SymmetricKey
from auth.crypto.secret import Secret
from auth.crypto.secret_hash import hash_secret, secret_matches

OLD = SymmetricKey("credential-hashing-1", b"\1" * 32)
NEW = SymmetricKey("credential-hashing-2", b"\2" * 32)
AUDIT = SymmetricKey("audit-hashing-1", b"\3" * 32)
KEYRING = Keyring({key.id: key for key in (OLD, AUDIT, NEW)}, {})
KEY, SECRET = "sealkey_key_1", Secret("sealkey_secret_2")


def test_the_hash_is_an_hmac_over_domain_key_and_secret_each_after_its_length() -> None:
    parts = [b"sealkey credential secret v1", b"sealkey_key_1", b"sealkey_secret_2"]
    message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    assert hash_secret(OLD, KEY, SECRET) == hmac.new(b"\1" * 32, message, "sha256").hexdigest()
    # What is in databases already can't change.
    assert hash_secret(OLD, KEY, SECRET) == "f5ebd95bb7e40aa78221975713175594d72b882ede77ac81e8efba0693dcc788"


@given(st.text(max_size=9), st.text(max_size=9), st.text(max_size=9), st.text(max_size=9))
def test_another_key_or_secret_has_another_hash_however_they_are_split(
    key: str, secret: str, other_key: str, other_secret: str
) -> None:
    same = (key, secret) == (other_key, other_secret)
    assert (hash_secret(OLD, key, Secret(secret)) == hash_secret(OLD, other_key, Secret(other_secret))) is same
    if secret:
        assert hash_secret(OLD, key + secret[0], Secret(secret[1:])) != hash_secret(OLD, key, Secret(secret))


def test_each_server_key_gives_another_hash() -> None:
    hashes = [hash_secret(key, KEY, SECRET) for key in (OLD, NEW, AUDIT)]
    assert all(one != other for one, other in combinations(hashes, 2))


@pytest.mark.parametrize("made_with", [OLD, NEW], ids=["an older key", "the newest key"])
def test_a_secret_matches_the_hash_that_was_made_of_it_under_the_key_of_that_time(made_with: SymmetricKey) -> None:
    kept = bytes.fromhex(hash_secret(made_with, KEY, SECRET))
    assert secret_matches(KEYRING, made_with.id, kept, KEY, SECRET)
    other = NEW if made_with is OLD else OLD
    assert not secret_matches(KEYRING, other.id, kept, KEY, SECRET)
    assert not secret_matches(KEYRING, made_with.id, kept, KEY, Secret("sealkey_secret_3"))
    assert not secret_matches(KEYRING, made_with.id, kept, "sealkey_key_2", SECRET)
    assert not secret_matches(KEYRING, made_with.id, kept[::-1], KEY, SECRET)


def test_nothing_matches_a_hash_that_is_not_there() -> None:
    assert not secret_matches(KEYRING, None, None, KEY, SECRET)
    assert not secret_matches(KEYRING, OLD.id, b"", KEY, SECRET)
    assert not secret_matches(KEYRING, OLD.id, bytes(32), KEY, SECRET)


def test_a_hash_of_a_key_that_is_gone_matches_nothing() -> None:
    gone = SymmetricKey("credential-hashing-0", b"\4" * 32)
    assert not secret_matches(KEYRING, gone.id, bytes.fromhex(hash_secret(gone, KEY, SECRET)), KEY, SECRET)
