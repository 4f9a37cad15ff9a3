"""The ground that the other tests stand on."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tortoise.connection import get_connections
from tortoise.exceptions import OperationalError

from models.database import connected
from tests.postgres import has_ended, running_postgres

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("package", ["auth", "models", "resolvers", "schema", "server"])
def test_packages_are_those_of_the_checkout(package: str) -> None:
    # The package registry has some of the same names. With -I the path is that of an installed command.
    show = [sys.executable, "-I", "-c", f"import {package}; print({package}.__file__)"]
    shown = subprocess.run(show, cwd="/", capture_output=True, text=True, check=True)
    assert Path(shown.stdout.strip()) == ROOT / package / "__init__.py"


def execute(url: str, *statements: str) -> None:
    async def connect_and_execute() -> None:
        async with connected(url):
            for statement in statements:
                await get_connections().get("default").execute_query(statement)

    asyncio.run(connect_and_execute())


@pytest.mark.parametrize("_turn", [1, 2])
def test_each_test_has_a_migrated_database_to_itself(database_url: str, _turn: int) -> None:
    execute(database_url, "SELECT id FROM accounts", "CREATE TABLE left_behind (id integer)")


def test_an_empty_database_has_no_schema(empty_database_url: str) -> None:
    with pytest.raises(OperationalError, match="accounts"):
        execute(empty_database_url, "SELECT id FROM accounts")


@pytest.mark.engine("postgres")
def test_a_durable_server_keeps_what_it_confirmed() -> None:
    with running_postgres(durable=True) as server:
        url = server.create_database("kept")
        execute(url, "CREATE TABLE kept (id integer)")
        server.kill()
        server.start()
        execute(url, "SELECT id FROM kept")


TESTS_THAT_ARE_KILLED = """
from tests.postgres import running_postgres

with running_postgres() as server:
    print(server.data, flush=True)
    input()
"""


@pytest.mark.engine("postgres")
def test_killed_tests_leave_no_server_behind() -> None:
    command = [sys.executable, "-c", TESTS_THAT_ARE_KILLED]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        data = Path(tests.stdout.readline().strip())
        server = psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))
        tests.kill()
    deadline = time.monotonic() + 10
    while data.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not data.exists()
    assert has_ended(server)
