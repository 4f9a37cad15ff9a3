"""`sealkey audit`: verifying, checkpoints, and exporting."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import Any
from uuid import UUID

import click

from auth.crypto.keyring import CheckpointKey
from auth.crypto.signed_note import Checkpoint, verifier_of
from models.audit_log import read_account_names, read_chain_ids, read_heads
from models.ids import Kind, global_id
from models.schema_age import confirm_newest
from resolvers.audit_chains import NoSuchChain, chain_name, find_chain
from resolvers.audit_checkpoints import (
    CheckpointRefused,
    make_signing_key,
    origin,
    read_checkpoints,
    read_verifiers,
    sign_checkpoint,
    signing_key,
)
from resolvers.audit_export import ExportFormat, Range, export_by_command
from resolvers.audit_hash import EventHasher
from resolvers.audit_verification import Fault, StoredChain, Verified, verify_chain
from resolvers.caller import Caller, Deployment
from resolvers.key_changes import KeyFile
from schema.scalars import parse_instant
from server.app import opened
from server.command import command
from server.settings import Settings, load_settings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SAY_EVERY = 1_000_000
_account = click.option("--account", metavar="ID|NAME", help="Only this account's, or `deployment`.")
_checkpoint = click.option(
    "--checkpoint", "files", type=_FILE, multiple=True, help="Checkpoints from before; may be given several times."
)
_checkpoint_key = click.option(
    "--checkpoint-key", "key_file", type=_FILE, help="Who signed them, as checkpoint-key prints it."
)


class _Instant(click.ParamType[datetime]):
    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return parse_instant(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group()
def audit() -> None:
    """The audit log: verify it, sign checkpoints of it, export it."""


@audit.command()
@_account
@_checkpoint
@_checkpoint_key
@command
async def verify(account: str | None, files: Sequence[Path], key_file: Path | None) -> None:
    """Show that the audit log is as it was written.

    Exit status 1 where an event was altered, removed, inserted or moved. Checkpoints, kept elsewhere since, show that
    none of the newest is gone and nothing was written anew.
    """
    async with opened(load_settings()) as deployment:
        seen = read_checkpoints(files, deployment.keyring, read_verifiers(key_file) if key_file else ())
        began = time.monotonic()
        chains = await _chains(account, seen)
        if files and not seen.keys() & set(chains):
            raise CheckpointRefused("None of the checkpoints is of this log.")
        verified = await _verify(deployment, chains, seen)
        names = await read_account_names([chain for chain, each in verified.items() if each.fault])
    _tell_faults(verified, names)
    seconds, events = time.monotonic() - began, sum(each.size for each in verified.values())
    rate = f"{events / seconds:,.0f} a second"
    logs = f"{_counted(len(verified), 'log')} with {_counted(events, 'event')}"
    click.echo(f"{logs} {_as_written(len(verified))} ({seconds:.1f} s, {rate}).")


@audit.command()
@_account
@_checkpoint
@_checkpoint_key
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a file for each log there, once it was verified with the one that is there; made where it is missing.",
)
@command
async def checkpoint(account: str | None, files: Sequence[Path], key_file: Path | None, directory: Path | None) -> None:
    """Sign what the logs are now, to be kept elsewhere. Each is verified first; none is signed that does not add up."""
    settings = load_settings()
    async with opened(settings) as deployment:
        key = await _signing_key(deployment, settings)
        before = [*files, *(_checkpoints_in(directory) if directory else ())]
        seen = read_checkpoints(before, deployment.keyring, read_verifiers(key_file) if key_file else ())
        verified = await _verify(deployment, await _chains(account, seen), seen, wants_root=True)
        names = await read_account_names([chain for chain, each in verified.items() if each.fault])
    _tell_faults(verified, names)
    notes = {chain: sign_checkpoint(key, deployment.issuer, chain, each) for chain, each in verified.items()}
    if directory is None:
        click.echo("\n".join(notes.values()), nl=False)
        return
    _write_checkpoints(directory, notes)
    click.echo(f"{_counted(len(notes), 'checkpoint')} {'is' if len(notes) == 1 else 'are'} in {directory}.")


def _write_checkpoints(directory: Path, notes: Mapping[str, str]) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for chain, note in notes.items():
        _replace(directory / f"{chain_name(chain)}.checkpoint", note)


@audit.command("checkpoint-key")
@_account
@command
async def checkpoint_key(account: str | None) -> None:
    """Show the keys to verify checkpoints with. For elsewhere: one for each log, each on its line."""
    settings = load_settings()
    async with opened(settings) as deployment:
        await _signing_key(deployment, settings)
        for chain in await _chains(account, {}):
            for key in deployment.keyring.checkpoint_keys.values():
                click.echo(verifier_of(origin(deployment.issuer, chain), key.key).vkey())


@audit.command()
@_account
@click.option(
    "--format", "format_", type=click.Choice([each.value for each in ExportFormat]), default="csv", show_default=True
)
@click.option("--after", type=_Instant(), help="From this instant on, as in 2026-11-22T09:30:00Z.")
@click.option("--before", type=_Instant(), help="Before this instant.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="A new file.  [default: standard output]"
)
@command
async def export(account: str | None, format_: str, after: Any, before: Any, output: Path | None) -> None:
    """Write events as CSV or JSON Lines. Those of one account, or of all and the deployment; this is recorded too."""
    range_ = Range(after, before)
    if range_.is_empty:
        raise click.UsageError("--after must be earlier than --before: else there is nothing between them.")
    if output is not None:
        _refuse_if_there(output)  # before it is recorded
    async with opened(load_settings(), to_record=True) as deployment:
        chain = await find_chain(account) if account else None
        caller = Caller(None, None, deployment.clock(), deployment)
        made = await export_by_command(
            caller, ExportFormat(format_), chain_id=UUID(chain) if chain else None, range_=range_
        )
        with _opened(output) as file, _progress(made.total, "Exporting") as advance:
            async for number, chunk in made.chunks:
                file.write(chunk)
                advance(number)


async def _chains(account: str | None, seen: Mapping[str, Sequence[Checkpoint]]) -> list[str]:
    """The chains to look at: of one account, or all that there are, ought to be, or were once seen."""
    known = {*await read_chain_ids(), *seen}
    if account is None:
        return sorted(known)
    chain = await find_chain(account)
    if chain not in known:
        raise NoSuchChain
    return [chain]


async def _verify(
    deployment: Deployment,
    chains: Sequence[str],
    seen: Mapping[str, Sequence[Checkpoint]],
    *,
    wants_root: bool = False,
) -> dict[str, Verified]:
    hasher = EventHasher(deployment.keyring.symmetric_keys)
    wanted = set(chains)
    total = sum(head.sequence for head in await read_heads() if head.id in wanted)
    with _progress(total, "Verifying") as advance:
        return {
            chain: await verify_chain(
                StoredChain(chain), hasher, seen.get(chain, ()), wants_root=wants_root, progress=advance
            )
            for chain in chains
        }


def _tell_faults(verified: Mapping[str, Verified], names: Mapping[str, str]) -> None:
    """Says what is wrong. Ends with exit status 1 where anything is."""
    faults = {chain: each.fault for chain, each in verified.items() if each.fault}
    for chain, fault in faults.items():
        click.echo(_printable(f"{_called(chain, names)}: {_told(fault)}"), err=True)
    if faults:
        number = f"{len(faults):,} of {_counted(len(verified), 'log')}"
        raise click.ClickException(f"{number} {_as_written(len(faults), ' not')}.")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _as_written(number: int, or_not: str = "") -> str:
    return f"is{or_not} as it was written" if number == 1 else f"are{or_not} as they were written"


def _called(chain: str, names: Mapping[str, str]) -> str:
    return f"{chain_name(chain)} ({names[chain]})" if chain in names else chain_name(chain)


def _told(fault: Fault) -> str:
    event = f"event {fault.sequence:,}" + (f" ({_event_name(fault.event_id)})" if fault.event_id else "")
    return f"{event}: {fault.kind.value}: {fault.detail}"


def _event_name(id_: str) -> str:
    try:
        return global_id(Kind.AUDIT_EVENT, UUID(id_))
    except ValueError:
        return id_


def _printable(text: str) -> str:
    """Whoever can write into the database must not write on the terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


async def _signing_key(deployment: Deployment, settings: Settings) -> CheckpointKey:
    """The key that signs checkpoints, made where there is none. Raises CheckpointRefused, DatabaseUnusable."""
    key = signing_key(deployment.keyring, deployment.clock())
    if key is not None:
        return key
    if settings.keys is not None:
        raise CheckpointRefused(
            "SEALKEY_KEYS has no key to sign checkpoints with, and this command can't write it there. Save the keys in "
            "a file (mode 600), run this once with SEALKEY_KEYS_FILE in the place of SEALKEY_KEYS, and take what the "
            "file holds then."
        )
    await confirm_newest()
    caller = Caller(None, None, deployment.clock(), deployment)
    keyring = await make_signing_key(caller, KeyFile(settings.keys_path, settings.key_sealing))
    await deployment.keys.follow(caller)
    made = signing_key(keyring, caller.now)
    assert made is not None  # noqa: S101  (that is what it is for)
    return made


@contextmanager
def _opened(path: Path | None) -> Iterator[Any]:
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    # It has its name once the whole of it is written: half a log looks like one.
    beside = path.with_name(f".{path.name}.{token_hex(4)}.new")
    try:
        # Of this export alone, and not what somebody else has put there.
        with (
            _called_by(path, beside),
            os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
        ):
            yield file
            file.flush()
            os.fsync(file.fileno())
        _refuse_if_there(path)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _called_by(path: Path, beside: Path) -> Iterator[None]:
    """What goes wrong with the file beside is told of the one that was asked for."""
    try:
        yield
    except OSError as error:
        if str(error.filename) == str(beside):
            error.filename = str(path)
        raise


def _refuse_if_there(path: Path) -> None:
    if os.path.lexists(path):
        raise click.ClickException(f"{path} is there already, and an export overwrites nothing: name another file.")


@contextmanager
def _progress(total: int, label: str) -> Iterator[Callable[[int], None]]:
    """Something to tell of so many events more: a bar on a terminal, else a line now and then, on standard error."""
    if sys.stderr.isatty():
        with click.progressbar(length=total, label=label, file=sys.stderr) as bar:
            yield bar.update
        return
    done = 0

    def advance(number: int) -> None:
        nonlocal done
        if done // _SAY_EVERY != (done + number) // _SAY_EVERY:
            click.echo(f"{label}: {done + number:,} of {total:,} events", err=True)
        done += number

    yield advance


def _checkpoints_in(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.checkpoint"))


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.new")
    with _called_by(path, beside), beside.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
