"""How large a document may be, measured before it is validated: some rules of validation take time that grows with the
square of what they look at.

Each definition is walked once, and what a fragment amounts to is known before those that spread it are measured, so
that fragments which spread each other twice over, and would be of astronomical size written out, cost no more than
their text.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple, TypeAlias

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

# GraphiQL and code generators ask for the schema 15 deep, most of it `ofType`, and no page of anything is behind that.
INTROSPECTION_DEPTH = 20
_INTROSPECTION = frozenset({"__schema", "__type"})

Definition: TypeAlias = OperationDefinitionNode | FragmentDefinitionNode


@dataclass(frozen=True)
class Limits:
    """The most that one document may have.

    tokens:      as graphql-core counts them, without comments.
    depth:       of fields within fields, fragments written out.
    aliases:     as written, of the whole document.
    directives:  as written, of the whole document.
    repetitions: of fields that stand again in one selection, as written, of the whole document. Validation compares
                 each with each.
    root_fields: of each operation, fragments written out.
    cost:        of the operation executed; see `schema.cost`. Of each one written, the number of its fields.
    """

    tokens: int = 1000
    depth: int = 12
    aliases: int = 30
    directives: int = 50
    repetitions: int = 50
    root_fields: int = 20
    cost: int = 50_000


STANDARD = Limits()


class LimitExceeded(Exception):
    """A document is larger than it may be; the message says in what."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"{what}: the limit is {limit:,}.")


class Size(NamedTuple):
    """Of a selection, fragments written out. Depths are 0 where there is nothing of the kind."""

    fields: int = 0
    own_fields: int = 0
    depth: int = 0
    introspection_depth: int = 0


class Survey:
    """A document, looked through once: its fragments, each after those that it spreads, and how much there is.

    visited: the number of nodes looked at, which grows with the text alone.
    fields: of all operations, fragments written out; known once it was checked.
    has_cycle: fragments spread themselves, which validation refuses; nothing else is then known.
    """

    def __init__(self, document: DocumentNode) -> None:
        self.visited = 0
        self.fields = 0
        self._written: Counter[str] = Counter()
        definitions = [each for each in document.definitions if isinstance(each, Definition)]
        self.operations = [each for each in definitions if isinstance(each, OperationDefinitionNode)]
        fragments = {each.name.value: each for each in definitions if isinstance(each, FragmentDefinitionNode)}
        spread = {id(each): self._look_through(each) for each in definitions}
        order = TopologicalSorter({name: spread[id(each)] & fragments.keys() for name, each in fragments.items()})
        try:
            self.fragments = {name: fragments[name] for name in order.static_order()}
            self.has_cycle = False
        except CycleError:
            self.fragments, self.has_cycle = {}, True

    @property
    def has_directives(self) -> bool:
        return self._written["directives"] > 0

    def check(self, limits: Limits) -> None:
        """Raises LimitExceeded."""
        _check("There are too many aliases", self._written["aliases"], limits.aliases)
        _check("There are too many directives", self._written["directives"], limits.directives)
        _check("There are too many repeated fields", self._written["repetitions"], limits.repetitions)
        if not self.has_cycle:
            sizes = self._sizes()
            for operation in self.operations:
                size = self._size(operation.selection_set, sizes)
                _check_size(size, limits)
                self.fields += size.fields

    def _look_through(self, definition: Definition) -> set[str]:
        """Counts what a definition has, and answers the names of the fragments that it spreads."""
        spread: set[str] = set()
        nodes: list[Definition | FieldNode | InlineFragmentNode | FragmentSpreadNode] = [definition]
        if isinstance(definition, OperationDefinitionNode):
            for variable in definition.variable_definitions or ():
                self._written["directives"] += len(variable.directives or ())
        while nodes:
            node = nodes.pop()
            self.visited += 1
            self._written["directives"] += len(node.directives or ())
            if isinstance(node, FragmentSpreadNode):
                spread.add(node.name.value)
                continue
            if isinstance(node, FieldNode) and node.alias:
                self._written["aliases"] += 1
            if node.selection_set:
                nodes += node.selection_set.selections  # type: ignore[arg-type]
                if not isinstance(node, InlineFragmentNode):
                    self._written["repetitions"] += self._repetitions(node.selection_set)
        return spread

    def _repetitions(self, selection_set: SelectionSetNode) -> int:
        """Of names in one selection, inline fragments being part of it."""
        names = []
        nodes = list(selection_set.selections)
        while nodes:
            node = nodes.pop()
            self.visited += 1
            if isinstance(node, FieldNode):
                names.append((node.alias or node.name).value)
            elif isinstance(node, InlineFragmentNode):
                nodes += node.selection_set.selections
        return len(names) - len(set(names))

    def _sizes(self) -> Mapping[str, Size]:
        sizes: dict[str, Size] = {}
        for name, fragment in self.fragments.items():
            sizes[name] = self._size(fragment.selection_set, sizes)
        return sizes

    def _size(self, selection_set: SelectionSetNode, fragments: Mapping[str, Size]) -> Size:
        return _together(self._sizes_in(selection_set, fragments))

    def _sizes_in(self, selection_set: SelectionSetNode, fragments: Mapping[str, Size]) -> Iterable[Size]:
        for node in selection_set.selections:
            self.visited += 1
            if isinstance(node, FragmentSpreadNode):
                yield fragments.get(node.name.value, Size())
            elif isinstance(node, InlineFragmentNode):
                yield self._size(node.selection_set, fragments)
            elif isinstance(node, FieldNode):
                below = self._size(node.selection_set, fragments) if node.selection_set else Size()
                yield _one_more(below, node.name.value in _INTROSPECTION)


def _one_more(below: Size, is_introspection: bool) -> Size:
    """Of a field with what is below it."""
    if is_introspection:
        return Size(1 + below.fields, 1, 0, 1 + max(below.depth, below.introspection_depth))
    return Size(1 + below.fields, 1, 1 + below.depth, 1 + below.introspection_depth if below.introspection_depth else 0)


def _together(sizes: Iterable[Size]) -> Size:
    fields = own_fields = depth = introspection_depth = 0
    for size in sizes:
        fields += size.fields
        own_fields += size.own_fields
        depth = max(depth, size.depth)
        introspection_depth = max(introspection_depth, size.introspection_depth)
    return Size(fields, own_fields, depth, introspection_depth)


def _check_size(size: Size, limits: Limits) -> None:
    _check("Fields are nested too deep", size.depth, limits.depth)
    _check("Introspection is nested too deep", size.introspection_depth, max(INTROSPECTION_DEPTH, limits.depth))
    _check("There are too many fields at the root", size.own_fields, limits.root_fields)
    _check("There are too many fields, fragments written out", size.fields, limits.cost)


def _check(what: str, found: int, limit: int) -> None:
    if found > limit:
        raise LimitExceeded(what, limit)
