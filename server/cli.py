"""The command line."""

import asyncio
import errno
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import uvicorn

from auth.crypto.envelopes import PrivateKeyUnreadable, open_envelope, read_private_key
from models import database, migrating
from models.schema_age import unknown_migrations
from models.sqlite_file import back_up, confirm_usable, look_for_damage, problems
from models.user import Role
from schema.api import build_api
from server.app import GRAPHIQL_DIST, api_for, create_app, deployed
from server.audit_commands import audit
from server.command import command
from server.demo import Person, prepare_demo
from server.doubts import tell_doubts
from server.key_commands import keys
from server.listening import listen_more_often
from server.logs import configure_logs, log
from server.people_commands import operator, user
from server.settings import Settings, load_settings
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
    tell_doubts(settings)
    if unknown:
        log.warning("newer_schema", migrations=unknown)
    if settings.workers == 1:
        _serve_here(settings, _say_where)
    else:
        _serve_with_workers(settings)


@main.command()
@click.option("--serve", "then_serve", is_flag=True, help="Serve afterwards, and say how to sign in last.")
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on.  [default: 8000]")
@command
def demo(then_serve: bool, host: str | None, port: int | None) -> None:
    """Fill an empty database with data to play with. Says how to sign in to its two accounts."""
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
        await migrating.upgrade()
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
    """Look for damage in all of a SQLite database. Servers may use it meanwhile."""
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
    database.confirm_there(settings.database)
    return file


main.add_command(operator)
main.add_command(user)
main.add_command(keys)
main.add_command(audit)


@main.command("schema")
@command
def print_schema() -> None:
    """Print the API's schema (SDL)."""
    click.echo(build_api().text)


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--key", "key_file", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help="PEM."
)
@command
def decrypt(file: Path, key_file: Path) -> None:
    """Open an encrypted file with the private key.

    Prints what is in the file, a CMS envelope or a JWE. The key's passphrase, where it has one, is asked for, or read
    from standard input where that is no terminal.
    """
    pem = key_file.read_bytes()
    try:
        key = read_private_key(pem, None)
    except PrivateKeyUnreadable:
        if b"ENCRYPTED" not in pem:
            raise
        key = read_private_key(pem, _read_passphrase())
    sys.stdout.buffer.write(open_envelope(file.read_bytes(), key))
    sys.stdout.flush()


def _read_passphrase() -> bytes:
    if sys.stdin.isatty():
        return str(click.prompt("Passphrase", hide_input=True, err=True)).encode()
    return sys.stdin.readline().rstrip("\r\n").encode()


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
    try:
        with suppress(SystemExit):  # with which uvicorn says that it could not
            server.run()
    except KeyboardInterrupt:  # with which uvicorn ends once it has stopped for it
        if not server.started:
            raise
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
        is_of_port = error.errno in (errno.EADDRINUSE, errno.EACCES)
        remedy = "Another port: --port 9000, or make run PORT=9000." if is_of_port else "Another address: --host."
        raise click.ClickException(
            f"The server could not start on {settings.host}:{settings.port}: {error.strerror}. {remedy}"
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
    configure_logs(settings.log_level, settings.log_format)
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
        confirm_usable(file)  # what may not be opened is not damaged
        look_for_damage(file, settings.sqlite_check_seconds)


async def _prepare_demo(settings: Settings) -> list[Person]:
    _look_for_damage(settings)
    async with deployed(settings) as deployment:
        return await prepare_demo(deployment)


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
