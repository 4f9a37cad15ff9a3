"""What all tests share."""

import gc

import pytest

# What a test leaves is looked for less often: in a process with so much in it, that takes a tenth of the time.
gc.set_threshold(50_000, 20, 20)

pytest.register_assert_rewrite("tests.support")

pytest_plugins = [
    "tests.plugins.database",
    "tests.plugins.optional",
    "tests.plugins.passwords",
    "tests.plugins.play",
    "tests.plugins.schema_coverage",
]
