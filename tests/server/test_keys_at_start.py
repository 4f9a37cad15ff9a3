"""Keys that are wrong, missing or lost are noticed before anything is served; what to do then is told, and works."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auth.crypto.key_sealing import Unsealed
from auth.crypto.keyring import Purpose, add_keys, generate_keyring, read_keyring, remove_key
from auth.crypto.keyring_file import replace_keyring
from models.database import connected
from models.instants import write_instant
from resolvers.server_keys import set_up_with_keys
from server.key_words import _states
from tests.support import samples
from tests.support.command import error_of, run
from tests.support.rows import Rows
from tests.support.world import OPERATOR, PASSWORD

Keys = list[dict[str, Any]]
# The key that signs checkpoints is made when it is first needed.
PURPOSES = [purpose for purpose in Purpose if purpose is not Purpose.CHECKPOINT_SIGNING]
EVERY = [f"{purpose}-1" for purpose in PURPOSES]


@pytest.fixture
def data_dir(tmp_path: Path, database_url: str) -> Path:
    path = tmp_path / "data"
    run(path, "operator", "create", "--email", OPERATOR, stdin=PASSWORD, database_url=database_url)
    return path


def key_file(data_dir: Path) -> Path:
    return data_dir / "server-keys.json"


def start(data_dir: Path, database_url: str) -> str:
    """What a server that can't start says."""
    return error_of(run(data_dir, "serve", database_url=database_url))


def changed(change: Callable[[Keys], object]) -> Callable[[bytes], bytes]:
    def content(before: bytes) -> bytes:
        keys: Keys = json.loads(before)["keys"]
        change(keys)
        return json.dumps({"keys": keys}).encode()

    return content


def with_other_bytes(key_id: str) -> Callable[[Keys], None]:
    other = {key["kid"]: key for key in json.loads(generate_keyring())["keys"]}

    def change(keys: Keys) -> None:
        keys[:] = [other[key_id] if key["kid"] == key_id else key for key in keys]

    return change


DAMAGED = "the key file is not a JWK Set as Sealkey writes it"
WRONG: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", DAMAGED),
    "truncated": (lambda before: before[: len(before) // 2], DAMAGED),
    "another deployment's": (
        lambda _: generate_keyring(),
        "the keys are another deployment's: the database",
    ),
    "two of one id": (changed(lambda keys: keys.append(keys[0])), "two keys have the id credential-hashing-1"),
    "without a purpose": (changed(lambda keys: keys.pop(1)), "there is no audit-hashing key"),
    **{
        f"other bytes of {key_id}": (
            changed(with_other_bytes(key_id)),
            f"the database was set up with another {key_id} key: give the server the keys it had",
        )
        for key_id in EVERY
    },
}


def test_a_file_that_is_wrong_is_refused_in_one_sentence(data_dir: Path, database_url: str) -> None:
    path = key_file(data_dir)
    before = path.read_bytes()
    for name, (content, told) in WRONG.items():
        path.write_bytes(content(before))
        assert start(data_dir, database_url).removeprefix(f"{path}: ").startswith(told), name
    path.write_bytes(before)
    assert run(data_dir, "keys", "list", database_url=database_url).exit_code == 0


def test_a_file_that_others_can_read_or_that_can_not_be_read_is_refused(data_dir: Path, database_url: str) -> None:
    path = key_file(data_dir)
    path.chmod(0o640)
    assert start(data_dir, database_url).endswith(f"others can read it; make it yours alone: chmod 600 {path}")
    path.unlink()
    for mode in (0o700, 0o755):
        path.mkdir(mode)
        assert start(data_dir, database_url) == f"{path}: it can't be read: Is a directory"
        path.rmdir()


def test_a_file_that_is_gone_is_asked_for_and_not_made_anew(data_dir: Path, database_url: str) -> None:
    path = key_file(data_dir)
    before = path.read_bytes()
    path.unlink()
    another = ("operator", "create", "--email", "b@x.example")
    for command in (("serve",), another, ("keys", "rotate"), ("keys", "list"), ("keys", "seal"), ("audit", "verify")):
        told = error_of(run(data_dir, *command, stdin=PASSWORD, database_url=database_url, keys_passphrase="x" * 16))
        assert told.startswith(f"{path} is not there: put back the backup of the server's keys"), command
        assert not path.exists(), command
    path.touch(0o600)
    path.write_bytes(before)
    assert run(data_dir, *another, stdin=PASSWORD, database_url=database_url).exit_code == 0


@pytest.mark.parametrize("lost", ["gone", "empty"])
def test_where_the_database_is_lost_nobody_is_served_under_its_keys(tmp_path: Path, lost: str) -> None:
    create = ("operator", "create", "--email", OPERATOR)
    run(tmp_path, *create, stdin=PASSWORD)
    file = tmp_path / "sealkey.sqlite3"
    file.unlink()
    if lost == "empty":
        file.touch(0o600)
    before = key_file(tmp_path).read_bytes()
    for command in (("serve",), ("demo",), ("demo", "--serve"), create, ("keys", "rotate")):
        told = error_of(run(tmp_path, *command, stdin=PASSWORD))
        assert told.startswith(f"sqlite://{file} is empty, and {key_file(tmp_path)} has a deployment's keys"), command
    assert key_file(tmp_path).read_bytes() == before
    # What the sentence says for those who mean it.
    run(tmp_path, "db", "upgrade")
    assert run(tmp_path, *create, stdin=PASSWORD).exit_code == 0
    assert key_file(tmp_path).read_bytes() == before


def test_a_first_start_that_was_killed_once_it_had_made_the_keys_is_finished_by_the_next(
    tmp_path: Path, empty_database_url: str
) -> None:
    run(tmp_path, "db", "upgrade", database_url=empty_database_url)
    replacement = generate_keyring()
    key_file(tmp_path).touch(0o600)
    key_file(tmp_path).write_bytes(replacement)
    create = ("operator", "create", "--email", OPERATOR)
    assert run(tmp_path, *create, stdin=PASSWORD, database_url=empty_database_url).exit_code == 0
    assert key_file(tmp_path).read_bytes() == replacement


def test_where_no_keys_were_ever_made_no_backup_of_them_is_asked_for(tmp_path: Path) -> None:
    file, path = tmp_path / "sealkey.sqlite3", key_file(tmp_path)
    commands = [("keys", "list"), ("keys", "rotate"), ("keys", "unseal"), ("audit", "verify")]
    for command in commands:
        assert error_of(run(tmp_path, *command)) == f"There is no database {file}.", command
    run(tmp_path, "db", "upgrade")
    for command in commands:
        told = error_of(run(tmp_path, *command))
        assert told.startswith(f"{path} is not there, and no keys were made for this database yet"), command
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_keys_that_are_another_deployment_s_are_not_listed_as_if_they_were_in_use(
    data_dir: Path, database_url: str
) -> None:
    path = key_file(data_dir)
    before = path.read_bytes()
    for name in ("another deployment's", *(f"other bytes of {key_id}" for key_id in EVERY)):
        content, told = WRONG[name]
        path.write_bytes(content(before))
        assert error_of(run(data_dir, "keys", "list", database_url=database_url)).startswith(told)


@pytest.mark.database
def test_of_machines_that_start_at_once_one_makes_the_keys_and_the_others_no_file(
    tmp_path: Path, database_url: str
) -> None:
    places = [tmp_path / name for name in "abc"]

    async def start_all() -> None:
        async with connected(database_url):
            now = datetime.now(UTC)
            await asyncio.gather(*(set_up_with_keys(key_file(place), Unsealed(), now) for place in places))

    asyncio.run(start_all())
    (first,) = [place for place in places if key_file(place).exists()]
    for place in places:
        listed = run(place, "keys", "list", database_url=database_url)
        if place == first:
            assert [line.split()[0] for line in listed.stdout.splitlines()] == EVERY
        else:
            assert error_of(listed).startswith(f"{key_file(place)} is not there: put back the backup")


# ---------------------------------------------------------------- a key that is missing


def in_use_since_an_hour(data_dir: Path, database_url: str, *purposes: Purpose) -> bytes:
    """Adds keys as a rotation of an hour ago would have; answers the file from before."""
    path, now = key_file(data_dir), datetime.now(UTC)
    before = path.read_bytes()
    hour_ago = now - timedelta(hours=1)
    replace_keyring(path, add_keys(before, purposes, now=now, starts_at=hour_ago, ends={}))
    assert run(data_dir, "operator", "create", "--email", "b@x.example", stdin=PASSWORD, database_url=database_url)
    return before


def give_credential(database_url: str, key_id: str) -> None:
    rows = Rows(database_url)
    account = samples.account()
    user, identity, service = (make(account["id"]) for make in (samples.user, samples.identity, samples.service))
    rows.insert("accounts", account)
    rows.insert("audit_chains", {"id": account["id"], "sequence": 0, "hash": ""})
    rows.insert("users", user)
    rows.insert("identities", identity)
    rows.insert("services", service)
    rows.insert(
        "credentials", samples.credential(account["id"], user["id"], service["id"], identity["id"], key_id, name="ci")
    )


def test_a_key_that_is_missing_is_told_with_what_needs_it(data_dir: Path, database_url: str) -> None:
    before = in_use_since_an_hour(data_dir, database_url, Purpose.CREDENTIAL_HASHING)
    after = key_file(data_dir).read_bytes()
    give_credential(database_url, "credential-hashing-2")
    replace_keyring(key_file(data_dir), before)
    told = start(data_dir, database_url)
    assert told.startswith("the server key credential-hashing-2 is missing, which the database knows since 20")
    assert "and which 1 credential can not do without: give the server the newest key file" in told
    listed = run(data_dir, "keys", "list", database_url=database_url).stdout.splitlines()
    assert listed[-1] == f"{'credential-hashing-2':24}not in the file; 1 credential needs it"
    replace_keyring(key_file(data_dir), after)
    listed = run(data_dir, "keys", "list", database_url=database_url).stdout.splitlines()
    assert listed[0] == f"{'credential-hashing-1':24}checks what was made with it"
    assert listed[1].endswith("; 1 credential needs it")
    assert listed[1].startswith(f"{'credential-hashing-2':24}in use since 20")


def test_a_restored_database_takes_the_key_file_of_its_time_also_after_it_was_verified_with_todays(
    data_dir: Path, database_url: str
) -> None:
    path = key_file(data_dir)
    of_the_backup = path.read_bytes()
    in_use_since_an_hour(data_dir, database_url, Purpose.CREDENTIAL_HASHING)
    rotated = path.read_bytes()
    rows = Rows(database_url)
    rows.execute("DELETE FROM server_keys WHERE id = 'credential-hashing-2'")  # the backup knows nothing of it
    known = rows.execute("SELECT id FROM server_keys ORDER BY id")
    assert run(data_dir, "audit", "verify", database_url=database_url).exit_code == 0
    assert run(data_dir, "keys", "list", database_url=database_url).exit_code == 0
    assert rows.execute("SELECT id FROM server_keys ORDER BY id") == known
    replace_keyring(path, remove_key(rotated, "credential-hashing-1"))  # as a retirement since then
    told = start(data_dir, database_url)
    assert told.startswith("the server key credential-hashing-1 is missing, which the database knows since 20")
    assert "for a database that was restored, a copy of the key file from the time of the backup" in told
    replace_keyring(path, of_the_backup)
    assert run(data_dir, "audit", "verify", database_url=database_url).exit_code == 0
    third = run(data_dir, "operator", "create", "--email", "c@x.example", stdin=PASSWORD, database_url=database_url)
    assert third.exit_code == 0


def test_a_deployment_goes_on_without_a_key_that_was_lost(data_dir: Path, database_url: str) -> None:
    settings = {"database_url": database_url}
    before = in_use_since_an_hour(data_dir, database_url, Purpose.CREDENTIAL_HASHING, Purpose.AUDIT_HASHING)
    give_credential(database_url, "credential-hashing-2")
    replace_keyring(key_file(data_dir), before)
    lost = ["credential-hashing-2", "audit-hashing-2"]
    for key_id in lost:
        assert error_of(run(data_dir, "keys", "retire", key_id, **settings)).startswith("the server key")
    done = [run(data_dir, "keys", "retire", key_id, "--force", **settings).stdout for key_id in lost]
    assert done == [
        "credential-hashing-2 is used no more, and 1 credential revoked.\n",
        "audit-hashing-2 is used no more.\n",
    ]
    assert run(data_dir, "keys", "rotate", "--purpose", "audit-hashing", **settings).exit_code == 0
    assert Rows(database_url).execute("SELECT revocation_reason FROM credentials") == [("KEY_COMPROMISE",)]


# ---------------------------------------------------------------- a change that was killed halfway


def events(database_url: str) -> list[tuple[str, str]]:
    found = Rows(database_url).execute("SELECT type, summary FROM audit_events ORDER BY sequence")
    return [(type_, summary) for type_, summary in found if type_.startswith("server_key")]


def test_a_key_that_nobody_told_of_is_told_of_by_whoever_finds_it_in_the_file(
    data_dir: Path, database_url: str
) -> None:
    in_use_since_an_hour(data_dir, database_url, Purpose.TOKEN_SIGNING)
    run(data_dir, "operator", "create", "--email", "c@x.example", stdin=PASSWORD, database_url=database_url)
    ((type_, summary),) = events(database_url)
    assert (type_, summary.startswith("The server key token-signing-2 was added, to sign from 20")) == (
        "server_key.added",
        True,
    )


def test_a_retirement_that_did_not_reach_the_file_is_finished_by_trying_again(
    data_dir: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_use_since_an_hour(data_dir, database_url, Purpose.CREDENTIAL_HASHING)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        told = error_of(run(data_dir, "keys", "retire", "credential-hashing-1", database_url=database_url))
    assert told == "No space left on device"
    for _ in range(2):
        listed = run(data_dir, "keys", "list", database_url=database_url)
        assert listed.exit_code == 0, listed.output
        retired = run(data_dir, "keys", "retire", "credential-hashing-1", database_url=database_url)
    assert "credential-hashing-1" not in key_file(data_dir).read_text()
    assert "was retired before" in retired.output
    assert [type_ for type_, _ in events(database_url)] == ["server_key.added", "server_key.retired"]


# ---------------------------------------------------------------- by the command


def test_all_keys_rotate_at_once(data_dir: Path, database_url: str) -> None:
    settings = {"database_url": database_url}
    rotated = run(data_dir, "keys", "rotate", "--purpose", "all", **settings)
    assert rotated.exit_code == 0, rotated.output
    keys = {key["kid"]: key for key in json.loads(key_file(data_dir).read_bytes())["keys"]}
    assert list(keys) == [*EVERY, *(f"{purpose}-2" for purpose in PURPOSES)]
    assert len({keys[f"{purpose}-2"]["nbf"] for purpose in PURPOSES}) == 1
    assert [key_id for key_id, key in keys.items() if "exp" in key] == ["token-signing-1"]
    told = rotated.stdout.splitlines()
    assert [line.split()[0] for line in told[:-1]] == [*(f"{purpose}-2" for purpose in PURPOSES), *EVERY]
    assert told[4] == (
        "credential-hashing-1 checks what was made with it. `sealkey keys list` shows what needs it still."
    )
    again = error_of(run(data_dir, "keys", "rotate", "--purpose", "sealing", **settings))
    takes_over = write_instant(datetime.fromtimestamp(keys["sealing-2"]["nbf"], UTC))
    assert again == f"sealing-2 was added before and does not seal yet: wait until {takes_over}."
    kept = error_of(run(data_dir, "keys", "retire", "sealing-1", **settings))
    assert kept == f"sealing-1 is in use: sealing-2 takes over at {takes_over}, and it can retire after that."
    leaked = run(data_dir, "keys", "rotate", "--purpose", "sealing", "--compromised", "--lead", "5", **settings)
    assert leaked.exit_code == 0
    keys = {key["kid"]: key for key in json.loads(key_file(data_dir).read_bytes())["keys"]}
    assert keys["sealing-1"]["exp"] == keys["sealing-2"]["exp"] == keys["sealing-3"]["nbf"]


def test_what_a_leak_overtook_before_it_was_in_use_is_not_said_to_come_into_use(
    data_dir: Path, database_url: str
) -> None:
    settings = {"database_url": database_url}
    run(data_dir, "keys", "rotate", "--purpose", "all", **settings)
    run(data_dir, "keys", "rotate", "--purpose", "all", "--compromised", "--lead", "5", **settings)
    keys = read_keyring(key_file(data_dir).read_bytes())
    starts_at = datetime.fromtimestamp(keys.symmetric_keys["sealing-3"].starts_at, UTC)
    at = write_instant(starts_at)
    said = {
        "credential-hashing-1": ("in use, leaked", "checks what was made with it, leaked"),
        "credential-hashing-2": ("checks what was made with it, leaked",) * 2,
        "credential-hashing-3": (f"in use from {at}", f"in use since {at}"),
        "token-signing-2": (f"checks what it signed, is believed until {at}", f"ended {at}"),
    }
    before, after = dict(_states(keys, starts_at - timedelta(seconds=1))), dict(_states(keys, starts_at))
    assert {id_: (before[id_], after[id_]) for id_ in said} == said


def test_keys_for_checkpoints_rotate_too_and_stay(data_dir: Path, database_url: str) -> None:
    settings = {"database_url": database_url}
    assert run(data_dir, "audit", "checkpoint-key", **settings).exit_code == 0
    rotated = run(data_dir, "keys", "rotate", "--purpose", "checkpoint-signing", **settings)
    assert rotated.stdout.startswith("checkpoint-signing-2 signs checkpoints from ")
    listed = run(data_dir, "keys", "list", **settings).stdout
    assert "checkpoint-signing-1    signs checkpoints since " in listed
    assert "checkpoint-signing-2    signs checkpoints from " in listed
    told = error_of(run(data_dir, "keys", "retire", "checkpoint-signing-1", **settings))
    assert told == "checkpoint-signing-1 stays: the checkpoints that it signed are verified with it."


def test_keys_of_a_sealed_file_sign_checkpoints(data_dir: Path, database_url: str) -> None:
    settings = {"database_url": database_url, "keys_passphrase": "a passphrase of some words"}
    assert run(data_dir, "keys", "seal", **settings).exit_code == 0
    assert run(data_dir, "audit", "checkpoint", **settings).exit_code == 0
    assert key_file(data_dir).read_bytes().startswith(b"eyJ")
    assert "checkpoint-signing-1" in run(data_dir, "keys", "list", **settings).stdout


def test_a_key_retires_by_the_command(data_dir: Path, database_url: str) -> None:
    settings = {"database_url": database_url}
    in_use_since_an_hour(data_dir, database_url, Purpose.CREDENTIAL_HASHING)
    give_credential(database_url, "credential-hashing-1")
    refused = error_of(run(data_dir, "keys", "retire", "credential-hashing-1", **settings))
    assert refused.startswith("credential-hashing-1 is needed by 1 credential still, not used since")
    forced = run(data_dir, "keys", "retire", "credential-hashing-1", "--force", **settings)
    assert forced.stdout == "credential-hashing-1 is used no more, and 1 credential revoked.\n"
    listed = run(data_dir, "keys", "list", **settings).stdout
    assert "credential-hashing-1" not in listed
    # Its number is not given again.
    rotated = run(data_dir, "keys", "rotate", "--purpose", "credential-hashing", **settings)
    assert rotated.stdout.startswith("credential-hashing-3 in use from ")
