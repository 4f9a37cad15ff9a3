"""With --schema-coverage, a run fails that leaves something of the schema unused.

What is used is what the answers to `tests.support.server.Client` show, in all processes of the run together.
"""

from typing import Any

import pytest

from tests.support.used import USED

_KEY = "used_of_the_schema"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--schema-coverage", action="store_true", help="fail where something of the schema is not used")


@pytest.hookimpl(optionalhook=True)  # there is no such hook without xdist
def pytest_testnodedown(node: Any) -> None:
    USED.used.update(getattr(node, "workeroutput", {}).get(_KEY, ()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[_KEY] = sorted(USED.used)
    elif session.config.getoption("--schema-coverage") and USED.unused():
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.getoption("--schema-coverage") and USED.unused():
        terminalreporter.section("not used of the schema by any test")
        terminalreporter.write_line("\n".join(USED.unused()))
