"""The keys that sign checkpoints: among the others in the key file, where nothing else asks for them."""

import json
from typing import Any

import pytest

from auth.crypto.checkpoint_keys import add_checkpoint_key
from auth.crypto.keyring import KeyringUnreadable, generate_keyring, read_keyring

FILE = generate_keyring()
KEYS: list[dict[str, Any]] = json.loads(FILE)["keys"]
*_, KEY = json.loads(add_checkpoint_key(FILE))["keys"]


def test_a_new_file_has_none_and_one_is_added_to_it() -> None:
    assert read_keyring(FILE).checkpoint_keys == {}
    once = add_checkpoint_key(FILE)
    assert json.loads(once)["keys"][:-1] == KEYS
    twice = read_keyring(add_checkpoint_key(once))
    assert list(twice.checkpoint_keys) == ["checkpoint-signing-1", "checkpoint-signing-2"]
    assert twice.check_values() == read_keyring(FILE).check_values()


WRONG = {
    "of another curve": {**KEY, "crv": "X25519"},
    "of two halves": {**KEY, "x": KEY["d"]},
    "too short": {**KEY, "d": KEY["d"][:20]},
    "without its private half": {name: value for name, value in KEY.items() if name != "d"},
    "without a name": {name: value for name, value in KEY.items() if name != "kid"},
    "with a number for a name": {**KEY, "kid": 1},
}


@pytest.mark.parametrize("name", WRONG)
def test_one_that_can_not_be_used_is_noticed_when_it_is_read(name: str) -> None:
    with pytest.raises(KeyringUnreadable, match="the key file is not a JWK Set as Sealkey writes it") as refused:
        read_keyring(json.dumps({"keys": [*KEYS, WRONG[name]]}).encode())
    assert KEY["d"][:8] not in str(refused.value)
