"""The examples do what they say, each against the same server, and leave nothing behind but what was revoked."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.auth.crypto.readers import needs_openssl
from tests.support.world import PASSWORD, Play

EXAMPLES = Path(__file__).parents[2] / "examples"
TYPESCRIPT = EXAMPLES / "typescript"

needs_jq = pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="curl or jq is not installed")
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (TYPESCRIPT / "node_modules" / "typescript").is_dir(),
    reason="Node.js or the packages of examples/typescript are not installed",
)

PRINTED = """\
Signed in as member.
Generated {name} for alder certificates.
Opened {name}.enc.
Logged in as sealkey_key_[0-9A-Za-z]{{16}}.
Rotated it; the old secret works until 2026-01-16T12:00:00Z.
Opened {name}.enc.
Logged in as sealkey_key_[0-9A-Za-z]{{16}}.
{name} is REVOKED.
Was told of:
"""
# A client that does not wait until its subscription has begun may miss the first.
TOLD = [
    "credential.generated",
    "credential.retired",
    "credential.rotated",
    "credential.revoked",
    "credential.revoked",
]
LEFT = 'credentials(filter: {statuses: [ACTIVE, RETIRING, EXPIRED, REVOKED], nameContains: "%s"}) { nodes { status } }'


def run(play: Play, *command: str | Path, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
    who = {"SEALKEY": play.server.url, "EMAIL": "member@alder.example", "PASSWORD": password}
    # No configuration of curl's, and no proxy.
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **who}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def check(play: Play, name: str, *command: str | Path) -> None:
    done = run(play, *command)
    assert (done.returncode, done.stderr) == (0, "")
    printed = re.match(PRINTED.format(name=name), done.stdout)
    assert printed, done.stdout
    told = done.stdout[printed.end() :].splitlines()
    assert len(told) >= 2
    assert [line.removesuffix(f" {name}") for line in told] == TOLD[-len(told) :]
    left = play.member.data("{" + LEFT % name + "}")["nodes"]
    assert [each["status"] for each in left] == ["REVOKED", "REVOKED"]

    refused = run(play, *command, password="another")
    assert refused.returncode != 0
    assert "The e-mail address or the password is not right." in refused.stderr
    assert not refused.stdout


@needs_openssl
@needs_jq
@pytest.mark.usefixtures("quick_passwords")
def test_the_shell_script(shared_play: Play) -> None:
    check(shared_play, "shell_example", "sh", EXAMPLES / "shell" / "credential.sh")


@pytest.mark.usefixtures("quick_passwords")
def test_the_python_script(shared_play: Play) -> None:
    check(shared_play, "python_example", sys.executable, "-W", "error", EXAMPLES / "python" / "credential.py")


@needs_node
@pytest.mark.usefixtures("quick_passwords")
def test_the_typescript_client(shared_play: Play) -> None:
    built = subprocess.run(
        ["npm", "run", "--silent", "build"], cwd=TYPESCRIPT, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    check(shared_play, "typescript_example", "node", TYPESCRIPT / "dist" / "credential.js")
