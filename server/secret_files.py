"""Files with secrets in them, and who can read them."""

import os
import stat
from pathlib import Path

_MOUNTED = (Path("/run/secrets"), Path("/var/run/secrets"))


def is_careless(path: Path) -> bool:
    """Whether others can read or change a file of the server's own, which it could keep to itself. Raises OSError."""
    found = path.stat()
    is_kept = stat.S_ISREG(found.st_mode)  # and not handed over through a pipe
    return is_kept and found.st_uid == os.geteuid() and bool(found.st_mode & 0o077) and not _is_mounted(path)


def is_public(path: Path) -> bool:
    """Whether everybody on the machine can read or change a file, whosoever it is. Raises OSError."""
    return bool(path.stat().st_mode & 0o007) and not _is_mounted(path)


def _is_mounted(path: Path) -> bool:
    """Whether systemd or what runs containers has put it there: who can read it is theirs to say, and the directory
    keeps others out."""
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    places = (*_MOUNTED, Path(given)) if given else _MOUNTED
    return any(path.absolute().is_relative_to(place) for place in places)
