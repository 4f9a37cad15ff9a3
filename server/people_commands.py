"""`sealkey operator` and `sealkey user`: what whoever runs the server does for people."""

import sys
from collections.abc import Awaitable

import click

from auth.crypto.secret import Secret
from resolvers.caller import Caller
from resolvers.sessions import set_password
from resolvers.users import confirm_operator, create_operator
from server.app import deployed, opened
from server.command import command
from server.settings import Settings, load_settings


@click.group()
def operator() -> None:
    """The provider's own staff."""


@operator.command("create")
@click.option("--email", required=True, help="What the operator will sign in with.")
@click.option("--name", help="How to show the operator.  [default: the address]")
@command
def operator_create(email: str, name: str | None) -> Awaitable[None]:
    """Add an operator. The password is asked for, or read from standard input where that is no terminal."""
    settings, name = load_settings(), name or email
    if sys.stdin.isatty():
        confirm_operator(email=email, display_name=name, password=None)  # before anybody has to type one
    password = _read_password()  # outside of an event loop, which would keep Ctrl+C for itself
    # First, since database and keys may have to be made.
    confirm_operator(email=email, display_name=name, password=password)
    return _create_operator(settings, email, name, password)


async def _create_operator(settings: Settings, email: str, name: str, password: Secret) -> None:
    async with deployed(settings) as deployment:
        caller = Caller(None, None, deployment.clock(), deployment)
        user = await create_operator(caller, email=email, display_name=name, password=password)
    click.echo(f"Operator {user.email} can sign in now, in {settings.database_shown}.")


@click.group()
def user() -> None:
    """The people who sign in, operators and customers."""


@user.command("set-password")
@click.option("--email", required=True, help="Whose.")
@command
def user_set_password(email: str) -> Awaitable[None]:
    """Give somebody who forgot the password a new one. It is asked for, or read from standard input where that is no
    terminal. Ends their sessions."""
    return _set_password(load_settings(), email, _read_password())


async def _set_password(settings: Settings, email: str, password: Secret) -> None:
    async with opened(settings, to_record=True) as deployment:
        caller = Caller(None, None, deployment.clock(), deployment)
        whose = await set_password(caller, email=email, password=password)
    click.echo(f"{whose.email} signs in with the new password from now on. Their sessions have ended.")


def _read_password() -> Secret:
    if sys.stdin.isatty():
        return Secret(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return Secret(sys.stdin.readline().rstrip("\r\n"))
