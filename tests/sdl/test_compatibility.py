"""What clients of the last release send still works, unless it was deprecated there."""

from pathlib import Path

import pytest
from graphql import GraphQLEnumType, build_schema, find_breaking_changes

from schema.enum_values import MEANINGS
from tests.sdl import compatibility
from tests.sdl.compatibility import breaking_changes, dangerous_changes

ROOT = Path(__file__).parents[2]
SCHEMA = (ROOT / "schema/schema.graphql").read_text()

RELEASED = """
interface Node { id: ID! }
type Query {
  tree(height: Int, girth: Int @deprecated(reason: "Ask for height.")): Tree
  shrub: Shrub @deprecated(reason: "Ask for a tree.")
  plant(filter: Filter): Node
}
type Tree implements Node { id: ID! name: String! latin: String @deprecated(reason: "Ask for name.") kind: Kind }
type Shrub implements Node { id: ID! width: Int }
enum Kind { OAK BEECH ELM @deprecated(reason: "None is left.") }
input Filter { name: String kind: Kind @deprecated(reason: "Filter by name.") }
"""


def changed(*replacements: tuple[str, str]) -> str:
    text = RELEASED
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return text


GONE = [
    (', girth: Int @deprecated(reason: "Ask for height.")', ""),
    ('shrub: Shrub @deprecated(reason: "Ask for a tree.")', ""),
    ("type Shrub implements Node { id: ID! width: Int }", ""),
    ('latin: String @deprecated(reason: "Ask for name.")', ""),
    ('ELM @deprecated(reason: "None is left.")', ""),
    ('kind: Kind @deprecated(reason: "Filter by name.")', ""),
]


def test_what_was_deprecated_may_go() -> None:
    assert breaking_changes(RELEASED, changed(*GONE)) == []


def test_adding_breaks_nobody() -> None:
    assert breaking_changes(changed(*GONE), RELEASED) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("name: String! latin", "latin"), "Field Tree.name was removed."),
        (("name: String! latin", "name: String latin"), "Field Tree.name changed type from String! to String."),
        (("height: Int, ", ""), "Argument Query.tree(height:) was removed."),
        (("height: Int,", "height: Int!,"), "Argument Query.tree(height:) has changed type from Int to Int!."),
        (("OAK ", ""), "Enum value Kind.OAK was removed."),
        (("{ name: String kind", "{ kind"), "Field Filter.name was removed."),
        (("{ name: String kind", "{ name: String age: Int! kind"), "A required field Filter.age was added."),
        (("type Tree implements Node", "type Tree"), "Tree no longer implements interface Node."),
        # A deprecation says that it will go, not that it will become something else.
        (("latin: String @", "latin: Int @"), "Field Tree.latin changed type from String to Int."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_was_not_deprecated_stays_as_it_is(change: tuple[str, str], told: str) -> None:
    assert breaking_changes(RELEASED, changed(change)) == [told]


def test_a_type_stays_while_something_that_is_not_deprecated_leads_to_it() -> None:
    both = (("plant(", "bush: Shrub plant("),)
    released, new = changed(*both), changed(*both, *GONE[1:3], ("bush: Shrub ", ""))
    assert set(breaking_changes(released, new)) == {"Shrub was removed.", "Field Query.bush was removed."}


def test_what_clients_may_not_expect_is_shown() -> None:
    assert dangerous_changes(RELEASED, changed(("OAK", "YEW OAK"))) == ["Enum value Kind.YEW was added."]


def test_the_command_fails_on_a_break_and_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    released, new = tmp_path / "released.graphql", tmp_path / "new.graphql"
    released.write_text(RELEASED)
    new.write_text(changed(("OAK ", "YEW ")))
    assert compatibility.main(released, new) == 1
    printed = capsys.readouterr()
    assert "YEW was added" in printed.out
    assert "OAK was removed" in printed.err
    assert "Deprecate it" in printed.err
    assert compatibility.main(released, released) == 0


def test_the_schema_has_all_of_the_core_for_good() -> None:
    core = (Path(__file__).parent / "core.graphql").read_text()
    assert [change.description for change in find_breaking_changes(build_schema(core), build_schema(SCHEMA))] == []


def test_every_value_of_an_enum_has_its_meaning_and_no_other_has_one() -> None:
    enums = {name: type_ for name, type_ in build_schema(SCHEMA).type_map.items() if isinstance(type_, GraphQLEnumType)}
    values = {name: set(type_.values) for name, type_ in enums.items() if not name.startswith("__")}
    assert {name: set(meanings) for name, meanings in MEANINGS.items()} == values
