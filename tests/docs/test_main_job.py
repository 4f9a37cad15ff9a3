"""The main job, as the README tells it: its blocks run in their order, and print what stands below them."""

import os
import re
import shutil
import stat
import subprocess
import termios
from itertools import pairwise
from pathlib import Path

import pytest

from tests.auth.crypto.readers import needs_openssl
from tests.docs.conftest import Demo
from tests.docs.markdown import Block, blocks, page, section

README = page("README.md")
MAIN_JOB = section(README, "## The main job")
URL = "http://127.0.0.1:8000"
# Comes between the outputs of two blocks.
SEPARATOR = "\x1e"
MISSING = [program for program in ("sh", "bash", "curl", "python3") if shutil.which(program) is None]

needs_programs = pytest.mark.skipif(bool(MISSING), reason=f"not on this machine: {', '.join(MISSING)}")


def steps() -> list[tuple[str, str]]:
    """Each block to paste, and what it is said to print; nothing where nothing is said."""
    found = [*blocks(MAIN_JOB), Block("sh", "")]
    return [
        (block.text, "" if then.language == "sh" else then.text)
        for block, then in pairwise(found)
        if block.language == "sh"
    ]


def script(port: int) -> str:
    text = "printf '\\036'\n".join(block for block, _ in steps())
    assert text.count(URL) == 1
    return text.replace(URL, f"http://127.0.0.1:{port}")


def fits(said: str, printed: str) -> bool:
    """Whether an output is as it was said to be, … standing for anything within a line."""
    pattern = "[^\n]*".join(re.escape(part) for part in said.split("…"))
    return re.fullmatch(pattern, printed) is not None


def run(shell: str, demo: Demo, directory: Path) -> list[str]:
    """What each block printed, in a shell that minds every failure and every unset variable."""
    directory.mkdir()
    (directory / "main_job.sh").write_text(script(demo.port))
    done = subprocess.run(
        [shell, "-eu", "main_job.sh"],
        input=f"{demo.password('member')}\n{demo.password('operator')}\n",
        # No configuration of curl's, and no proxy.
        env={"PATH": os.environ["PATH"], "HOME": str(directory)},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout.split(SEPARATOR)


@needs_programs
@needs_openssl
def test_the_main_job_runs_as_written_and_can_be_done_again(demo: Demo, tmp_path: Path) -> None:
    for shell in ("sh", "bash"):
        directory = tmp_path / shell
        for (block, said), printed in zip(steps(), run(shell, demo, directory), strict=True):
            expected = said or ("Password of …: \n" if block.startswith("ask ") else "")
            assert fits(expected, printed), f"{shell} printed:\n{printed}\nand not:\n{expected}"
        assert stat.S_IMODE((directory / "private.pem").stat().st_mode) == 0o600
        assert (directory / "sealed.csv").read_bytes().startswith(b"API Key,API Secret\r\nsealkey_key_")
    check_that_nothing_altered_is_used(directory)


@needs_programs
def test_a_password_that_was_mistyped_is_told_as_that(demo: Demo, tmp_path: Path) -> None:
    blocks = script(demo.port).split("printf '\\036'\n")
    first = "".join(blocks[: 1 + next(at for at, block in enumerate(blocks) if "services.nodes.0.id" in block)])
    done = subprocess.run(
        ["sh", "-c", first],
        input="mistyped\n",
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    missing = ["signIn.sessionToken", "services.nodes.0.id", "services.nodes.1.id"]
    told = [f"The answer has no {name}. If you are not signed in, sign in again." for name in missing]
    assert done.stderr.splitlines() == told


@needs_programs
def test_a_password_is_not_shown_on_a_terminal(demo: Demo) -> None:
    """And what is typed afterwards is."""
    ours, theirs = os.openpty()
    (asking,) = [block for block, _ in steps() if "ask() {" in block]
    with os.fdopen(ours, "r+b", buffering=0) as terminal:
        shell = subprocess.Popen(
            ["sh", "-c", f"{asking}\nask max; stty -a"], stdin=theirs, stdout=subprocess.PIPE, text=True
        )
        assert shell.stdout
        while termios.tcgetattr(theirs)[3] & termios.ECHO:
            assert shell.poll() is None
        terminal.write(b"a secret\n")
        printed = shell.communicate(timeout=60)[0]
        os.close(theirs)
        assert printed.startswith("Password of max: \n")
        assert " echo " in printed


def check_that_nothing_altered_is_used(directory: Path) -> None:
    (opening,) = [block for block, _ in steps() if "openssl cms" in block]
    *whole, tag, end = (directory / "sealed.enc").read_text().splitlines()
    altered = ("B" if tag[0] == "A" else "A") + tag[1:]
    (directory / "sealed.enc").write_text("\n".join([*whole, altered, end, ""]))
    opened = subprocess.run(["sh", "-eu"], input=opening, cwd=directory, capture_output=True, text=True, check=True)
    assert opened.stdout == "The file was altered, or is for another key.\n"
    assert not (directory / "sealed.csv").exists()


def test_the_server_prints_what_is_said(demo: Demo) -> None:
    (said,) = [block.text for block in blocks(section(README, "## Start")) if block.language == "text"]
    printed = demo.printed.replace(f":{demo.port}", ":8000")
    # GraphiQL may not have been built here.
    assert fits(re.sub("(GraphiQL: +).*", r"\1…", said), printed.lstrip("\n"))
