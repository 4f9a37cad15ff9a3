"""The key file can be sealed: under a passphrase, or by a command. It is never written open then."""

import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwe
from joserfc.jwk import OctKey
from pydantic import SecretStr

from auth.crypto import key_sealing, keyring_file
from auth.crypto.key_sealing import ByCommand, UnderPassphrase
from auth.crypto.keyring import KeyringUnreadable, Purpose, add_keys, generate_keyring
from auth.crypto.keyring_file import load_keyring, read_keyring_file, replace_keyring
from auth.crypto.secret import Secret
from tests.docs.markdown import page
from tests.plugins.play import StartPlay, Template
from tests.support.command import error_of, run
from tests.support.logs import recorded_logs
from tests.support.world import OPERATOR, PASSWORD

PASSPHRASE, OTHER = "a passphrase of some words", "another passphrase"
UNDER = UnderPassphrase(Secret(PASSPHRASE))


@pytest.fixture
def data_dir(tmp_path: Path, database_url: str) -> Path:
    """Where a server with an operator has been, and its open key file."""
    path = tmp_path / "data"
    run(path, "operator", "create", "--email", OPERATOR, stdin=PASSWORD, database_url=database_url)
    return path


@pytest.fixture(autouse=True)
def few_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sealed here opens sooner."""
    monkeypatch.setitem(key_sealing._HEADER, "p2c", 1000)


def material(content: bytes) -> list[bytes]:
    """The secret parts of the keys in an open file: the beginning of each, for the rest of a line is the whole."""
    return [(key.get("k") or key["d"])[:12].encode() for key in json.loads(content)["keys"]]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Everything that is written to a disk on the way to a key file."""
    seen: list[bytes] = []
    write = keyring_file._write

    def watched(path: Path, data: bytes, *like: Any) -> None:
        write(path, data, *like)
        seen.append(path.read_bytes())

    monkeypatch.setattr(keyring_file, "_write", watched)
    return seen


# ---------------------------------------------------------------- under a passphrase


def test_a_sealed_file_is_an_encrypted_jwk_set_that_others_tools_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    content = generate_keyring()
    sealed = UNDER.seal(content)
    opened = jwe.decrypt_compact(
        sealed.strip(), OctKey.import_key(PASSPHRASE), algorithms=["PBES2-HS512+A256KW", "A256GCM"]
    )
    assert opened.plaintext == content
    header = opened.headers()
    assert (header["cty"], header["p2c"], len(header["p2s"])) == ("jwk-set+json", 300_000, 22)
    assert UNDER.open(sealed) == content
    assert UNDER.seal(content).split(b".")[0] != sealed.split(b".")[0]


def test_a_server_makes_its_file_sealed_and_never_writes_it_open(
    tmp_path: Path, database_url: str, written: list[bytes]
) -> None:
    data_dir, settings = tmp_path / "data", {"database_url": database_url, "keys_passphrase": PASSPHRASE}
    run(data_dir, "operator", "create", "--email", OPERATOR, stdin=PASSWORD, **settings)
    assert run(data_dir, "keys", "rotate", "--purpose", "all", **settings).exit_code == 0
    path = data_dir / "server-keys.json"
    content = UNDER.open(path.read_bytes())
    assert len(json.loads(content)["keys"]) == 8
    assert len(written) == 2
    on_disk = [*written, *(file.read_bytes() for file in data_dir.rglob("*") if file.is_file())]
    assert not [part for part in material(content) if any(part in each for each in on_disk)]
    assert [each.name for each in data_dir.iterdir() if "keys" in each.name] == ["server-keys.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_is_sealed_sealed_otherwise_and_opened_again(
    data_dir: Path, database_url: str, tmp_path: Path, written: list[bytes]
) -> None:
    path = data_dir / "server-keys.json"
    before = path.read_bytes()
    first = {"database_url": database_url, "keys_passphrase": PASSPHRASE}
    listed = run(data_dir, "keys", "list", **first).stdout
    assert run(data_dir, "keys", "seal", **first).stdout == f"{path} is sealed.\n"
    assert run(data_dir, "keys", "list", **first).stdout == listed
    passphrase_file = tmp_path / "passphrase"
    passphrase_file.write_text(f"{OTHER}\n")
    passphrase_file.chmod(0o600)
    assert run(data_dir, "keys", "seal", "--new-passphrase-file", str(passphrase_file), **first).exit_code == 0
    second = {"database_url": database_url, "keys_passphrase_file": str(passphrase_file)}
    assert run(data_dir, "keys", "list", **second).stdout == listed
    assert not [part for part in material(before) if any(part in each for each in written)]
    told = error_of(run(data_dir, "keys", "list", **first))
    assert told == f"{path}: the passphrase does not open the key file, or the file was damaged"
    assert run(data_dir, "keys", "unseal", **second).exit_code == 0
    assert path.read_bytes() == before


def test_what_can_not_be_opened_is_one_sentence_at_start(data_dir: Path, database_url: str) -> None:
    settings = {"database_url": database_url}
    run(data_dir, "keys", "seal", keys_passphrase=PASSPHRASE, **settings)
    path = data_dir / "server-keys.json"
    for given, told in (
        ({}, "the key file is sealed; set SEALKEY_KEYS_PASSPHRASE, "),
        ({"keys_passphrase": OTHER}, "the passphrase does not open the key file"),
    ):
        failed = run(data_dir, "serve", **settings, **given)
        assert error_of(failed).startswith(f"{path}: {told}")
        assert OTHER not in failed.output
    sealed = path.read_bytes()
    for damaged in (sealed[:-20], sealed[:200] + sealed[201:], sealed.replace(b"eyJ", b"eyK", 1)):
        path.write_bytes(damaged)
        failed = run(data_dir, "serve", keys_passphrase=PASSPHRASE, **settings)
        assert error_of(failed).startswith(f"{path}: the ")


@pytest.mark.parametrize("content", ["nonsense", "-----BEGIN PRIVATE KEY-----", "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"])
def test_what_is_no_key_file_is_not_called_sealed(data_dir: Path, database_url: str, content: str) -> None:
    told = "the key file is not a JWK Set as Sealkey writes it; where a command has sealed it, set"
    assert error_of(run(data_dir, "keys", "list", keys=content, database_url=database_url)).startswith(told)
    (path := data_dir / "server-keys.json").write_text(content)
    assert error_of(run(data_dir, "serve", database_url=database_url)).startswith(f"{path}: {told}")


@pytest.mark.parametrize(("is_set", "is_sealed"), [(False, False), (True, True), (True, False)])
def test_that_the_keys_are_open_though_it_is_set_how_they_are_sealed_is_told_once(
    start_play: StartPlay, world_template: Template, is_set: bool, is_sealed: bool
) -> None:
    content = (world_template.data_dir / "server-keys.json").read_bytes()
    settings: dict[str, Any] = {"keys_passphrase": SecretStr(PASSPHRASE)} if is_set else {}
    if is_sealed:
        settings["keys"] = SecretStr(UNDER.seal(content).decode())
    with recorded_logs() as log:
        play = start_play(**settings)
    is_told = is_set and not is_sealed
    assert log.getvalue().count("keys_not_sealed") == is_told
    assert (f"{play.server.data_dir / 'server-keys.json'} is not sealed" in log.getvalue()) == is_told


def test_a_server_takes_a_rotation_of_a_sealed_file(start_play: StartPlay) -> None:
    play = start_play(keys_passphrase=SecretStr(PASSPHRASE))
    path = play.server.data_dir / "server-keys.json"
    now = play.clock.now
    changed = add_keys(path.read_bytes(), [Purpose.TOKEN_SIGNING], now=now, starts_at=now, ends={})
    replace_keyring(path, UNDER.seal(changed))
    play.server.run(lambda _: play.server.app.state.housekeeping.follow_keys())
    keys = httpx.get(f"{play.server.url}/.well-known/jwks.json").json()["keys"]
    assert [key["kid"] for key in keys] == ["token-signing-1", "token-signing-2"]


def test_the_passphrase_is_changed_while_a_server_runs_whichever_file_is_replaced_first(
    start_play: StartPlay, tmp_path: Path
) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(f"{PASSPHRASE}\n")
    passphrase.chmod(0o600)
    play = start_play(keys_passphrase_file=passphrase)
    path = play.server.data_dir / "server-keys.json"
    content = path.read_bytes()

    def after(change: Callable[[], object]) -> str:
        change()
        play.server.run(lambda _: play.server.app.state.housekeeping.follow_keys())
        return httpx.get(f"{play.server.url}/readyz").text.removeprefix("ok").strip()

    other = UnderPassphrase(Secret(OTHER))
    assert after(lambda: replace_keyring(path, UNDER.seal(content))) == ""
    assert after(lambda: replace_keyring(path, other.seal(content))) == "keys_unreadable"
    assert after(lambda: passphrase.write_text("")) == "keys_unreadable"  # as of a file that is being written
    assert after(lambda: passphrase.write_text(f"{OTHER}\n")) == ""
    assert after(lambda: passphrase.write_text(PASSPHRASE)) == "keys_unreadable"
    assert after(lambda: replace_keyring(path, UNDER.seal(content))) == ""
    assert after(passphrase.unlink) == "keys_unreadable"
    assert after(lambda: passphrase.write_text(PASSPHRASE)) == ""


def test_sealed_keys_may_be_given_in_the_environment(data_dir: Path, database_url: str) -> None:
    sealed = UNDER.seal((data_dir / "server-keys.json").read_bytes()).decode()
    settings = {"database_url": database_url, "keys": sealed}
    assert run(data_dir, "keys", "list", keys_passphrase=PASSPHRASE, **settings).exit_code == 0
    told = error_of(run(data_dir, "keys", "list", keys_passphrase=OTHER, **settings))
    assert told == "the passphrase does not open the key file, or the file was damaged"


# ---------------------------------------------------------------- by a command


@pytest.fixture
def commands(tmp_path: Path) -> dict[str, str]:
    """The documentation's with OpenSSL, and a key of one's own."""
    key, certificate = tmp_path / "seal.key", tmp_path / "seal.crt"
    made = os.system(
        f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {certificate} -subj /CN=seal >/dev/null 2>&1"
    )
    assert made == 0
    documented = re.findall(r"^SEALKEY_(KEYS_\w+_COMMAND)='(openssl .*)'$", page("docs/keys.md"), re.MULTILINE)
    assert len(documented) == 2
    return {
        name.lower(): command.replace("seal.key", str(key)).replace("seal.crt", str(certificate))
        for name, command in documented
    }


def test_commands_seal_and_open_the_file(
    data_dir: Path, database_url: str, commands: dict[str, str], written: list[bytes]
) -> None:
    path, settings = data_dir / "server-keys.json", {"database_url": database_url, **commands}
    before = path.read_bytes()
    assert run(data_dir, "keys", "seal", **settings).exit_code == 0
    assert run(data_dir, "keys", "rotate", **settings).exit_code == 0
    keyring = read_keyring_file(path, ByCommand(*commands.values()))
    assert list(keyring.signing_keys) == ["token-signing-1", "token-signing-2"]
    assert not [part for part in material(before) if any(part in each for each in [*written, path.read_bytes()])]


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "command"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path)


FAILING = {
    "that fails": ("echo hunter2 >&2; exit 3", "SEALKEY_KEYS_UNSEAL_COMMAND ended with exit status 3"),
    "that says something else": ("echo hunter2", "the key file is not a JWK Set as Sealkey writes it"),
    "that never ends": ("sleep 600", "SEALKEY_KEYS_UNSEAL_COMMAND did not end within 0.2 seconds"),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_command_that_does_not_open_the_file_is_told_without_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(key_sealing, "_SECONDS", 0.2)
    text, told = FAILING[name]
    path = tmp_path / "server-keys.json"
    path.write_bytes(b"sealed")
    path.chmod(0o600)
    with pytest.raises(KeyringUnreadable) as refused:
        read_keyring_file(path, ByCommand(script(tmp_path, text), ""))
    assert str(refused.value) == f"{path}: {told}"


def test_a_command_that_is_not_there_or_can_not_be_read_is_told(tmp_path: Path) -> None:
    for command, told in ((str(tmp_path / "none"), "No such file or directory"), ("'", "its quotes do not match")):
        with pytest.raises(KeyringUnreadable, match=f"SEALKEY_KEYS_UNSEAL_COMMAND can't be run: {told}"):
            ByCommand(command, "").open(b"sealed")


def test_a_command_is_run_by_no_shell_and_sees_nothing_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALKEY_DATABASE_URL", "postgres://user:hunter2@db/sealkey")
    monkeypatch.setenv("VAULT_ADDR", "https://vault.example")
    command = script(tmp_path, 'env; echo "$@"')
    shown = ByCommand(f"{command} '$(id)' ;", "").open(b"sealed").decode()
    assert "hunter2" not in shown
    assert "VAULT_ADDR=https://vault.example" in shown
    assert shown.endswith("$(id) ;\n")


def test_what_would_not_open_again_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "server-keys.json"
    for unseal, seal in (("cat", "cat"), ("tr b c", "tr a b"), ("cat", "true")):
        with pytest.raises(KeyringUnreadable, match="SEAL_COMMAND makes"):
            load_keyring(path, ByCommand(unseal, seal))
    with pytest.raises(KeyringUnreadable, match="set SEALKEY_KEYS_SEAL_COMMAND"):
        load_keyring(path, ByCommand("cat", ""))
    assert not path.exists()


# ---------------------------------------------------------------- settings

WRONG: dict[str, tuple[dict[str, str], str]] = {
    "short": ({"keys_passphrase": "short"}, "SEALKEY_KEYS_PASSPHRASE: a passphrase has 16 characters at least."),
    "two ways": (
        {"keys_passphrase": PASSPHRASE, "keys_unseal_command": "cat"},
        "Of SEALKEY_KEYS_PASSPHRASE, SEALKEY_KEYS_PASSPHRASE_FILE and SEALKEY_KEYS_UNSEAL_COMMAND set one.",
    ),
    "short, in a file": (
        {"keys_passphrase_file": "/dev/null"},
        "The passphrase in /dev/null has fewer than 16 characters.",
    ),
    "no file": (
        {"keys_passphrase_file": "/nowhere"},
        "The passphrase can't be read from /nowhere: No such file or directory.",
    ),
    "only sealing": (
        {"keys_seal_command": "cat"},
        "SEALKEY_KEYS_SEAL_COMMAND is set: SEALKEY_KEYS_UNSEAL_COMMAND must be too.",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_settings_that_do_not_fit_are_told(tmp_path: Path, name: str) -> None:
    given, told = WRONG[name]
    assert error_of(run(tmp_path, "keys", "list", **given)) == told


def test_without_a_way_to_seal_nothing_is_sealed(data_dir: Path, database_url: str) -> None:
    told = error_of(run(data_dir, "keys", "seal", database_url=database_url))
    assert told.startswith("Set SEALKEY_KEYS_PASSPHRASE, ")
