"""What all tests share."""

pytest_plugins = ["tests.plugins.database", "tests.plugins.optional", "tests.plugins.play"]
