"""What gateways and clients send over HTTP: the examples run in their order, and print what stands below them."""

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from server.oauth import routes
from tests.docs.markdown import Block, blocks, page
from tests.docs.test_main_job import SEPARATOR, fits, needs_programs
from tests.support.command import Serving
from tests.support.deployed import Deployed
from tests.support.world import Play

GATEWAYS = page("docs/gateways.md")


def steps() -> list[tuple[str, str]]:
    """Each example, and what it is said to print."""
    shown = [block for block in blocks(GATEWAYS) if block.language in {"sh", "text", "json"}]
    return [
        (block.text, "" if then.language == "sh" else then.text)
        for block, then in pairwise([*shown, Block("sh", "")])
        if block.language == "sh"
    ]


@needs_programs
def test_the_examples_print_what_is_said(play: Play, tmp_path: Path) -> None:
    (mutation,) = blocks(GATEWAYS, "graphql")
    gateway = play.operator.data(mutation.text, expiresAt=play.clock.in_(days=30))
    keys = play.keys()
    values = {
        "SEALKEY": play.server.url,
        "API_KEY": keys["apiKey"],
        "API_SECRET": keys["apiSecret"],
        "GATEWAY_TOKEN": gateway["token"],
    }
    done = subprocess.run(
        ["sh", "-eu"],
        input="printf '\\036'\n".join(block for block, _ in steps()),
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **values},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for (_, said), printed in zip(steps(), done.stdout.split(SEPARATOR), strict=True):
        assert_fits(said, printed.replace("\r", ""))


def test_the_programs_print_what_is_said(tmp_path: Path, empty_database_url: str) -> None:
    with Serving(tmp_path, database_url=empty_database_url) as server:
        server.wait()
        deployed = Deployed(tmp_path, empty_database_url, [server])
        values = {
            "SEALKEY": server.url,
            "ISSUER": server.url,
            "API_KEY": deployed.keys["apiKey"],
            "API_SECRET": deployed.keys["apiSecret"],
            "GATEWAY_TOKEN": deployed.gateway,
            "ACCESS_TOKEN": deployed.login(server),
        }
        programs = [(block, then) for block, then in pairwise(blocks(GATEWAYS)) if block.language == "python"]
        for block, said in programs:
            command = [sys.executable, "-W", "error", "-c", block.text]
            done = subprocess.run(command, env=values, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stderr
            assert_fits(said.text, done.stdout)
    assert [said.language for _, said in programs] == ["text", "text"]


def assert_fits(said: str, printed: str) -> None:
    """A line of nothing but … stands for any number of lines; JSON comes without an end of line."""
    if re.search(r"^…$", said, re.MULTILINE):
        status, *_ = said.splitlines()
        rest = re.split(r"^…\n", said, flags=re.MULTILINE)[1]
        assert printed.startswith(f"{status}\n")
        assert all(any(fits(line, got) for got in printed.splitlines()) for line in rest.splitlines()), printed
    else:
        assert fits(said.rstrip("\n"), printed.rstrip("\n")), f"printed:\n{printed}\nand not:\n{said}"


def test_every_endpoint_is_there() -> None:
    paths = {route.path.partition("/{")[0].rstrip("/") for route in routes()}  # type: ignore[attr-defined]
    assert {path for path in [*paths, "/verify"] if path not in GATEWAYS} == set()
