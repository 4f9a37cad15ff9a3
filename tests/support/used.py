"""What the tests of this process have used of the schema."""

from pathlib import Path

from graphql import build_schema

from tests.sdl.coverage import Coverage

USED = Coverage(build_schema((Path(__file__).parents[2] / "schema/schema.graphql").read_text()))
