"""With SEALKEY_TEST_REQUIRE_ALL set, a test that would be skipped for want of a program fails instead.

A machine without openssl, Node.js or Chromium may leave out the tests that need them. Where all of it has
been installed, a skipped test is one that nobody would miss until it was needed.
"""

import os
from collections.abc import Generator

import pytest

REQUIRED = bool(os.environ.get("SEALKEY_TEST_REQUIRE_ALL"))


@pytest.hookimpl(wrapper=True, tryfirst=True)  # around pytest's own, which tells expected failures from skips
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not hasattr(report, "wasxfail"):
        _require(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _require(report)
    return report


def _require(report: pytest.TestReport | pytest.CollectReport) -> None:
    if REQUIRED and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{report.longrepr}\nSEALKEY_TEST_REQUIRE_ALL is set: install what this test needs."
