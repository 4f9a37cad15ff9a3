"""Ids that name nothing that a caller has to do with, and everywhere that they might be tried."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.access.api import Field, Path, all_fields, id_paths, node_types, put_at, variables
from tests.access.stage import TYPE_OF_INPUT, Stage

_GARBAGE = ["", " ", "null", "../accounts", "ключ", "acct_", "x" * 5000]


@dataclass(frozen=True)
class Place:
    """An input of a field where an id may stand, and the type of what it names; one that may name anything is as many
    places as there are types."""

    field: Field
    path: Path
    type: str

    def __str__(self) -> str:
        return f"{self.field}:{'.'.join(self.path)}" + (f"({self.type})" if self.takes_any_type else "")

    @property
    def takes_any_type(self) -> bool:
        return self.path[-1] == "subjectId"

    @property
    def is_first(self) -> bool:
        """Whether no other place is the same input."""
        return not self.takes_any_type or self.type == node_types()[0]

    @property
    def is_alone(self) -> bool:
        """Whether the field takes no other id."""
        return len(id_paths(self.field.definition)) == 1

    def filled(self, stage: Stage, id_: str) -> dict[str, Any]:
        """Variables with an id there; every other one is of the account asked about."""
        definition = self.field.definition
        given = variables(definition, stage.value_of, also=id_paths(definition))
        return put_at(given, self.path, id_)


def all_places() -> list[Place]:
    return [place for field in all_fields() if field.at_root for place in _places(field)]


def not_yours(stage: Stage, place: Place, column: str) -> list[str]:
    """Ids of the right type that there are, but not for this caller: of another account, and of a colleague."""
    ids = [stage.theirs.ids[place.type]]
    is_own = place.type == "Credential" and column == "member"
    is_personal = place.type == "AccessToken" and not place.takes_any_type
    return [*ids, stage.mine.colleagues[place.type]] if is_own or is_personal else ids


def not_there(stage: Stage, place: Place) -> str:
    """A well-formed id of the right type, of nothing."""
    prefix = stage.mine.ids[place.type].partition("_")[0]
    return f"{prefix}_{'01' * 16}"


def not_such(stage: Stage, place: Place) -> list[str]:
    """Ids of another type, and what is no id at all."""
    another = node_types()[node_types().index(place.type) - 1]
    others = [stage.theirs.ids[another]]
    if not (place.takes_any_type or place.field.of):
        others.append(stage.mine.ids[another])
    mine = stage.mine.ids[place.type]
    return [*others, mine.upper(), f" {mine}", f"{mine}0", mine[:-1], *_GARBAGE]


def _places(field: Field) -> Iterator[Place]:
    for path in id_paths(field.definition):
        types = node_types() if path[-1] == "subjectId" else [field.of or TYPE_OF_INPUT[path[-1]]]
        yield from (Place(field, path, type_) for type_ in types)
