"""The wheel is all that a server needs besides its dependencies; what is in deploy/ names what there is."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from server.app import GRAPHIQL_DIST
from server.settings import Settings
from tests.support.processes import ROOT

DEPLOY = ROOT / "deploy"
_MAIN = "import sys; from server.cli import main; sys.argv[0] = 'sealkey'; main()"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, as pip puts it, far from any checkout."""
    directory = tmp_path_factory.mktemp("wheel")
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, str(directory)], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = directory.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        files.extractall(directory / "installed")
    return directory / "installed"


def test_the_wheel_runs_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        # -S keeps the checkout's editable install off the path, -P the folder it is run in.
        environment = {
            "PATH": os.defpath,
            "PYTHONPATH": os.pathsep.join([str(installed), sysconfig.get_path("purelib")]),
            "SEALKEY_DATA_DIR": str(tmp_path),
        }
        command = [sys.executable, "-S", "-P", "-W", "error", "-c", _MAIN, *arguments]
        return subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    assert run("--version").startswith("sealkey, version ")
    assert run("db", "upgrade") == "The database has the newest schema.\n"
    assert run("schema") == (ROOT / "schema/schema.graphql").read_text()


def test_graphiql_is_in_the_wheel_where_it_was_built(installed: Path) -> None:
    built = sorted(path.relative_to(GRAPHIQL_DIST) for path in GRAPHIQL_DIST.rglob("*") if path.is_file())
    there = installed / "graphiql/dist"
    assert sorted(path.relative_to(there) for path in there.rglob("*") if path.is_file()) == built
    assert not (installed / "graphiql/src").exists()


def test_the_image_is_built_from_what_there_is() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    copied = [path for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE) for path in line.split()]
    assert copied
    for path in copied:
        assert (ROOT / path).exists(), path
    allowed = re.findall(r"^!(\S+)$", (DEPLOY / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    for path in copied:
        assert any(Path(path).is_relative_to(name) for name in allowed), f"{path} is kept out of the build"


@pytest.mark.parametrize("file", ["Dockerfile", "compose.yaml", "sealkey.service"])
def test_settings_are_named_as_they_are(file: str) -> None:
    named = set(re.findall(r"\bSEALKEY_([A-Z_]+)", (DEPLOY / file).read_text())) - {"CONFIG_FILE", "SITE", "SERVERS"}
    assert named <= {name.upper() for name in Settings.model_fields}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="There is no systemd-analyze.")
def test_the_unit_is_sound_and_closed(tmp_path: Path) -> None:
    unit = tmp_path / "sealkey.service"
    text = (DEPLOY / "sealkey.service").read_text()
    unit.write_text(text.replace("/opt/sealkey/bin/sealkey", sys.executable))
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout


@pytest.mark.skipif(not shutil.which("caddy"), reason="There is no caddy.")
def test_the_balancer_s_configuration_is_one() -> None:
    adapted = subprocess.run(
        ["caddy", "adapt", "--config", DEPLOY / "Caddyfile"], capture_output=True, text=True, check=False
    )
    assert adapted.returncode == 0, adapted.stderr
