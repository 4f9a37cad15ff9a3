"""What all tests share."""

pytest_plugins = ["tests.plugins.database", "tests.plugins.optional", "tests.plugins.passwords", "tests.plugins.play"]
