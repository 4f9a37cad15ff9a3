"""The command line: what it does, and that it fails with one sentence that helps."""

import json
import os
import pty
import re
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest
from click.testing import Result
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat
from pydantic import SecretStr

from auth.crypto.envelopes import seal_cms, seal_jwe
from auth.crypto.keyring import generate_keyring
from schema.api import build_api
from server.cli import main
from server.settings import Settings
from tests.auth.crypto import keys
from tests.support.command import SEALKEY, Serving, environment, error_of, run
from tests.support.rows import Rows
from tests.support.server import FakeClock, RunningServer, running_server

ROOT = Path(__file__).parents[2]
EMAIL = "olga@provider.example"
GOOD = "correct horse battery staple\n"
ANOTHER = "remembered from now on"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Where nothing is yet."""
    return tmp_path / "data"


def create_operator(data_dir: Path, url: str, password: str = GOOD, email: str = EMAIL) -> Result:
    return run(data_dir, "operator", "create", "--email", email, stdin=password, database_url=url)


def sign_in(server: RunningServer, email: str, password: str) -> str:
    """Who is signed in."""
    fields = {"email": email, "password": password}
    payload = server.client().do("signIn", "viewer { role user { displayName } account { name } }", **fields)
    viewer = payload["viewer"]
    return f"{viewer['user']['displayName']}, {viewer['role']} of {viewer['account'] and viewer['account']['name']}"


# ---------------------------------------------------------------- operators


def groups(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from groups(command, *path, name)


@pytest.mark.parametrize("path", [*groups(main)], ids=" ".join)
def test_a_group_tells_of_each_command_what_it_does_to_the_end_of_the_sentence(
    tmp_path: Path, path: tuple[str, ...]
) -> None:
    told = run(tmp_path, *path, "--help").stdout.partition("Commands:\n")[2].splitlines()
    assert told
    assert [line for line in told if line.endswith("...")] == []


def test_an_operator_made_on_the_command_line_signs_in(data_dir: Path, empty_database_url: str) -> None:
    created = create_operator(data_dir, empty_database_url)
    assert created.exit_code == 0
    assert re.fullmatch(
        rf"Operator {EMAIL} can sign in now, in (sqlite:///|postgres://[\w.]+:\d+/)\S+\.\n", created.output
    )
    with running_server(empty_database_url, data_dir, FakeClock()) as server:
        assert sign_in(server, EMAIL, GOOD.rstrip()) == f"{EMAIL}, OPERATOR of None"


@pytest.mark.parametrize(
    ("email", "password", "expected"),
    [
        (EMAIL, "short\n", "A password has 12 to 1024 characters."),
        (EMAIL, "", "A password has 12 to 1024 characters."),
        (EMAIL, "x" * 1025, "A password has 12 to 1024 characters."),
        ("olga", GOOD, "This is not an e-mail address."),
        ("olga", "short", "This is not an e-mail address. A password has 12 to 1024 characters."),
    ],
)
def test_an_operator_with_something_wrong_is_not_made(
    data_dir: Path, database_url: str, email: str, password: str, expected: str
) -> None:
    assert error_of(create_operator(data_dir, database_url, password, email)) == expected
    assert Rows(database_url).execute("SELECT * FROM users") == []


def test_an_address_that_is_wrong_is_told_before_a_password_is_asked_for_and_control_c_ends_that(
    data_dir: Path,
) -> None:
    for email, typed, expected in (("olga", b"", "This is not an e-mail address."), (EMAIL, b"\x03", "Aborted!")):
        pid, terminal = pty.fork()
        if not pid:  # the child, whose terminal it is
            arguments = [str(SEALKEY), "operator", "create", "--email", email]
            os.execve(SEALKEY, arguments, {"PATH": os.defpath, **environment(data_dir)})
        shown = b""
        with suppress(OSError):  # which says that the other side is gone
            while read := os.read(terminal, 1000):
                shown += read
                if shown == b"Password: ":
                    os.write(terminal, typed)
        os.close(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
        assert shown.decode().split("\r\n")[-2].endswith(expected)
    assert not data_dir.exists()


def test_nothing_is_made_for_an_operator_that_can_not_be(data_dir: Path) -> None:
    assert error_of(run(data_dir, "operator", "create", "--email", "olga", stdin=GOOD)).startswith("This is not an")
    assert not data_dir.exists()


def test_it_is_told_in_which_database_an_operator_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = run(Path("here"), "operator", "create", "--email", EMAIL, stdin=GOOD).output
    assert told == f"Operator {EMAIL} can sign in now, in sqlite://{tmp_path}/here/sealkey.sqlite3.\n"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://olga:hunter2@db.example:5432/sealkey", "postgres://db.example:5432/sealkey"),
        ("postgres://olga:hunter2@one:1,other:2/sealkey?sslmode=require", "postgres://one:1,other:2/sealkey"),
        ("postgres://db.example/sealkey?password=hunter2", "postgres://db.example/sealkey"),
        ("postgres://olga:hun/ter2@db.example/sealkey", "the PostgreSQL database"),
        ("postgres://db.example/sealkey?password=hun@ter2", "the PostgreSQL database"),
    ],
)
def test_a_database_is_shown_without_its_password(url: str, shown: str) -> None:
    assert Settings(database_url=SecretStr(url)).database_shown == shown


def test_who_forgot_the_password_is_given_another(data_dir: Path, empty_database_url: str) -> None:
    assert create_operator(data_dir, empty_database_url).exit_code == 0

    def given(email: str, password: str) -> Result:
        arguments = ("user", "set-password", "--email", email)
        return run(data_dir, *arguments, stdin=f"{password}\n", database_url=empty_database_url)

    assert error_of(given("nobody@provider.example", ANOTHER)) == "There is no user with this address."
    assert error_of(given(EMAIL, "short")) == "A password has 12 to 1024 characters."
    told = given(EMAIL, ANOTHER)
    assert (told.exit_code, ANOTHER in told.output) == (0, False)
    with running_server(empty_database_url, data_dir, FakeClock()) as server:
        forgotten = server.client().mutate("signIn", "viewer { role }", email=EMAIL, password=GOOD.strip())
        assert [error["code"] for error in forgotten["userErrors"]] == ["INVALID_CREDENTIALS"]
        assert sign_in(server, EMAIL, ANOTHER) == f"{EMAIL}, OPERATOR of None"


def test_an_address_is_one_operators_only(data_dir: Path, database_url: str) -> None:
    create_operator(data_dir, database_url)
    refused = create_operator(data_dir, database_url, email=EMAIL.upper())
    assert error_of(refused) == "There is a user with this address."
    assert Rows(database_url).execute("SELECT count(*) FROM users") == [(1,)]


# ---------------------------------------------------------------- the demo

SIGN_IN = re.compile(r"^  (operator|administrator|member) +(\S+) +(\S+)$", re.MULTILINE)


def test_the_demo_says_how_to_sign_in_and_again_with_new_passwords(data_dir: Path, empty_database_url: str) -> None:
    outputs = [run(data_dir, "demo", database_url=empty_database_url).output for _ in range(2)]
    first, second = ({email: password for _, email, password in SIGN_IN.findall(output)} for output in outputs)
    assert len(first) == len(second) == 3
    assert not set(first.values()) & set(second.values())
    with running_server(empty_database_url, data_dir, FakeClock()) as server:
        assert {sign_in(server, email, password) for email, password in second.items()} == {
            "Olga Operator, OPERATOR of None",
            "Ada Alder, ADMINISTRATOR of Alder Bank",
            "Max Alder, MEMBER of Alder Bank",
        }
        email, old = next(iter(first.items()))
        assert server.client().refusals("signIn", "sessionToken", email=email, password=old)


def test_the_demo_leaves_a_database_that_is_in_use_alone(data_dir: Path, database_url: str) -> None:
    create_operator(data_dir, database_url)
    rows = Rows(database_url)
    with rows.unchanged():
        refused = run(data_dir, "demo", database_url=database_url)
    assert error_of(refused).startswith("This database is in use: demo data goes into an empty one.")


def test_the_demo_gives_nobody_a_new_password_where_it_can_not_serve(data_dir: Path, empty_database_url: str) -> None:
    told = run(data_dir, "demo", database_url=empty_database_url).output
    _, email, password = SIGN_IN.findall(told)[0]
    with running_server(empty_database_url, data_dir, FakeClock()) as server:
        port = server.url.rpartition(":")[2]
        refused = run(data_dir, "demo", "--serve", "--port", port, database_url=empty_database_url)
        assert error_of(refused).startswith(f"The server could not start on 127.0.0.1:{port}: Address already in use.")
        assert sign_in(server, email, password)


# ---------------------------------------------------------------- schema and database


def test_the_schema_is_printed_as_it_is_committed(data_dir: Path) -> None:
    printed = run(data_dir, "schema").output
    assert printed == (ROOT / "schema/schema.graphql").read_text()
    assert printed.rstrip() == build_api().as_str().rstrip()
    assert not data_dir.exists()


@pytest.mark.parametrize("command", [["schema"], ["audit", "export"]])
def test_who_reads_only_the_beginning_of_what_is_printed_is_told_nothing_else(
    data_dir: Path, command: list[str]
) -> None:
    run(data_dir, "operator", "create", "--email", EMAIL, stdin=GOOD)
    with subprocess.Popen(
        [SEALKEY, *command],
        env={"PATH": os.defpath, **environment(data_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as printing:
        assert printing.stdout
        assert printing.stderr
        printing.stdout.close()
        assert printing.stderr.read() == ""


def test_a_database_is_upgraded_and_again_without_harm(data_dir: Path, empty_database_url: str) -> None:
    for _ in range(2):
        upgraded = run(data_dir, "db", "upgrade", database_url=empty_database_url)
        assert (upgraded.exit_code, upgraded.output) == (0, "The database has the newest schema.\n")
    assert Rows(empty_database_url).execute("SELECT * FROM accounts") == []


def test_without_settings_everything_is_in_the_data_directory(data_dir: Path) -> None:
    run(data_dir, "operator", "create", "--email", EMAIL, stdin=GOOD)
    assert {path.name.partition("-wal")[0].partition("-shm")[0] for path in data_dir.iterdir()} == {
        "sealkey.sqlite3",
        "server-keys.json",
    }


# ---------------------------------------------------------------- decrypt

CONTENT = b"API Key,API Secret\r\nsealkey_key_1,sealkey_secret_2\r\n"
SEAL = {"CMS": seal_cms, "JWE": seal_jwe}


def decrypt(tmp_path: Path, envelope: bytes, pem: str, stdin: str | None = None) -> Result:
    (tmp_path / "ci.enc").write_bytes(envelope)
    (tmp_path / "private.pem").write_text(pem)
    arguments = ("decrypt", str(tmp_path / "ci.enc"), "--key", str(tmp_path / "private.pem"))
    return run(tmp_path / "data", *arguments, stdin=stdin)


@pytest.mark.parametrize("form", SEAL)
def test_an_encrypted_file_is_opened_with_the_private_key(tmp_path: Path, form: str) -> None:
    opened = decrypt(tmp_path, SEAL[form](CONTENT, keys.recipient()), keys.private_pem())
    assert (opened.exit_code, opened.stdout_bytes) == (0, CONTENT)
    assert not (tmp_path / "data").exists()


def test_a_key_under_a_passphrase_asks_for_it(tmp_path: Path) -> None:
    envelope, pem = seal_cms(CONTENT, keys.recipient()), keys.private_pem(PrivateFormat.PKCS8, keys.PROTECTED)
    opened = decrypt(tmp_path, envelope, pem, stdin=keys.PASSPHRASE.decode() + "\n")
    assert (opened.exit_code, opened.stdout_bytes) == (0, CONTENT)
    refused = decrypt(tmp_path, envelope, pem, stdin="wrong\n")
    assert (refused.exit_code, refused.stdout_bytes) == (1, b"")
    assert error_of(refused).startswith("The passphrase is wrong")
    for nothing in ("", "\n"):
        told = error_of(decrypt(tmp_path, envelope, pem, stdin=nothing))
        assert told.endswith("which is asked for on a terminal, or else read from standard input.")


@pytest.mark.parametrize("form", SEAL)
def test_another_key_opens_nothing(tmp_path: Path, form: str) -> None:
    sealed = SEAL[form](CONTENT, keys.recipient())
    other = keys.private_key(name="Other").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, keys.UNPROTECTED)
    assert "key" in error_of(decrypt(tmp_path, sealed, other.decode()))


@pytest.mark.parametrize("form", SEAL)
def test_an_altered_file_opens_to_nothing(tmp_path: Path, form: str) -> None:
    sealed = bytearray(SEAL[form](CONTENT, keys.recipient()))
    at = len(sealed) * 3 // 4
    sealed[at : at + 1] = b"A" if sealed[at : at + 1] != b"A" else b"B"
    assert "altered" in error_of(decrypt(tmp_path, bytes(sealed), keys.private_pem()))


@pytest.mark.parametrize(
    ("envelope", "pem", "expected"),
    [
        (b"", "private", "The file is neither a CMS envelope in PEM nor a JWE."),
        (b"\0\xff", "private", "The file is neither a CMS envelope in PEM nor a JWE."),
        (b"", "public", "This is a public key. An envelope opens only with the private key."),
        (b"", "none", "This is no private key in PEM, or a damaged one."),
    ],
)
def test_what_is_no_envelope_or_no_private_key_is_told(
    tmp_path: Path, envelope: bytes, pem: str, expected: str
) -> None:
    texts = {"private": keys.private_pem(), "public": keys.spki_pem(keys.public_key()), "none": "none"}
    assert error_of(decrypt(tmp_path, envelope, texts[pem])) == expected


def test_a_file_that_is_not_there_is_a_wrong_use(tmp_path: Path) -> None:
    result = run(tmp_path, "decrypt", str(tmp_path / "ci.enc"), "--key", str(tmp_path / "private.pem"))
    assert result.exit_code == 2
    assert "does not exist" in result.stderr


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "http"),
        ("port", "65536"),
        ("port", "0"),
        ("host", ""),
        ("DATA_DIR", ""),
        ("keys_file", ""),
        ("keys_passphrase_file", ""),
        ("issuer", "https://olga:hunter2@keys.example"),
        ("issuer", "https://keys.example:65536"),
        ("issuer", "https://keys.example:0"),
        ("workers", "0"),
        ("database_pool_size", "1"),
        ("metrics_token", "fifteen letters"),
        ("issuer", "keys.example"),
        ("issuer", "https://keys.example/"),
        ("issuer", "https://keys.example/?a=b"),
        ("key_prefix", "Acme"),
        ("key_prefix", "acme_"),
        ("key_prefix", "a" * 17),
        ("key_prefix", ""),
        ("access_token_seconds", "29"),
        ("session_hours", "0.5"),
        ("invitation_days", "91"),
        ("webhook_allowed_networks", "10.0.0.0/8"),
        ("webhook_allowed_networks", '["10.0.0.1/8"]'),
        ("trusted_proxies", '["nowhere"]'),
        ("oidc_algorithms", "RS256"),
    ],
)
def test_a_setting_that_is_wrong_is_named_and_its_value_is_not_repeated(data_dir: Path, name: str, value: str) -> None:
    told = error_of(run(data_dir, "operator", "create", "--email", EMAIL, stdin=GOOD, **{name: value}))
    assert f"SEALKEY_{name.upper()}: " in told
    assert len(value) < 5 or value not in told
    assert "pattern" not in told
    assert not data_dir.exists()


def test_a_setting_that_is_wrong_is_named_where_it_was_written(data_dir: Path, tmp_path: Path) -> None:
    config = tmp_path / "sealkey.toml"
    config.write_text("port = 99999\nsession_hours = 0\nworkers = 0\n")
    told = error_of(run(data_dir, "serve", "--port", "99999", config_file=str(config), session_hours="0"))
    assert [each.partition(": In")[0] for each in told.split("; ")] == [
        "--port",
        f"{config}: workers",
        "SEALKEY_SESSION_HOURS",
    ]


def test_all_wrong_settings_are_told_at_once(data_dir: Path) -> None:
    told = error_of(run(data_dir, "db", "upgrade", port="x", workers="x"))
    assert ("SEALKEY_PORT" in told, "SEALKEY_WORKERS" in told) == (True, True)


def test_a_list_that_is_wrong_is_told_with_one_that_is_right(data_dir: Path) -> None:
    told = error_of(run(data_dir, "db", "upgrade", trusted_proxies="10.0.0.0/8"))
    assert told == 'SEALKEY_TRUSTED_PROXIES: a list is written in JSON, as ["first", "second"].'
    told = error_of(run(data_dir, "db", "upgrade", trusted_proxies='["10.0.0.1/8"]'))
    assert told == 'SEALKEY_TRUSTED_PROXIES: Networks are written without host bits, as ["10.0.0.0/8"]'


@pytest.mark.parametrize("url", ["mysql://root:hunter2@localhost/db", "hunter2", "postgresql+hunter2://"])
def test_another_kind_of_database_is_refused_without_repeating_its_url(data_dir: Path, url: str) -> None:
    told = error_of(run(data_dir, "db", "upgrade", database_url=url))
    assert told == "SEALKEY_DATABASE_URL must begin with sqlite:// or postgres://."


def test_a_database_that_does_not_answer_is_told_in_a_sentence(data_dir: Path) -> None:
    url = "postgres://olga:hunter2@127.0.0.1:1/sealkey"
    told = error_of(run(data_dir, "db", "upgrade", database_url=url))
    assert told.startswith("The database at 127.0.0.1:1 can't be used: ")
    assert "hunter2" not in told
    several = "postgresql://olga:hunter2@127.0.0.1:1,nowhere.invalid:2/sealkey"
    told = error_of(run(data_dir, "db", "upgrade", database_url=several))
    assert told.startswith("The database at 127.0.0.1:1, nowhere.invalid:2 can't be used: ")
    assert ("olga" in told, "hunter2" in told) == (False, False)


@pytest.mark.engine("postgres")
@pytest.mark.parametrize("wrong", ["password", "database"])
def test_a_database_that_does_not_let_the_server_in_is_told_in_a_sentence(
    data_dir: Path, database_url: str, wrong: str
) -> None:
    user, at, rest = database_url.removeprefix("postgres://").partition("@")
    url = f"postgres://{user}hunter2{at}{rest}" if wrong == "password" else f"{database_url}_hunter2"
    told = error_of(run(data_dir, "db", "upgrade", database_url=url))
    assert "database" in told


def test_a_file_that_is_no_database_is_told_in_a_sentence(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "sealkey.sqlite3").write_text("no database at all, " * 1000)
    assert "database" in error_of(run(data_dir, "db", "upgrade"))


def test_a_data_directory_that_can_not_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "data", tmp_path / "file"):
        told = error_of(run(place, "db", "upgrade"))
        assert told.startswith(f"{place} can't be the directory of the database: ")
        assert "SEALKEY_DATA_DIR" in told


def test_settings_come_from_a_file_and_the_environment_wins(data_dir: Path, tmp_path: Path) -> None:
    config = tmp_path / "sealkey.toml"
    config.write_text('port = "http"\nworkers = 0\n')
    told = error_of(run(data_dir, "db", "upgrade", config_file=str(config), workers="1"))
    assert (f"{config}: port: " in told, "workers" in told.lower()) == (True, False)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "which is not there."),
        ("port 80", "is not a TOML file: look at line 1."),
        ("\udcff", "is not a TOML file."),
        ('password = "hunter2"', "sealkey.toml: password: There is no such setting"),
    ],
    ids=["none", "no TOML", "no text", "an unknown setting"],
)
def test_a_wrong_settings_file_is_told_without_repeating_what_is_in_it(
    data_dir: Path, tmp_path: Path, content: str | None, expected: str
) -> None:
    config = tmp_path / "sealkey.toml"
    if content is not None:
        config.write_bytes(content.encode(errors="surrogateescape"))
    told = error_of(run(data_dir, "db", "upgrade", config_file=str(config)))
    assert expected in told
    assert "hunter2" not in told


# ---------------------------------------------------------------- the server's keys

OTHER_KEYS = re.compile(
    r"the keys are another deployment's: the database was set up with others; give the server the keys it had"
)


def test_the_keys_are_made_on_first_start_and_nobody_else_can_read_them(data_dir: Path, database_url: str) -> None:
    create_operator(data_dir, database_url)
    file = data_dir / "server-keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    held = json.loads(file.read_text())["keys"]
    kids = ["credential-hashing-1", "audit-hashing-1", "sealing-1", "token-signing-1"]
    assert [key["kid"] for key in held] == kids
    before = file.read_bytes()
    create_operator(data_dir, database_url, email="otto@provider.example")
    assert file.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620])
def test_keys_that_others_can_read_or_change_are_refused(data_dir: Path, database_url: str, mode: int) -> None:
    create_operator(data_dir, database_url)
    file = data_dir / "server-keys.json"
    file.chmod(mode)
    told = error_of(create_operator(data_dir, database_url, email="otto@provider.example"))
    assert f"chmod 600 {file}" in told


def test_keys_of_another_database_are_noticed_at_once(data_dir: Path, database_url: str) -> None:
    create_operator(data_dir, database_url)
    arguments = ("operator", "create", "--email", "otto@provider.example")
    others = generate_keyring().decode()
    told = error_of(run(data_dir, *arguments, stdin=GOOD, database_url=database_url, keys=others))
    assert OTHER_KEYS.fullmatch(told)
    assert Rows(database_url).execute("SELECT count(*) FROM users") == [(1,)]


def test_the_keys_may_be_in_the_environment_or_in_another_file(
    data_dir: Path, tmp_path: Path, database_url: str
) -> None:
    create_operator(data_dir, database_url)
    content = (data_dir / "server-keys.json").read_text()
    elsewhere = tmp_path / "keys.json"
    (data_dir / "server-keys.json").rename(elsewhere)
    for number, settings in enumerate(({"keys": content}, {"keys_file": str(elsewhere)})):
        email = f"otto{number}@provider.example"
        arguments = ("operator", "create", "--email", email)
        created = run(data_dir, *arguments, stdin=GOOD, database_url=database_url, **settings)
        assert created.exit_code == 0
    assert not (data_dir / "server-keys.json").exists()


def test_damaged_keys_are_told_without_repeating_them(data_dir: Path, database_url: str) -> None:
    content = generate_keyring().decode()
    settings = {"database_url": database_url, "keys": content[:-9]}
    told = error_of(run(data_dir, "operator", "create", "--email", EMAIL, stdin=GOOD, **settings))
    assert told == "the key file is not a JWK Set as Sealkey writes it"


# ---------------------------------------------------------------- serving


def test_a_server_with_the_wrong_keys_does_not_start_and_says_why(data_dir: Path, database_url: str) -> None:
    create_operator(data_dir, database_url)
    with Serving(data_dir, database_url=database_url, keys=generate_keyring().decode()) as server:
        status, errors = server.failure()
    assert status == 1
    assert OTHER_KEYS.fullmatch(errors.removeprefix("Error: ").rstrip("\n"))


def test_an_address_that_nobody_has_is_not_told_to_want_another_port(data_dir: Path) -> None:
    told = error_of(run(data_dir, "demo", "--serve", "--host", "nowhere.invalid"))
    assert told.startswith("The server could not start on nowhere.invalid:8000: ")
    assert told.endswith(". Another address: --host.")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_does_not_start_where_another_one_listens(data_dir: Path, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with Serving(data_dir, "--port", str(port), workers=workers) as server:
            status, errors = server.failure()
    assert (status, server.output) == (1, "")
    logged, told = errors.splitlines()
    assert "address already in use" in json.loads(logged)["event"].lower()
    assert told == f"Error: The server could not start on 127.0.0.1:{port}; see above for why."


def test_what_may_not_be_meant_is_warned_of_at_start_and_no_value_told(data_dir: Path, tmp_path: Path) -> None:
    run(data_dir, "db", "upgrade")
    Rows(f"sqlite://{data_dir}/sealkey.sqlite3").execute(
        "INSERT INTO tortoise_migrations (app, name, applied_at) VALUES ('models', 'm9999_future', '2026-01-01')"
    )
    config, port = tmp_path / "sealkey.toml", 0
    config.write_text('metrics_token = "hunter2hunter2hunter2"\n')
    config.chmod(0o644)
    host = "0.0.0.0"
    variables = {"SEALKEY_DATA_BASE_URL": "postgres://olga:hunter2@db/sealkey", "SEALKEY_COLOUR": "hunter2"}
    with socket.create_server((host, 0)) as other:  # so that it ends by itself
        port = other.getsockname()[1]
        with Serving(data_dir, "--port", str(port), host=host, config_file=str(config), variables=variables) as server:
            _, errors = server.failure()
    lines = [json.loads(line) for line in errors.splitlines() if '"warning"' in line]
    assert [line.get("reason") or line["migrations"] for line in lines] == [
        "SEALKEY_COLOUR is no setting and has no effect.",
        "SEALKEY_DATA_BASE_URL is no setting and has no effect. Is SEALKEY_DATABASE_URL meant?",
        f"Everybody can read {config}, which has secrets in it: chmod o= {config}",
        f"SEALKEY_ISSUER is not set, so access tokens and metadata name http://{host}:{port}, where no client finds "
        "this server: set it to the public address before the first token is made.",
        ["m9999_future"],
    ]
    assert "hunter2" not in errors
    told = run(data_dir, "db", "upgrade").output
    assert told == "The database has a newer schema than this version of Sealkey knows: m9999_future.\n"


def test_a_passphrase_that_others_can_read_is_refused_but_where_it_was_mounted(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "passphrase"
    file.write_text("correct horse battery staple")
    for mode in (0o640, 0o604):
        file.chmod(mode)
        told = error_of(run(data_dir, "db", "upgrade", keys_passphrase_file=str(file)))
        assert told == f"{file}: others can read it; make it yours alone: chmod 600 {file}"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert run(data_dir, "db", "upgrade", keys_passphrase_file=str(file)).exit_code == 0
