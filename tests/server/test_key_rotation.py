"""Signing keys rotate while servers serve: each token that was issued is believed everywhere until it expires."""

import json
import os
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from auth.crypto.key_sealing import Unsealed
from auth.crypto.keyring import Purpose, add_keys, generate_keyring
from auth.crypto.keyring_file import locked_keyring, replace_keyring
from resolvers.caller import Caller, Deployment
from resolvers.key_changes import KeyFile, rotate_keys
from tests.plugins.play import StartPlay
from tests.support.audit import deployment_events
from tests.support.command import SEALKEY, Serving, environment, error_of, run
from tests.support.deployed import Deployed
from tests.support.logs import recorded_logs
from tests.support.rows import Rows
from tests.support.world import OPERATOR, PASSWORD, Play

ISSUER = "https://keys.provider.example"
OLD, NEW = "token-signing-1", "token-signing-2"


def kid_of(token: str) -> str:
    kid: str = jwt.get_unverified_header(token)["kid"]
    return kid


def published(url: str) -> list[str]:
    return [key["kid"] for key in httpx.get(f"{url}/.well-known/jwks.json").json()["keys"]]


def in_file(data_dir: Path) -> dict[str, dict[str, Any]]:
    return {key["kid"]: key for key in json.loads((data_dir / "server-keys.json").read_text())["keys"]}


# ---------------------------------------------------------------- several processes


def is_right(server: Serving, token: str) -> bool:
    """Whether a token is right by the keys that a server publishes."""
    keys = jwt.PyJWKClient(f"{server.url}/.well-known/jwks.json")
    decoded = jwt.decode(
        token, keys.get_signing_key_from_jwt(token).key, algorithms=["ES256"], options={"verify_aud": False}
    )
    return bool(decoded["jti"])


def test_every_token_is_believed_by_every_process_all_through_a_rotation(
    tmp_path: Path, empty_database_url: str
) -> None:
    data_dir = tmp_path / "data"
    settings = {"database_url": empty_database_url, "issuer": ISSUER, "usage_flush_seconds": "1"}
    with (
        Serving(data_dir, **settings) as one,
        Serving(data_dir, "--workers", "2", **settings) as other,
    ):
        one.wait()
        other.wait()
        wait_until_it_answers(other)
        deployed = Deployed(data_dir, empty_database_url, [one, other])
        tokens = [deployed.login(one)]
        deployed.rotate("--purpose", "all", "--lead", "5")
        give_up_at = time.monotonic() + 60
        newest: set[str] = set()
        while newest != {NEW}:
            assert time.monotonic() < give_up_at, "the new key does not sign"
            made = [deployed.login(server) for server in (one, other, other)]
            newest = {kid_of(token) for token in made}
            tokens += made
            for token in (tokens[0], *made):
                for server in (one, other, other):
                    assert deployed.is_active(server, token)
        assert {kid_of(token) for token in tokens} == {OLD, NEW}
        for server in (one, other, other):
            assert published(server.url) == [OLD, NEW]
            assert is_right(server, tokens[0])
            assert is_right(server, tokens[-1])
        # Each of these logins was a use, and the last ones were after the new keys had started.
        rows = Rows(empty_database_url)
        while rows.execute("SELECT hashing_key_id FROM credentials") != [("credential-hashing-2",)]:
            assert time.monotonic() < give_up_at, "it is not hashed anew"
            deployed.login(one)
        assert all(deployed.is_active(server, deployed.login(server)) for server in (one, other, other))
    assert "keys_not_taken" not in one.errors + other.errors


def wait_until_it_answers(server: Serving) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as patient:
        assert patient.get(f"{server.url}/readyz").text == "ok"


def test_after_a_leak_the_older_keys_and_their_tokens_end_everywhere(tmp_path: Path, empty_database_url: str) -> None:
    with (
        Serving(tmp_path, database_url=empty_database_url, issuer=ISSUER) as one,
        Serving(tmp_path, database_url=empty_database_url, issuer=ISSUER) as other,
    ):
        one.wait()
        other.wait()
        deployed = Deployed(tmp_path, empty_database_url, [one, other])
        stolen = deployed.login(one)
        deployed.rotate("--lead", "5", "--compromised")
        assert all(deployed.is_active(server, stolen) for server in (one, other))
        give_up_at = time.monotonic() + 60
        while any(deployed.is_active(server, stolen) for server in (one, other)):
            assert time.monotonic() < give_up_at, "the token is believed still"
        for server in (one, other):
            assert published(server.url) == [NEW]
            fresh = deployed.login(server)
            assert kid_of(fresh) == NEW
            assert all(deployed.is_active(each, fresh) for each in (one, other))


# ---------------------------------------------------------------- by the clock


def rotate(play: Play, *, starts_in: timedelta = timedelta(minutes=15), drops_older: bool = False) -> None:
    """A rotation by the clock of the play, and the server's look at the file."""
    path = play.server.data_dir / "server-keys.json"

    async def rotate_and_follow(deployment: Deployment) -> None:
        caller = Caller(None, None, deployment.clock(), deployment)
        file = KeyFile(path, Unsealed())
        await rotate_keys(caller, file, [Purpose.TOKEN_SIGNING], starts_in=starts_in, drops_older=drops_older)
        await deployment.keys.follow(caller)

    play.server.run(rotate_and_follow)


def login(play: Play, keys: dict[str, str]) -> str:
    token: str = play.nobody.do("login", "accessToken", **keys)["accessToken"]
    return token


def is_active(play: Play, token: str) -> bool:
    wanted = {"name": "edge", "expiresAt": play.clock.in_(days=1)}
    gateway = play.operator.do("createGatewayToken", "token", **wanted)["token"]
    headers = {"Authorization": f"Bearer {gateway}"}
    answer = httpx.post(f"{play.server.url}/oauth/introspect", data={"token": token}, headers=headers)
    active: bool = answer.json()["active"]
    return active


@pytest.fixture
def day_play(start_play: StartPlay) -> Play:
    """A play whose tokens live for a day, the longest there is."""
    play = start_play(access_token_seconds=86_400)
    play.stay_signed_in()
    return play


def test_a_new_key_is_published_before_it_signs_and_an_old_one_for_as_long_as_its_tokens_live(day_play: Play) -> None:
    play, url = day_play, day_play.server.url
    keys = play.keys()
    rotate(play)
    assert published(url) == [OLD, NEW]
    play.clock.advance(minutes=14, seconds=59)
    last_of_old = login(play, keys)
    assert kid_of(last_of_old) == OLD
    play.clock.advance(seconds=1)
    assert kid_of(login(play, keys)) == NEW
    play.clock.advance(hours=23, minutes=59, seconds=58)
    assert is_active(play, last_of_old)
    assert published(url) == [OLD, NEW]
    play.clock.advance(seconds=1)
    assert not is_active(play, last_of_old)
    assert published(url) == [OLD, NEW]


def test_an_old_key_vanishes_after_its_time_and_the_next_rotation_takes_it_out_of_the_file(day_play: Play) -> None:
    play, url = day_play, day_play.server.url
    rotate(play)
    play.clock.advance(days=1, minutes=20, seconds=-1)
    assert published(url) == [OLD, NEW]
    play.clock.advance(seconds=1)
    assert published(url) == [NEW]
    assert OLD in in_file(play.server.data_dir)
    rotate(play)
    assert published(url) == [NEW, "token-signing-3"]
    assert OLD not in in_file(play.server.data_dir)
    # A server that starts now has never seen the first key, and the database has.
    with Serving(play.server.data_dir, database_url=play.server.database_url) as server:
        server.wait()


def test_a_token_of_a_dropped_key_is_none_even_where_the_key_is_still_in_the_file(day_play: Play) -> None:
    play = day_play
    token = login(play, play.keys())
    rotate(play, starts_in=timedelta(seconds=5), drops_older=True)
    play.clock.advance(seconds=4)
    assert is_active(play, token)
    play.clock.advance(seconds=1)
    assert OLD in in_file(play.server.data_dir)
    assert not is_active(play, token)
    assert published(play.server.url) == [NEW]


def test_nothing_private_is_published(day_play: Play) -> None:
    rotate(day_play)
    for key in httpx.get(f"{day_play.server.url}/.well-known/jwks.json").json()["keys"]:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


def test_a_rotation_is_in_the_audit_log(day_play: Play) -> None:
    rotate(day_play)
    starts_at = day_play.clock.in_(minutes=15)
    told = ("server_key.added", None, None, f"The server key {NEW} was added, to sign from {starts_at}")
    assert deployment_events(day_play)[-1] == told


# ---------------------------------------------------------------- files that are not as they should be


def follow(play: Play, change: Callable[[], None]) -> str:
    """What is logged when the key file was changed and the server looks at it twice, and now and then by itself."""
    with recorded_logs() as logs:
        change()
        for _ in range(2):
            play.server.run(lambda _deployment: play.server.app.state.housekeeping.follow_keys())
    return "".join(line for line in logs.getvalue().splitlines(keepends=True) if "keys_not_taken" in line)


def test_keys_that_can_not_be_used_are_not_taken_which_is_told_once(day_play: Play) -> None:
    play, path = day_play, day_play.server.data_dir / "server-keys.json"
    before, token = path.read_bytes(), login(play, play.keys())
    wrong: dict[str, bytes] = {
        "not a JWK Set": before[:-20],
        "another deployment's": generate_keyring(),
    }
    for told, content in wrong.items():
        logged = follow(play, partial(replace_keyring, path, content))
        assert told in logged
        assert logged.count("keys_not_taken") == 1
        assert ready(play) == "ok\nkeys_unreadable"
        assert is_active(play, token)
    assert "is not there" in follow(play, path.unlink)
    assert not path.exists()
    assert is_active(play, token)
    path.write_bytes(before)
    path.chmod(0o600)
    rotate(play)
    assert published(play.server.url) == [OLD, NEW]
    assert follow(play, lambda: None) == ""
    assert ready(play) == "ok"


def test_a_file_that_was_put_right_where_it_is_is_taken_within_a_minute(day_play: Play) -> None:
    """By a change that leaves neither another file nor another time of writing: its mode."""
    play, path = day_play, day_play.server.data_dir / "server-keys.json"
    assert "chmod 600" in follow(play, lambda: _replace_readable_by_all(path))
    assert follow(play, lambda: path.chmod(0o600)) == ""
    assert ready(play) == "ok\nkeys_unreadable"
    play.clock.advance(minutes=1)
    assert follow(play, lambda: None) == ""
    assert ready(play) == "ok"


def _replace_readable_by_all(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    path.chmod(0o644)


def ready(play: Play) -> str:
    return httpx.get(f"{play.server.url}/readyz").text


def test_a_file_from_before_a_rotation_is_refused_at_start(day_play: Play) -> None:
    play, path = day_play, day_play.server.data_dir / "server-keys.json"
    before = path.read_bytes()
    rotate(play)
    replace_keyring(path, before)
    with Serving(play.server.data_dir, database_url=play.server.database_url) as server:
        status, errors = server.failure()
    assert status == 1
    assert errors.startswith(f"Error: the server key {NEW} is missing, which the database knows since ")


# ---------------------------------------------------------------- the command


@pytest.fixture
def data_dir(tmp_path: Path, database_url: str) -> Path:
    """Where the server's keys and nothing else have been made."""
    path = tmp_path / "data"
    run(path, "operator", "create", "--email", OPERATOR, stdin=PASSWORD, database_url=database_url)
    return path


def instant(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def test_the_keys_are_listed_with_what_they_are_good_for(data_dir: Path, database_url: str) -> None:
    settings = {"database_url": database_url}
    listed = run(data_dir, "keys", "list", **settings)
    assert [line.split(maxsplit=1) for line in listed.stdout.splitlines()] == [
        ["credential-hashing-1", "in use"],
        ["audit-hashing-1", "in use; 1 audit event needs it"],
        ["sealing-1", "in use"],
        [OLD, "signs"],
    ]
    rotated = run(data_dir, "keys", "rotate", **settings)
    keys = in_file(data_dir)
    starts_at, ends_at = (instant(seconds) for seconds in (keys[NEW]["nbf"], keys[OLD]["exp"]))
    assert rotated.stdout.splitlines()[:2] == [f"{NEW} signs from {starts_at}.", f"{OLD} is believed until {ends_at}."]
    assert keys[OLD]["exp"] - keys[NEW]["nbf"] == 86_400 + 300
    assert abs(keys[NEW]["nbf"] - time.time() - 900) < 60
    in_words = [line.split(maxsplit=1) for line in run(data_dir, "keys", "list", **settings).stdout.splitlines()]
    assert in_words[-2:] == [[OLD, f"signs, is believed until {ends_at}"], [NEW, f"signs from {starts_at}"]]
    from_environment = run(data_dir, "keys", "list", keys=(data_dir / "server-keys.json").read_text(), **settings)
    assert [line.split(maxsplit=1) for line in from_environment.stdout.splitlines()] == in_words


def test_nothing_of_a_key_is_printed(data_dir: Path, database_url: str) -> None:
    settings = {"database_url": database_url}
    printed = [run(data_dir, "keys", *words.split(), **settings).output for words in ("list", "rotate", "list")]
    secret = [key.get("k") or key["d"] for key in in_file(data_dir).values()]
    assert not [key for key in secret if key[:8] in "".join(printed)]


def test_a_key_that_waits_is_not_rotated_again_unless_it_leaked_too(data_dir: Path, database_url: str) -> None:
    settings = {"database_url": database_url}
    run(data_dir, "keys", "rotate", **settings)
    before = in_file(data_dir)
    starts_at = instant(before[NEW]["nbf"])
    again = run(data_dir, "keys", "rotate", "--purpose", "signing", **settings)
    assert error_of(again) == f"{NEW} was added before and does not sign yet: wait until {starts_at}."
    assert in_file(data_dir) == before
    assert run(data_dir, "keys", "rotate", "--compromised", "--lead", "5", **settings).exit_code == 0
    keys = in_file(data_dir)
    assert keys[OLD]["exp"] == keys[NEW]["exp"] == keys["token-signing-3"]["nbf"] < before[NEW]["nbf"]


def test_keys_in_the_environment_are_not_rotated_and_what_to_do_is_told(data_dir: Path, database_url: str) -> None:
    content = (data_dir / "server-keys.json").read_text()
    told = error_of(run(data_dir, "keys", "rotate", database_url=database_url, keys=content))
    assert told.startswith("The keys come from SEALKEY_KEYS, which this command can't write. ")
    assert "SEALKEY_KEYS_FILE" in told
    assert (data_dir / "server-keys.json").read_text() == content
    # What is told works: the file holds it, and a server takes what the file holds then.
    elsewhere = data_dir.parent / "saved.json"
    elsewhere.write_text(content)
    elsewhere.chmod(0o600)
    rotated = run(data_dir, "keys", "rotate", database_url=database_url, keys_file=str(elsewhere))
    assert rotated.exit_code == 0
    with Serving(data_dir, database_url=database_url, keys=elsewhere.read_text()) as server:
        assert published(server.wait().url) == [OLD, NEW]


def test_without_keys_none_are_made(tmp_path: Path, database_url: str) -> None:
    for words in (("list",), ("rotate",)):
        told = error_of(run(tmp_path / "data", "keys", *words, database_url=database_url))
        assert "server-keys.json is not there, and no keys were made for this database yet: `sealkey serve`" in told
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_the_file_stays_its_owners_alone(data_dir: Path, database_url: str, mode: int) -> None:
    path = data_dir / "server-keys.json"
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)  # nobody's: the command may be run by another user than the server
    before = path.stat()
    run(data_dir, "keys", "rotate", database_url=database_url)
    after = path.stat()
    assert (stat.S_IMODE(after.st_mode), after.st_uid, after.st_gid) == (mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert len(in_file(data_dir)) == 5


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_rotation_that_breaks_off_leaves_the_file_as_it_was(
    data_dir: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = data_dir / "server-keys.json"
    before = path.read_bytes()
    rows = Rows(database_url)
    events = rows.execute("SELECT count(*) FROM audit_events")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as broken:
        where: tuple[object, str] = {
            "write": (os, "fchmod"),
            "fsync": (os, "fsync"),
            "replace": (Path, "replace"),
        }[call]
        broken.setattr(*where, full)
        told = error_of(run(data_dir, "keys", "rotate", database_url=database_url))
    assert told == f"No space left on device: {path}"
    assert path.read_bytes() == before
    assert [each.name for each in data_dir.iterdir() if "keys" in each.name] == ["server-keys.json"]
    assert rows.execute("SELECT count(*) FROM audit_events") == events


def test_whoever_reads_the_file_during_rotations_finds_it_whole(data_dir: Path, database_url: str) -> None:
    path = data_dir / "server-keys.json"
    seen: set[int] = set()

    def keep_reading(stop: threading.Event) -> None:
        is_last = False
        while not is_last:
            is_last = stop.is_set()
            seen.add(len(json.loads(path.read_bytes())["keys"]))

    stop = threading.Event()
    reader = threading.Thread(target=keep_reading, args=[stop])
    reader.start()
    for _ in range(3):
        run(data_dir, "keys", "rotate", "--compromised", "--lead", "5", database_url=database_url)
    stop.set()
    reader.join(30)
    assert seen <= {4, 5, 6, 7}
    assert 7 in seen


def rotating(data_dir: Path, database_url: str) -> "subprocess.Popen[bytes]":
    """A rotation in a process of its own."""
    return subprocess.Popen(
        [SEALKEY, "keys", "rotate"],
        env={"PATH": os.defpath, **environment(data_dir, database_url=database_url)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_of_many_who_rotate_at_once_one_adds_a_key(data_dir: Path, database_url: str) -> None:
    processes = [rotating(data_dir, database_url) for _ in range(3)]
    assert sorted(process.wait(60) for process in processes) == [0, 1, 1]
    assert len(in_file(data_dir)) == 5


def test_who_rotates_waits_for_who_is_at_it_and_sees_what_they_did(data_dir: Path, database_url: str) -> None:
    path, now = data_dir / "server-keys.json", datetime.now(UTC)
    with locked_keyring(path) as before:
        process = rotating(data_dir, database_url)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        later = now + timedelta(hours=1)
        replace_keyring(path, add_keys(before, [Purpose.TOKEN_SIGNING], now=now, starts_at=later, ends={}))
    assert process.wait(60) == 1
    assert len(in_file(data_dir)) == 5
