"""The key file may be sealed: under a passphrase, or by a command of the operator's that asks a key management service.
Then it is never written in any other form, and is open in memory alone.

Under a passphrase it is an encrypted JWK Set (RFC 7517, 7): a JWE (RFC 7516) in compact form, PBES2-HS512+A256KW
(RFC 7518, 4.8) with A256GCM.
"""

import os
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Protocol

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from auth.crypto.keyring import KeyringUnreadable, read_keyring
from auth.crypto.secret import Secret

SHORTEST_PASSPHRASE = 16
_ALGORITHMS = ["PBES2-HS512+A256KW", "A256GCM"]
# The most that joserfc takes, and more than the 210,000 that OWASP asks for with SHA-512.
_ITERATIONS = 300_000
_HEADER = {"alg": _ALGORITHMS[0], "enc": _ALGORITHMS[1], "cty": "jwk-set+json", "p2c": _ITERATIONS}
_SECONDS = 30.0


class Sealing(Protocol):
    """How a key file is opened and sealed. What is not sealed opens as it is.

    opened_with: a file that it takes to open another. Once that was replaced, what did not open may."""

    @property
    def opened_with(self) -> Path | None: ...

    def open(self, data: bytes) -> bytes:
        """Raises KeyringUnreadable."""

    def seal(self, data: bytes) -> bytes:
        """Raises KeyringUnreadable."""


class Unsealed:
    """Not at all."""

    opened_with = None

    def open(self, data: bytes) -> bytes:
        if _is_jwe(data):
            raise KeyringUnreadable(
                "the key file is sealed; set SEALKEY_KEYS_PASSPHRASE, SEALKEY_KEYS_PASSPHRASE_FILE or "
                "SEALKEY_KEYS_UNSEAL_COMMAND to what it was sealed with"
            )
        if data.strip() and not data.lstrip().startswith(b"{"):
            raise KeyringUnreadable(
                "the key file is not a JWK Set as Sealkey writes it; where a command has sealed it, set "
                "SEALKEY_KEYS_UNSEAL_COMMAND to what opens it"
            )
        return data

    def seal(self, data: bytes) -> bytes:
        return data


class UnderPassphrase:
    """Under a passphrase of 16 characters at least."""

    opened_with = None

    def __init__(self, passphrase: Secret) -> None:
        self._key = OctKey.import_key(passphrase.reveal().encode(errors="surrogateescape"))

    def open(self, data: bytes) -> bytes:
        if not _is_jwe(data):
            return Unsealed().open(data)
        try:
            opened = jwe.decrypt_compact(data.strip(), self._key, algorithms=_ALGORITHMS).plaintext
        except (JoseError, ValueError):
            raise KeyringUnreadable("the passphrase does not open the key file, or the file was damaged") from None
        return opened or b""

    def seal(self, data: bytes) -> bytes:
        return jwe.encrypt_compact(dict(_HEADER), data, self._key, algorithms=_ALGORITHMS).encode() + b"\n"


class UnderPassphraseIn:
    """Under the passphrase that a file holds whenever it is wanted, but for the end of its line: it may be replaced
    while servers run."""

    def __init__(self, path: Path) -> None:
        self.opened_with = path

    def now(self) -> UnderPassphrase:
        """Under what the file holds now. Raises KeyringUnreadable."""
        try:
            text = self.opened_with.read_bytes().decode(errors="surrogateescape").rstrip("\r\n")
        except OSError as error:
            raise KeyringUnreadable(f"the passphrase can't be read from {self.opened_with}: {error.strerror}") from None
        if len(text) < SHORTEST_PASSPHRASE:
            raise KeyringUnreadable(
                f"the passphrase in {self.opened_with} has fewer than {SHORTEST_PASSPHRASE} characters"
            )
        return UnderPassphrase(Secret(text))

    def open(self, data: bytes) -> bytes:
        return self.now().open(data)

    def seal(self, data: bytes) -> bytes:
        return self.now().seal(data)


class ByCommand:
    """By commands that are given the one form on standard input and write the other to standard output. No shell
    reads them, what they write to standard error goes nowhere, and they see nothing of Sealkey's own settings."""

    opened_with = None

    def __init__(self, unseal: str, seal: str) -> None:
        self._unseal, self._seal = unseal, seal

    def open(self, data: bytes) -> bytes:
        if is_open(data) or not data.strip():
            return data
        return _run("SEALKEY_KEYS_UNSEAL_COMMAND", self._unseal, data)

    def seal(self, data: bytes) -> bytes:
        if not self._seal:
            raise KeyringUnreadable("to write the key file, set SEALKEY_KEYS_SEAL_COMMAND to what seals it")
        sealed = _run("SEALKEY_KEYS_SEAL_COMMAND", self._seal, data)
        # What can't be opened again would be the end of every credential.
        if is_open(sealed) or self.open(sealed) != data:
            raise KeyringUnreadable("what SEALKEY_KEYS_SEAL_COMMAND makes, SEALKEY_KEYS_UNSEAL_COMMAND does not open")
        return sealed


def is_open(data: bytes) -> bool:
    """Whether a key file is not sealed."""
    try:
        read_keyring(data)
    except KeyringUnreadable:
        return False
    return True


def _is_jwe(data: bytes) -> bool:
    return data.startswith(b"eyJ") and data.count(b".") == 4


def _run(setting: str, command: str, data: bytes) -> bytes:
    own = {name: value for name, value in os.environ.items() if not name.startswith("SEALKEY_")}
    try:
        process = subprocess.Popen(  # noqa: S603  (the operator's own command)
            shlex.split(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=own,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its quotes do not match"
        raise KeyringUnreadable(f"{setting} can't be run: {reason}") from None
    with process:
        try:
            written, _ = process.communicate(data, timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # and what it started
            raise KeyringUnreadable(f"{setting} did not end within {_SECONDS:g} seconds") from None
    if process.returncode != 0:
        raise KeyringUnreadable(f"{setting} ended with exit status {process.returncode}")
    return written
