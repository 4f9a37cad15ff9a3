"""Reads matrix.txt, which says who may do what."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.access.outcomes import ALLOW, NOTHING
from tests.access.stage import COLUMNS

_OUTCOMES = {
    "yes": ALLOW,
    "no": "FORBIDDEN",
    "signin": "UNAUTHENTICATED",
    "access": "API_ACCESS_REMOVED",
    "null": NOTHING,
}


@dataclass(frozen=True)
class Row:
    """Of one field: what each caller is answered, by column, and what it takes to be allowed: all of it, or any."""

    cells: Mapping[str, str]
    needs: frozenset[str]
    any_will_do: bool

    @property
    def allowed(self) -> list[str]:
        """The columns in which it is done, or answered."""
        return [column for column, cell in self.cells.items() if cell == ALLOW]

    def is_enough(self, permissions: Collection[str], *, role: str, by_token: bool) -> bool:
        """Whether somebody with these permissions has what it takes."""
        has = {
            "-": True,
            "user": True,
            "person": not by_token,
            "account": role != "OPERATOR" or "MANAGE_ACCOUNTS" in permissions,
        }
        found = [has.get(need, need in permissions) for need in self.needs]
        return any(found) if self.any_will_do else all(found)


def read_matrix() -> dict[str, Row]:
    """The rows by field. Raises ValueError where a line can't be understood."""
    lines = Path(__file__).with_name("matrix.txt").read_text().splitlines()
    header, *rows = [line.split() for line in lines if line and not line.startswith("#")]
    if header != ["field", *COLUMNS, "needs"]:
        raise ValueError(f"matrix.txt must have the columns {' '.join(COLUMNS)}")
    return _no_field_twice([_row(words) for words in rows])


def _row(words: list[str]) -> tuple[str, Row]:
    field, cells, needs = words[0], words[1 : len(COLUMNS) + 1], words[len(COLUMNS) + 1 :]
    if not needs or not set(cells) <= set(_OUTCOMES):
        raise ValueError(f"matrix.txt: the row of {field} is incomplete, or has a word that is not explained there")
    outcomes = dict(zip(COLUMNS, (_OUTCOMES[cell] for cell in cells), strict=True))
    return field, Row(outcomes, frozenset(needs) - {"and", "or"}, any_will_do="or" in needs)


def _no_field_twice(rows: list[tuple[str, Row]]) -> dict[str, Row]:
    matrix = dict(rows)
    if len(matrix) < len(rows):
        raise ValueError("matrix.txt has two rows for the same field")
    return matrix
