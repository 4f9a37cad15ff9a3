"""`sealkey keys`: listing, rotating, retiring and sealing the server's own keys."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import click

from auth.crypto.key_sealing import Sealing, Unsealed
from auth.crypto.keyring import Purpose, read_keyring
from auth.crypto.keyring_file import locked_keyring, read_keyring_file, replace_keyring
from models import database
from models.instants import system_clock
from models.schema_age import confirm_readable
from resolvers.caller import Caller
from resolvers.key_changes import KeyFile, RotationRefused, retire_key, rotate_keys
from resolvers.server_keys import check_the_same, confirm_made
from resolvers.wording import counted
from server.app import deployed, read_keys
from server.command import command
from server.key_words import describe_keys, describe_rotation
from server.settings import Settings, load_settings, under_passphrase


@click.group()
def keys() -> None:
    """The server's own keys."""


@keys.command("list")
@command
async def keys_list() -> None:
    """Show which keys there are. What they are good for now, too, and what needs them still."""
    settings = load_settings()
    async with _looked_at(settings):
        keyring = read_keys(settings).keyring
        await check_the_same(keyring)
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
    file = await _file_to_change(settings, f"rotate --purpose {purpose}")
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
    """Take a key out of use that nothing needs any more. It goes out of the file, too."""
    settings = load_settings()
    file = await _file_to_change(settings, f"retire {key_id}")
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
async def keys_seal(new_passphrase_file: Path | None) -> None:
    """Seal the key file, or seal it again. SEALKEY_KEYS_PASSPHRASE or SEALKEY_KEYS_SEAL_COMMAND say how."""
    settings = load_settings()
    sealing = under_passphrase(new_passphrase_file) if new_passphrase_file else settings.key_sealing
    if isinstance(sealing, Unsealed):
        raise RotationRefused(
            "Set SEALKEY_KEYS_PASSPHRASE, SEALKEY_KEYS_PASSPHRASE_FILE or SEALKEY_KEYS_UNSEAL_COMMAND with "
            "SEALKEY_KEYS_SEAL_COMMAND first, for the servers too: what is sealed they open by these."
        )
    _write_again(await _file_to_change(settings, "seal"), sealing)
    click.echo(f"{settings.keys_path} is sealed.")


@keys.command("unseal")
@command
async def keys_unseal() -> None:
    """Write the key file open again."""
    settings = load_settings()
    _write_again(await _file_to_change(settings, "unseal"), Unsealed())
    click.echo(f"{settings.keys_path} is not sealed: whoever can read it has the keys.")


@asynccontextmanager
async def _looked_at(settings: Settings) -> AsyncIterator[None]:
    """The database as it is, which has known keys, or for which there are some. Raises DatabaseUnusable and
    KeyringUnreadable."""
    database.confirm_there(settings.database)
    async with database.connected(settings.database):
        await confirm_readable()
        if settings.keys is None:
            await confirm_made(settings.keys_path)
        yield


def _write_again(file: KeyFile, sealing: Sealing) -> None:
    with locked_keyring(file.path, file.sealing) as data:
        read_keyring(data)
        replace_keyring(file.path, sealing.seal(data))


async def _file_to_change(settings: Settings, change: str) -> KeyFile:
    """The key file, which must be there: a new one would be another deployment's. Raises RotationRefused,
    DatabaseUnusable and KeyringUnreadable."""
    if settings.keys is not None:
        raise RotationRefused(
            "The keys come from SEALKEY_KEYS, which this command can't write. Save them in a file (mode 600), run "
            f"`sealkey keys {change}` with SEALKEY_KEYS_FILE in the place of SEALKEY_KEYS, and start each server again "
            "with what the file holds then, before a new key is in use: --lead says when."
        )
    if not settings.keys_path.exists():
        async with _looked_at(settings):
            pass  # it says whether one was ever made
    read_keyring_file(settings.keys_path, settings.key_sealing)
    return KeyFile(settings.keys_path, settings.key_sealing)
