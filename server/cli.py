"""The command line."""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import click
import uvicorn

from auth.crypto.envelopes import EnvelopeUnreadable, PrivateKeyUnreadable, open_envelope, read_private_key
from auth.crypto.keyring import Keyring, KeyringUnreadable, Purpose, read_keyring, version_of
from auth.crypto.keyring_file import read_keyring_file
from auth.crypto.secret import Secret
from models import database
from models.instants import system_clock, write_instant
from models.user import Role
from resolvers.caller import Caller
from resolvers.errors import Refused
from resolvers.server_keys import RotationRefused, rotate_signing
from resolvers.users import create_operator
from schema.api import build_api
from schema.manifest import ManifestUnusable
from server.app import GRAPHIQL_DIST, api_for, create_app, deployed
from server.demo import DemoRefused, Person, prepare_demo
from server.listening import listen_more_often
from server.logs import configure_logs
from server.settings import Settings, SettingsUnusable, load_settings
from server.supervisor import serve_with_workers
from server.tracing import TracingUnusable, tracing_asked_for
from server.wire_protocol import WEBSOCKETS, WireProtocol

Arguments = ParamSpec("Arguments")

_EXPECTED = (
    SettingsUnusable,
    database.DatabaseUnusable,
    KeyringUnreadable,
    DemoRefused,
    EnvelopeUnreadable,
    PrivateKeyUnreadable,
    RotationRefused,
    ManifestUnusable,
    TracingUnusable,
)


def command(function: Callable[Arguments, Awaitable[None] | None]) -> Callable[Arguments, None]:
    """Runs a command; what can be expected to go wrong becomes one sentence and exit status 1, no traceback."""

    @wraps(function)
    def run(*arguments: Arguments.args, **named: Arguments.kwargs) -> None:
        try:
            result = function(*arguments, **named)
            if result is not None:
                asyncio.run(_awaited(result))
        except _EXPECTED as error:
            raise click.ClickException(str(error)) from None
        except Refused as refused:
            raise click.ClickException(" ".join(refusal.message for refusal in refused.refusals)) from None
        except UnicodeError:
            raise click.ClickException("What was read is not text in UTF-8.") from None
        except OSError as error:
            text = error.strerror or type(error).__name__
            raise click.ClickException(f"{text}: {error.filename}" if error.filename else text) from None

    return run


async def _awaited(result: Awaitable[None]) -> None:
    await result


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
    asyncio.run(_confirm(settings))
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
    password = _read_password()
    async with deployed(load_settings()) as deployment:
        caller = Caller(None, None, deployment.clock(), deployment)
        user = await create_operator(caller, email=email, display_name=name or email, password=password)
    click.echo(f"Operator {user.email} can sign in now.")


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
    await database.migrate(load_settings().database)
    click.echo("The database has the newest schema.")


@main.group()
def keys() -> None:
    """The server's own keys."""


@keys.command("list")
@command
def keys_list() -> None:
    """Show which keys there are and what they are good for now."""
    settings = load_settings()
    if settings.keys is not None:
        keyring = read_keyring(settings.keys.get_secret_value().encode())
    else:
        keyring = read_keyring_file(settings.keys_path)
    for key_id, state in _key_states(keyring, system_clock()):
        click.echo(f"{key_id:24}{state}")


@keys.command("rotate")
@click.option(
    "--purpose",
    type=click.Choice(["signing"]),
    default="signing",
    show_default=True,
    help="Which key: signing is the one for access tokens.",
)
@click.option(
    "--lead",
    type=click.IntRange(5, 7 * 86_400),
    default=900,
    show_default=True,
    metavar="SECONDS",
    help="When the new key starts to sign: by then every server and everybody who keeps the JWKS must know it.",
)
@click.option(
    "--compromised",
    is_flag=True,
    help="After a leak: the older keys end when the new one starts, and with them the tokens that they signed.",
)
@command
async def keys_rotate(purpose: str, lead: int, compromised: bool) -> None:
    """Add a new key in the place of the newest. Servers that share the key file take it without a restart."""
    settings = load_settings()
    if settings.keys is not None:
        raise RotationRefused(
            "The keys come from SEALKEY_KEYS, which this command can't write. Save them in a file (mode 600), rotate "
            f"the {purpose} key there with SEALKEY_KEYS_FILE in the place of SEALKEY_KEYS, and start each server again "
            "with what the file holds then, before the new key signs: --lead says when."
        )
    read_keyring_file(settings.keys_path)  # which must be there: a new one would be another deployment's
    async with deployed(settings) as deployment:
        caller = Caller(None, None, deployment.clock(), deployment)
        rotation = await rotate_signing(
            caller, settings.keys_path, starts_in=timedelta(seconds=lead), drops_older=compromised
        )
    click.echo(f"{rotation.newest.id} signs from {_instant(rotation.newest.starts_at)}.")
    for key in rotation.older:
        click.echo(f"{key.id} is believed until {_instant(key.ends_at or 0)}.")
    click.echo(f"Servers that read {settings.keys_path} take it by themselves; give the others a copy before it signs.")


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
    configure_logs(settings.log_level, settings.log_format)
    server = _Server(uvicorn.Config(create_app(settings), **_uvicorn(settings)), lambda: say(settings))
    with suppress(SystemExit):  # with which uvicorn says that it could not
        server.run()
    if not server.started:
        raise click.ClickException(f"The server could not start on {settings.host}:{settings.port}; see above for why.")


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
    _say_where(settings)
    configure_logs(settings.log_level, settings.log_format)
    app = "server.app:create_app_from_environment"
    serve_with_workers(uvicorn.Config(app, factory=True, workers=settings.workers, **_uvicorn(settings)))


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


async def _confirm(settings: Settings) -> None:
    """Upgrades the database and confirms the keys before anything listens, where what is wrong is one sentence."""
    if tracing := tracing_asked_for():
        tracing.close()
    api_for(settings)
    async with deployed(settings):
        pass


async def _prepare_demo(settings: Settings) -> list[Person]:
    async with deployed(settings) as deployment:
        return await prepare_demo(deployment)


def _read_password() -> Secret:
    if sys.stdin.isatty():
        return Secret(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return Secret(sys.stdin.readline().rstrip("\r\n"))


def _key_states(keyring: Keyring, now: datetime) -> Iterator[tuple[str, str]]:
    for purpose in Purpose:
        ids = [key_id for key_id in keyring.symmetric_keys if version_of(key_id, purpose)]
        for key_id in ids:
            yield key_id, "in use" if key_id == ids[-1] else "checks what was made with it"
    for key in keyring.signing_keys.values():
        if not key.is_believed(now):
            state = f"ended {_instant(key.ends_at or 0)}"
        elif key.starts_at > now.timestamp():
            state = f"signs from {_instant(key.starts_at)}"
        elif key is keyring.signing_key(now):
            state = "signs"
        else:
            state = "checks what it signed"
        until = f", is believed until {_instant(key.ends_at)}" if key.ends_at and key.is_believed(now) else ""
        yield key.id, state + until


def _instant(seconds: int) -> str:
    return write_instant(datetime.fromtimestamp(seconds, UTC))


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
