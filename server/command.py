"""What all commands have in common."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec

import click

from auth.crypto.envelopes import EnvelopeUnreadable, PrivateKeyUnreadable
from auth.crypto.keyring import KeyringUnreadable
from models import database
from resolvers.audit_chains import NoSuchChain
from resolvers.audit_checkpoints import CheckpointRefused
from resolvers.audit_export import LogUnreadable
from resolvers.errors import Refused
from resolvers.key_changes import RotationRefused
from schema.manifest import ManifestUnusable
from server.demo import DemoRefused
from server.settings import SettingsUnusable
from server.tracing import TracingUnusable

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
    NoSuchChain,
    CheckpointRefused,
    LogUnreadable,
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
        except BrokenPipeError:
            raise  # whoever reads has enough: click ends without a word
        except OSError as error:
            text = error.strerror or type(error).__name__
            raise click.ClickException(f"{text}: {error.filename}" if error.filename else text) from None

    return run


async def _awaited(result: Awaitable[None]) -> None:
    await result
