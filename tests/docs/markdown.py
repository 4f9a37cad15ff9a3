"""Reading the documentation, as far as the tests ask it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: what it is written in, and its lines."""

    language: str
    text: str


def page(name: str) -> str:
    return (ROOT / name).read_text()


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next of its level or a higher one."""
    level = len(heading) - len(heading.lstrip("#"))
    rest = text.partition(f"\n{heading}\n")[2]
    assert rest, f"there is no heading {heading}"
    in_blocks = [match.span() for match in _FENCED.finditer(rest)]
    for match in re.finditer(rf"^#{{1,{level}}} ", rest, re.MULTILINE):
        if not any(start < match.start() < end for start, end in in_blocks):
            return rest[: match.start()]
    return rest


def blocks(text: str, language: str | None = None) -> list[Block]:
    """The fenced blocks, of one language or of any."""
    found = [Block(*match.groups()) for match in _BLOCK.finditer(text)]
    return [block for block in found if language in (None, block.language)]


def rows(text: str, *header: str) -> list[list[str]]:
    """The cells of the one table with this header."""
    (table,) = [table for table in _tables(text) if table[0] == list(header)]
    return table[2:]


def in_code(text: str) -> list[str]:
    """What stands between backticks in a line."""
    return re.findall(r"`([^`]+)`", _FENCED.sub("", text))


def headings(text: str) -> list[str]:
    return re.findall(r"^#+ (.+)$", _FENCED.sub("", text), re.MULTILINE)


def _tables(text: str) -> Iterator[list[list[str]]]:
    for lines in re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE):
        yield [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines.splitlines()]
