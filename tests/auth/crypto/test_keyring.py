"""The server's own keys and the file they are in."""

import json
import os
import stat
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from auth.crypto.keyring import KeyringUnreadable, Purpose, generate_keyring, read_keyring
from auth.crypto.keyring_file import load_keyring
from tests.support.server import START

FILE = generate_keyring()
KEYS: list[dict[str, Any]] = json.loads(FILE)["keys"]
CREDENTIALS, AUDIT, SEALING, SIGNING = KEYS
# What signs checkpoints is added when the first is wanted.
AT_FIRST = [purpose for purpose in Purpose if purpose is not Purpose.CHECKPOINT_SIGNING]


def file_of(*keys: object) -> bytes:
    return json.dumps({"keys": keys}).encode()


def refusal(data: bytes) -> str:
    with pytest.raises(KeyringUnreadable) as refused:
        read_keyring(data)
    return str(refused.value)


# ---------------------------------------------------------------- what is in it


def test_a_new_file_has_a_key_for_each_purpose() -> None:
    keyring = read_keyring(FILE)
    assert [*keyring.symmetric_keys, *keyring.signing_keys] == [f"{purpose}-1" for purpose in AT_FIRST]
    assert {len(key.key) for key in keyring.symmetric_keys.values()} == {32}
    assert keyring.signing_key(START).key.curve_name == "P-256"


def test_every_file_has_other_keys() -> None:
    other = read_keyring(generate_keyring())
    keyring = read_keyring(FILE)
    assert not set(keyring.check_values().values()) & set(other.check_values().values())


def test_of_several_versions_the_newest_makes_and_the_older_ones_still_check() -> None:
    newer = {**CREDENTIALS, "kid": "credential-hashing-2", "k": AUDIT["k"]}
    newer_signing = {**ECKey.generate_key("P-256").as_dict(private=True), "kid": "token-signing-2"}
    keyring = read_keyring(file_of(*KEYS, newer, newer_signing))
    assert keyring.symmetric_key(Purpose.CREDENTIAL_HASHING, START).id == "credential-hashing-2"
    assert keyring.symmetric_key(Purpose.AUDIT_HASHING, START).id == "audit-hashing-1"
    assert keyring.signing_key(START).id == "token-signing-2"
    assert {"credential-hashing-1", "credential-hashing-2"} <= set(keyring.symmetric_keys)
    assert {"token-signing-1", "token-signing-2"} == set(keyring.signing_keys)


def test_a_check_value_tells_keys_apart_and_tells_nothing_of_them() -> None:
    values = read_keyring(FILE).check_values()
    assert set(values) == {f"{purpose}-1" for purpose in AT_FIRST}
    assert values == read_keyring(FILE).check_values()
    assert len(set(values.values())) == len(AT_FIRST)
    for value in values.values():
        assert value not in FILE.decode()
        assert len(value) <= 64


# ---------------------------------------------------------------- damaged files

NOT_A_KEY_FILE = "the key file is not a JWK Set as Sealkey writes it"
DAMAGED = {
    "nothing": b"",
    "no JSON": b"{",
    "no text": b"\xff",
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "no keys": b"{}",
    "keys that are no list": b'{"keys": 1}',
    "keys in an object": b'{"keys": {"a": {}}}',
    "a key that is no object": file_of(*KEYS, 1),
    "a key of no type": file_of(*KEYS, {"kid": "token-signing-2"}),
    "a key without an id": file_of(*KEYS, {key: value for key, value in AUDIT.items() if key != "kid"}),
    "an id that is no text": file_of(*KEYS, {**AUDIT, "kid": 1}),
    "no key in it": file_of(*KEYS, {"kty": "oct", "kid": "audit-hashing-2"}),
    "a key that is no text": file_of(*KEYS, {**AUDIT, "kid": "audit-hashing-2", "k": 1}),
    "a key that is not base64": file_of(*KEYS, {**AUDIT, "kid": "audit-hashing-2", "k": "\u00e9" * 43}),
    "a point that is on no curve": file_of(CREDENTIALS, AUDIT, SEALING, {**SIGNING, "x": SIGNING["y"]}),
    "a curve that there is none of": file_of(CREDENTIALS, AUDIT, SEALING, {**SIGNING, "crv": "P-1"}),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_refused(data: bytes) -> None:
    assert refusal(data) == NOT_A_KEY_FILE


UNUSABLE: dict[str, tuple[bytes, str]] = {
    "no credential key": (file_of(AUDIT, SEALING, SIGNING), "there is no credential-hashing key"),
    "no audit key": (file_of(CREDENTIALS, SEALING, SIGNING), "there is no audit-hashing key"),
    "no sealing key": (file_of(CREDENTIALS, AUDIT, SIGNING), "there is no sealing key"),
    "no signing key": (file_of(CREDENTIALS, AUDIT, SEALING), "there is no token-signing key"),
    "no keys": (file_of(), "there is no credential-hashing key"),
    "a short key": (
        file_of({**CREDENTIALS, "k": "AAAA"}, AUDIT, SEALING, SIGNING),
        "a symmetric key does not have 32 bytes",
    ),
    "a long key": (
        file_of({**CREDENTIALS, "k": CREDENTIALS["k"] * 2}, AUDIT, SEALING, SIGNING),
        "a symmetric key does not have 32 bytes",
    ),
    "a signing key for hashing": (
        file_of(AUDIT, SEALING, SIGNING, {**SIGNING, "kid": "credential-hashing-1"}),
        "there is no credential-hashing key",
    ),
    "a hashing key for signing": (
        file_of(CREDENTIALS, AUDIT, SEALING, {**AUDIT, "kid": "token-signing-1"}),
        "there is no token-signing key",
    ),
    "a public key for signing": (
        file_of(CREDENTIALS, AUDIT, SEALING, {key: value for key, value in SIGNING.items() if key != "d"}),
        "a signing key is not a private key on the curve P-256",
    ),
    "a key on another curve": (
        file_of(
            CREDENTIALS, AUDIT, SEALING, {**ECKey.generate_key("P-384").as_dict(private=True), "kid": "token-signing-1"}
        ),
        "a signing key is not a private key on the curve P-256",
    ),
    "two keys of one id": (file_of(*KEYS, {**AUDIT, "k": CREDENTIALS["k"]}), "two keys have the id audit-hashing-1"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_keys_that_can_not_be_used_are_noticed_when_they_are_read(name: str) -> None:
    data, expected = UNUSABLE[name]
    assert refusal(data) == expected


@given(st.data())
def test_whatever_happens_to_the_file_it_is_read_or_refused_and_never_repeated(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(FILE)))
    length = data.draw(st.integers(0, 60))
    damaged = FILE[:start] + data.draw(st.binary(max_size=3)) + FILE[start + length :]
    try:
        read = read_keyring(damaged)
    except KeyringUnreadable as refused:
        told = "".join(traceback.format_exception(refused))
        # Not the start either: the rest of a line that is quoted would be the whole.
        shown = [key for key in (CREDENTIALS["k"], AUDIT["k"], SEALING["k"], SIGNING["d"]) if key[:8] in told]
    else:
        shown = [] if read.signing_key(START).key.is_private else ["a public key"]
    assert shown == []


# ---------------------------------------------------------------- the file


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    yield
    os.umask(before)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_the_file_is_made_with_its_directory_for_its_owner_alone(tmp_path: Path, mask: int) -> None:
    path = tmp_path / "new" / "data" / "server-keys.json"
    with umask(mask):
        made = load_keyring(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["server-keys.json"]
    assert load_keyring(path).check_values() == made.check_values()


@pytest.mark.parametrize("mode", [0o601, 0o604, 0o610, 0o620, 0o640, 0o660, 0o666, 0o777])
def test_a_file_that_others_can_use_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "server-keys.json"
    load_keyring(path)
    path.chmod(mode)
    with pytest.raises(KeyringUnreadable, match=f"chmod 600 {path}"):
        load_keyring(path)
    path.chmod(0o400)
    load_keyring(path)


def test_what_is_wrong_with_a_file_is_told_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "server-keys.json"
    path.write_bytes(b"")
    path.chmod(0o600)
    with pytest.raises(KeyringUnreadable, match=f"^{path}: {NOT_A_KEY_FILE}$"):
        load_keyring(path)


def test_of_many_that_start_at_once_one_makes_the_file_and_all_have_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "server-keys.json"
    with ThreadPoolExecutor(8) as threads:
        keyrings = list(threads.map(load_keyring, [path] * 24))
    assert len({json.dumps(keyring.check_values()) for keyring in keyrings}) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["server-keys.json"]


def test_a_file_is_never_seen_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks in between finds no file, and what one who was killed left beside it is in nobody's way."""
    path, replace, seen = tmp_path / "server-keys.json", Path.replace, list[bool]()

    def replace_and_see(self: Path, target: Path) -> Path:
        seen.append(path.exists())
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replace_and_see)
    (tmp_path / "server-keys.json.new").write_bytes(b"half")
    load_keyring(path)
    assert seen == [False]
    assert [each.name for each in tmp_path.iterdir()] == ["server-keys.json"]


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with suppress(OSError):
        load_keyring(tmp_path / "server-keys.json")
        pytest.fail("it was written all the same")
    assert list(tmp_path.iterdir()) == []
