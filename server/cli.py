"""The command line."""

import asyncio
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import uvicorn

from auth.crypto.envelopes import PrivateKeyUnreadable, open_envelope, read_private_key
from auth.crypto.key_sealing import Sealing, Unsealed
from auth.crypto.keyring import Purpose, read_keyring
from auth.crypto.keyring_file import locked_keyring, read_keyring_file, replace_keyring
from auth.crypto.secret import Secret
from models import database
from models.instants import system_clock
from models.newer_schema import unknown_migrations
from models.sqlite_file import back_up, look_for_damage, problems
from models.user import Role
from resolvers.caller import Caller
from resolvers.key_changes import KeyFile, RotationRefused, retire_key, rotate_keys
from resolvers.users import confirm_operator, create_operator
from resolvers.wording import counted
from schema.api import build_api
from server.app import GRAPHIQL_DIST, api_for, create_app, deployed, given_keyring
from server.audit_commands import audit
from server.command import command
from server.demo import Person, prepare_demo
from server.doubts import tell_doubts
from server.key_words import describe_keys, describe_rotation
from server.listening import listen_more_often
from server.logs import configure_logs, log
from server.settings import Settings, load_settings, under_passphrase
from server.supervisor import serve_with_workers
from server.tracing import tracing_asked_for
from server.wire_protocol import WEBSOCKETS, WireProtocol


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sealkey")
def main() -> None:
    """Sealkey: a GraphQL server for API credentials.

    Settings come from the environment as SEALKEY_*, or from the TOML file that SEALKEY_CONFIG_FILE names.
    """


@main.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on.  [default: 8000]")
@click.option("--workers", type=int, help="Processes to serve with.  [default: 1]")
@command
def serve(host: str | None, port: int | None, workers: int | None) -> None:
    """Serve the API. Upgrades the database first."""
    settings = load_settings(host=host, port=port, workers=workers)
    unknown = asyncio.run(_confirm(settings))
    configure_logs(settings.log_level, settings.log_format)
    tell_doubts(settings)
    if unknown:
        log.warning("newer_schema", migrations=unknown)
    if settings.workers == 1:
        _serve_here(settings, _say_where)
    else:
        _serve_with_workers(settings)


@main.group()
def operator() -> None:
    """The provider's own staff."""


@operator.command("create")
@click.option("--email", required=True, help="What the operator will sign in with.")
@click.option("--name", help="How to show the operator.  [default: the address]")
@command
async def operator_create(email: str, name: str | None) -> None:
    """Add an operator. The password is asked for, or read from standard input where that is no terminal."""
    settings, password = load_settings(), _read_password()
    # First, since database and keys may have to be made.
    confirm_operator(email=email, display_name=name or email, password=password)
    async with deployed(settings) as deployment:
        caller = Caller(None, None, deployment.clock(), deployment)
        user = await create_operator(caller, email=email, display_name=name or email, password=password)
    click.echo(f"Operator {user.email} can sign in now, in {settings.database_shown}.")


@main.command()
@click.option("--serve", "then_serve", is_flag=True, help="Serve afterwards, and say how to sign in last.")
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on.  [default: 8000]")
@command
def demo(then_serve: bool, host: str | None, port: int | None) -> None:
    """Fill an empty database with two accounts to play with, and say how to sign in."""
    settings = load_settings(host=host, port=port)
    if then_serve:
        _refuse_an_address_in_use(settings)  # before people get passwords that nobody would be told
    people = asyncio.run(_prepare_demo(settings))
    if then_serve:
        configure_logs(settings.log_level, settings.log_format)
        _serve_here(settings, lambda settings: _say_how_to_sign_in(settings, people))
    else:
        _say_how_to_sign_in(settings, people)


@main.group()
def db() -> None:
    """The database."""


@db.command()
@command
async def upgrade() -> None:
    """Bring the database to the newest schema."""
    async with database.connected(load_settings().database):
        await database.upgrade()
        unknown = await unknown_migrations()
    if unknown:
        click.echo(f"The database has a newer schema than this version of Sealkey knows: {', '.join(unknown)}.")
    else:
        click.echo("The database has the newest schema.")


@db.command("backup")
@click.argument("copy", metavar="FILE", type=click.Path(path_type=Path))
@command
def db_backup(copy: Path) -> None:
    """Copy a SQLite database to a new file, while servers use it."""
    settings = load_settings()
    file = _sqlite_file(settings, "pg_dump --format=custom")
    with click.progressbar(length=1, label="Copying", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

        def tell(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)
            if done == total and not bar.hidden:
                click.echo("\nLooking for damage in the copy.", err=True)

        back_up(file, copy, tell)
    click.echo(f"{copy} is a sound copy of the database.")
    where = "SEALKEY_KEYS" if settings.keys is not None else str(settings.keys_path)
    click.echo(f"Keep the server's keys ({where}) too, elsewhere: without them no credential in it can be checked.")


@db.command("check")
@command
def db_check() -> None:
    """Look through all of a SQLite database for damage, while servers use it."""
    file = _sqlite_file(load_settings(), "pg_amcheck")
    found = list(problems(file))
    for problem in found:
        click.echo(problem, err=True)
    if found:
        raise database.DatabaseUnusable(f"{file} is damaged. Put a backup in its place, and keep the file.")
    click.echo("The database is sound.")


def _sqlite_file(settings: Settings, instead: str) -> Path:
    file = database.file_of(settings.database)
    if file is None:
        raise database.DatabaseUnusable(f"This is for SQLite. The database is PostgreSQL: use its own {instead}.")
    if not file.is_file():
        raise database.DatabaseUnusable(f"There is no database {file}.")
    return file


@main.group()
def keys() -> None:
    """The server's own keys."""


@keys.command("list")
@command
async def keys_list() -> None:
    """Show which keys there are, what they are good for now, and what needs them still."""
    settings = load_settings()
    keyring = given_keyring(settings) if settings.keys else read_keyring_file(settings.keys_path, settings.key_sealing)
    async with database.connected(settings.database):
        await database.upgrade()
        for key_id, state in await describe_keys(keyring, system_clock()):
            click.echo(f"{key_id:24}{state}")


_PURPOSES: dict[str, list[Purpose]] = {
    "all": list(Purpose),
    "signing": [Purpose.TOKEN_SIGNING],
    **{purpose.value: [purpose] for purpose in Purpose},
}


@keys.command("rotate")
@click.option(
    "--purpose",
    type=click.Choice(list(_PURPOSES)),
    default="signing",
    show_default=True,
    help="Which key: signing, or token-signing, is the one for access tokens.",
)
@click.option(
    "--lead",
    type=click.IntRange(5, 7 * 86_400),
    default=900,
    show_default=True,
    metavar="SECONDS",
    help="When the new key comes into use: by then every server and everybody who keeps the JWKS must know it.",
)
@click.option(
    "--compromised",
    is_flag=True,
    help="After a leak: the older signing keys end when the new one starts, and with them the tokens that they signed.",
)
@command
async def keys_rotate(purpose: str, lead: int, compromised: bool) -> None:
    """Add a new key in the place of the newest. Servers that share the key file take it without a restart."""
    settings = load_settings()
    file = _file_to_change(settings, f"rotate --purpose {purpose}")
    async with deployed(settings) as deployment:
        caller = Caller(None, None, deployment.clock(), deployment)
        rotation = await rotate_keys(
            caller, file, _PURPOSES[purpose], starts_in=timedelta(seconds=lead), drops_older=compromised
        )
    for line in describe_rotation(rotation, deployment.clock()):
        click.echo(line)
    click.echo(f"Servers that read {file.path} take it by themselves; give the others a copy before it is in use.")


@keys.command("retire")
@click.argument("key_id")
@click.option(
    "--force",
    is_flag=True,
    help="A hashing key that leaked: revokes the credentials that are hashed under it still. A key that was lost: does "
    "without it, and what only it could check or open.",
)
@command
async def keys_retire(key_id: str, force: bool) -> None:
    """Take a key that nothing needs any more out of use, and out of the file."""
    settings = load_settings()
    file = _file_to_change(settings, f"retire {key_id}")
    async with deployed(settings, some_keys_lost=force) as deployment:
        caller = Caller(None, None, deployment.clock(), deployment)
        revoked = await retire_key(caller, file, key_id, forced=force)
    too = f", and {counted(revoked, 'credential')} revoked" if revoked else ""
    click.echo(f"{key_id} is used no more{too}.")


@keys.command("seal")
@click.option(
    "--new-passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Seal under the passphrase in this file, in the place of what the settings say.",
)
@command
def keys_seal(new_passphrase_file: Path | None) -> None:
    """Seal the key file, or seal it again, as SEALKEY_KEYS_PASSPHRASE or SEALKEY_KEYS_SEAL_COMMAND say."""
    settings = load_settings()
    sealing = under_passphrase(new_passphrase_file) if new_passphrase_file else settings.key_sealing
    if isinstance(sealing, Unsealed):
        raise RotationRefused(
            "Set SEALKEY_KEYS_PASSPHRASE, SEALKEY_KEYS_PASSPHRASE_FILE or SEALKEY_KEYS_UNSEAL_COMMAND with "
            "SEALKEY_KEYS_SEAL_COMMAND first, for the servers too: what is sealed they open by these."
        )
    _write_again(_file_to_change(settings, "seal"), sealing)
    click.echo(f"{settings.keys_path} is sealed.")


@keys.command("unseal")
@command
def keys_unseal() -> None:
    """Write the key file open again."""
    settings = load_settings()
    _write_again(_file_to_change(settings, "unseal"), Unsealed())
    click.echo(f"{settings.keys_path} is not sealed: whoever can read it has the keys.")


def _write_again(file: KeyFile, sealing: Sealing) -> None:
    with locked_keyring(file.path, file.sealing) as data:
        read_keyring(data)
        replace_keyring(file.path, data, sealing)


def _file_to_change(settings: Settings, change: str) -> KeyFile:
    """The key file, which must be there: a new one would be another deployment's. Raises RotationRefused and
    KeyringUnreadable."""
    if settings.keys is not None:
        raise RotationRefused(
            "The keys come from SEALKEY_KEYS, which this command can't write. Save them in a file (mode 600), run "
            f"`sealkey keys {change}` with SEALKEY_KEYS_FILE in the place of SEALKEY_KEYS, and start each server again "
            "with what the file holds then, before a new key is in use: --lead says when."
        )
    read_keyring_file(settings.keys_path, settings.key_sealing)
    return KeyFile(settings.keys_path, settings.key_sealing)


main.add_command(audit)


@main.command("schema")
@command
def print_schema() -> None:
    """Print the API's schema (SDL)."""
    click.echo(build_api().as_str())


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--key", "key_file", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help="PEM."
)
@command
def decrypt(file: Path, key_file: Path) -> None:
    """Open an encrypted file (CMS or JWE) with the private key it was made for; prints what is in it."""
    pem = key_file.read_bytes()
    try:
        key = read_private_key(pem, None)
    except PrivateKeyUnreadable:
        if b"ENCRYPTED" not in pem:
            raise
        key = read_private_key(pem, click.prompt("Passphrase", hide_input=True, err=True).encode())
    sys.stdout.buffer.write(open_envelope(file.read_bytes(), key))
    sys.stdout.flush()


class _Server(uvicorn.Server):
    """Says something once it listens."""

    def __init__(self, config: uvicorn.Config, say: Callable[[], None]) -> None:
        super().__init__(config)
        self._say = say

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            await listen_more_often(self)
            self._say()


def _serve_here(settings: Settings, say: Callable[[Settings], None]) -> None:
    server = _Server(uvicorn.Config(create_app(settings), **_uvicorn(settings)), lambda: say(settings))
    with suppress(SystemExit):  # with which uvicorn says that it could not
        server.run()
    _confirm_started(settings, server.started)


def _refuse_an_address_in_use(settings: Settings) -> None:
    """Raises ClickException where nothing could listen."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does
            listener.bind(address)
    except OSError as error:
        raise click.ClickException(
            f"The server could not start on {settings.host}:{settings.port}: {error.strerror}. "
            "Another port: --port 9000, or make run PORT=9000."
        ) from None


def _serve_with_workers(settings: Settings) -> None:
    """Workers are processes that read the settings themselves; here are only the address and their number."""
    app = "server.app:create_app_from_environment"
    config = uvicorn.Config(app, factory=True, workers=settings.workers, **_uvicorn(settings))
    _confirm_started(settings, serve_with_workers(config, lambda: _say_where(settings)))


def _confirm_started(settings: Settings, has_started: bool) -> None:
    if not has_started:
        raise click.ClickException(f"The server could not start on {settings.host}:{settings.port}; see above for why.")


def _uvicorn(settings: Settings) -> dict[str, Any]:
    return {
        "host": settings.host,
        "port": settings.port,
        "http": WireProtocol,
        **WEBSOCKETS,
        "log_config": None,  # configure_logs has set up its loggers
        "log_level": "warning",
        "access_log": False,
        # A client's address is the socket's; headers that claim another are not believed.
        "proxy_headers": False,
        "server_header": False,
        "timeout_graceful_shutdown": settings.shutdown_seconds,
    }


async def _confirm(settings: Settings) -> Sequence[str]:
    """Upgrades the database and confirms the keys before anything listens, where what is wrong is one sentence. Answers
    the migrations of later versions that the database has."""
    if tracing := tracing_asked_for():
        tracing.close()
    api_for(settings)
    _look_for_damage(settings)
    async with deployed(settings):
        return await unknown_migrations()


def _look_for_damage(settings: Settings) -> None:
    """What is damaged is not served from: a wrong answer is worse than none."""
    file = database.file_of(settings.database)
    if file is not None and file.is_file() and settings.sqlite_check_seconds:
        look_for_damage(file, settings.sqlite_check_seconds)


async def _prepare_demo(settings: Settings) -> list[Person]:
    _look_for_damage(settings)
    async with deployed(settings) as deployment:
        return await prepare_demo(deployment)


def _read_password() -> Secret:
    if sys.stdin.isatty():
        return Secret(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return Secret(sys.stdin.readline().rstrip("\r\n"))


def _say_where(settings: Settings) -> None:
    click.echo(f"Sealkey is serving GraphQL at {settings.address}/graphql")
    _say_graphiql(settings)


def _say_graphiql(settings: Settings) -> None:
    if (GRAPHIQL_DIST / "index.html").exists():
        click.echo(f"GraphiQL:      {settings.address}/graphiql")
    else:
        click.echo("GraphiQL:      not built; `make graphiql` builds it, with Node 20 or newer")


def _say_how_to_sign_in(settings: Settings, people: list[Person]) -> None:
    click.echo()
    click.echo(f"GraphQL:       {settings.address}/graphql")
    _say_graphiql(settings)
    click.echo("Sign in as (the passwords were made this moment and are shown this once):")
    for role in (Role.OPERATOR, Role.ADMINISTRATOR, Role.MEMBER):
        person = next(person for person in people if person.role is role)
        click.echo(f"  {role.value.lower():15}{person.email:27}{person.password.reveal()}")
