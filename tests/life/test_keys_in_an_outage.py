"""A key file that is replaced while the database can't be asked is opened once, and taken when the database is back."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from auth.crypto.keyring import Keyring, generate_keyring
from auth.crypto.keyring_file import read_keyring_file, replace_keyring
from resolvers import server_keys
from resolvers.caller import Caller, Deployment
from resolvers.server_keys import KeysInFile


def test_a_sealed_file_is_not_opened_each_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, opened, is_away = tmp_path / "keys.json", 0, True
    path.touch(0o600)
    replace_keyring(path, generate_keyring())
    read = read_keyring_file

    def counted(*arguments: Any) -> Keyring:
        nonlocal opened
        opened += 1
        return read(*arguments)

    async def confirm(_caller: Caller, keyring: Keyring, **_: bool) -> Keyring:
        if is_away:
            raise ConnectionRefusedError
        return keyring

    keys, caller = KeysInFile(path), Caller(None, None, datetime.now(UTC), cast(Deployment, None))
    monkeypatch.setattr(server_keys, "read_keyring_file", counted)
    monkeypatch.setattr(server_keys, "confirm_keys", confirm)
    replace_keyring(path, generate_keyring())
    for _ in range(5):
        with pytest.raises(ConnectionRefusedError):
            asyncio.run(keys.follow(caller))
    is_away = False
    asyncio.run(keys.follow(caller))
    assert (opened, keys.keyring.check_values()) == (1, read(path).check_values())
