"""Programs of other people that open our envelopes, for the tests that use them."""

import json
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path

import pytest

NODE_PROJECT = Path(__file__).parents[2] / "node"


def _has_openssl() -> bool:
    """LibreSSL calls itself openssl as well, and can't open these envelopes."""
    if shutil.which("openssl") is None:
        return False
    name, version, *_ = openssl("version").stdout.decode().split()
    return name == "OpenSSL" and int(version.split(".")[0]) >= 3


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", *arguments], capture_output=True, check=False)


needs_openssl = pytest.mark.skipif(not _has_openssl(), reason="OpenSSL 3.0 or newer is not on this machine")
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE_PROJECT / "node_modules" / "jose").is_dir(),
    reason="Node.js is not on this machine, or its packages are not installed: npm ci in tests/node",
)


def openssl_opens(file: Path, key: Path) -> subprocess.CompletedProcess[bytes]:
    return openssl("cms", "-decrypt", "-inform", "PEM", "-inkey", key, "-in", file)


def node(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["node", NODE_PROJECT / script, *arguments], capture_output=True, check=False)


def node_contents(form: str, key: Path, files: list[Path]) -> list[bytes | None]:
    """What one Node.js process makes of each file: its content, or None where it refuses."""
    ran = node("open-each.mjs", form, key, *files)
    assert ran.returncode == 0, ran.stderr.decode()
    return [None if content is None else b64decode(content) for content in json.loads(ran.stdout)]
