"""What all tests share."""

import pytest

pytest.register_assert_rewrite("tests.support")

pytest_plugins = [
    "tests.plugins.database",
    "tests.plugins.optional",
    "tests.plugins.passwords",
    "tests.plugins.play",
    "tests.plugins.schema_coverage",
]
