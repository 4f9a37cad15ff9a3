"""The README's tables are those of the code, and its links lead somewhere."""

import re
import struct
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import annotated_types
import click
import pytest
from graphql import OperationDefinitionNode, parse
from pydantic import SecretStr

from server.cli import main
from server.settings import Settings
from tests.docs.markdown import PAGES, ROOT, headings, in_code, page, rows, section

README = page("README.md")
_LINK = re.compile(r"\]\(([^)]+)\)")


def shown(default: object) -> str:
    value = default.get_secret_value() if isinstance(default, SecretStr) else default
    if value is None:
        return "none"
    return f"`{value}`" if value != "" else "empty"


def test_every_setting_is_there_with_its_default() -> None:
    table = rows(section(README, "## Settings"), "setting", "default", "what it is")
    fields = Settings.model_fields.items()
    assert [row[:2] for row in table] == [[f"`SEALKEY_{name.upper()}`", shown(field.default)] for name, field in fields]


def test_the_settings_have_the_bounds_that_are_said() -> None:
    table = rows(section(README, "## Settings"), "setting", "default", "what it is")
    for (name, field), (*_, meaning) in zip(Settings.model_fields.items(), table, strict=True):
        least = [bound.ge for bound in field.metadata if isinstance(bound, annotated_types.Ge)]
        most = [bound.le for bound in field.metadata if isinstance(bound, annotated_types.Le)]
        if least and least != [0]:
            assert f", {least[0]} to {most[0]}" in meaning, name


def commands(group: click.Group, *path: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield " ".join([*path, name]), command


def test_every_command_is_there_with_its_options() -> None:
    said = {}
    for line in [in_code(row[0])[0] for row in rows(section(README, "## Command line"), "command", "what it does")]:
        words = takewhile(re.compile("[a-z][a-z-]*").fullmatch, line.removeprefix("sealkey ").split())
        said[" ".join(words)] = set(re.findall(r"--[\w-]+", line))
    offered = {name: {opt for param in command.params for opt in param.opts} for name, command in commands(main)}
    assert said == {name: {opt for opt in opts if opt.startswith("--")} for name, opts in offered.items()}


def test_every_tab_is_there() -> None:
    table = rows(section(README, "## The same in GraphiQL"), "step", "tab", "fill in")
    tabs = {}
    for example in (ROOT / "graphiql/examples").glob("*.graphql"):
        (operation,) = parse(example.read_text()).definitions
        assert isinstance(operation, OperationDefinitionNode)
        assert operation.name
        names = [definition.variable.name.value for definition in operation.variable_definitions or ()]
        tabs[operation.name.value] = set(names)
    for _, tab, fill_in in table:
        assert set(in_code(fill_in)) <= tabs[in_code(tab)[-1]], tab


@pytest.mark.parametrize("file", [*PAGES, ROOT / "examples/README.md"], ids=lambda file: file.parent.name + file.stem)
def test_links_lead_somewhere(file: Path) -> None:
    for link in _LINK.findall(file.read_text()):
        if link.startswith("https://"):
            continue  # Somebody else's.
        target, _, anchor = link.partition("#")
        there = (file.parent / target).resolve() if target else file
        assert there.exists(), link
        assert not anchor or anchor in anchors(there.read_text()), link


def anchors(text: str) -> set[str]:
    """What a page's headings can be linked to by."""
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings(text)}


def test_every_page_is_linked_to() -> None:
    linked = {link.partition("#")[0] for link in _LINK.findall(README)}
    assert {f"docs/{file.name}" for file in PAGES[1:]} <= linked


def test_the_picture_is_of_a_screen_and_small() -> None:
    picture = (ROOT / "docs/graphiql.png").read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", picture[16:24]) == (1280, 800)
    assert len(picture) < 300_000
