"""What a server that starts is told of its settings: it can work with them, and they may not be what was meant."""

import os
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from server.logs import log
from server.secret_files import is_public
from server.settings import CONFIG_FILE, Settings
from server.workers import DIRECTORY

_EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104  (to tell of it)
_SECRETS = frozenset({"keys", "keys_passphrase", "metrics_token"})


def tell_doubts(settings: Settings) -> None:
    for reason in (*_misspelt(), *_readable(settings), *_nowhere(settings)):
        log.warning("doubtful_setting", reason=reason)


def _misspelt() -> Iterator[str]:
    known = [CONFIG_FILE, *(f"SEALKEY_{name.upper()}" for name in Settings.model_fields)]
    for name in sorted(os.environ):
        if name.upper().startswith("SEALKEY_") and name.upper() not in {*known, DIRECTORY}:
            near = get_close_matches(name.upper(), known, n=1, cutoff=0.8)
            yield f"{name} is no setting and has no effect." + (f" Is {near[0]} meant?" if near else "")


def _readable(settings: Settings) -> Iterator[str]:
    """Files whose secrets everybody on the machine can read."""
    if settings.keys_passphrase_file and is_public(settings.keys_passphrase_file):
        yield f"Everybody can read {settings.keys_passphrase_file}, which has a passphrase in it."
    file = Path(os.environ.get(CONFIG_FILE) or os.devnull)
    if file.is_file() and is_public(file) and _has_secrets(file):
        yield f"Everybody can read {file}, which has secrets in it: chmod o= {file}"


def _nowhere(settings: Settings) -> Iterator[str]:
    """An address that stands for all of the machine's, and leads nobody else here."""
    if not settings.issuer and settings.host in _EVERYWHERE:
        yield (
            f"SEALKEY_ISSUER is not set, so access tokens and metadata name {settings.public_address}, where no client "
            "finds this server: set it to the public address before the first token is made."
        )


def _has_secrets(file: Path) -> bool:
    written = tomllib.loads(file.read_text())
    return bool(written.keys() & _SECRETS) or "@" in str(written.get("database_url"))
