"""Whether a list of parts names each package of a lock file, in its version and with its hashes.

python -m tests.deploy.sbom sbom.json requirements.lock
"""

import json
import re
import sys
from pathlib import Path

_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)(?:[^\n]*\\\n)?((?:\s+--hash=sha256:\w+(?: \\)?\n)+)", re.MULTILINE)
_HASH = re.compile(r"sha256:(\w+)")


def locked(text: str) -> dict[tuple[str, str], set[str]]:
    """The hashes of each name and version in a lock file."""
    return {(name, version): set(_HASH.findall(hashes)) for name, version, hashes in _PINNED.findall(text)}


def listed(text: str) -> dict[tuple[str, str], set[str]]:
    """The hashes of each name and version in a list of parts, as CycloneDX has it in JSON."""
    return {
        (part["name"], part["version"]): {
            each["content"]
            for reference in part.get("externalReferences", ())
            for each in reference.get("hashes", ())
            if each["alg"] == "SHA-256"
        }
        for part in json.loads(text)["components"]
    }


def main(parts: str, lock: str) -> None:
    wanted, there = locked(Path(lock).read_text()), listed(Path(parts).read_text())
    missing = [
        f"{name} {version}" for (name, version), hashes in wanted.items() if there.get((name, version)) != hashes
    ]
    if missing or not wanted:
        sys.exit(f"{parts} does not have what {lock} has: {', '.join(missing) or 'nothing at all'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
