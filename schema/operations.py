"""Which of a document's operations is to be run."""

from collections.abc import Iterator

from graphql import OperationDefinitionNode
from strawberry.extensions import SchemaExtension


class OperationUnclear(Exception):
    """The document has no operation, none of the name asked for, or several and no name was asked for."""


class OneOperation(SchemaExtension):
    """GetOperation of the GraphQL specification, 6.1. By itself Strawberry would run the first of several."""

    def on_parse(self) -> Iterator[None]:
        yield
        document = self.execution_context.graphql_document
        if document is not None:
            definitions = document.definitions
            _check([each for each in definitions if isinstance(each, OperationDefinitionNode)], self._asked_for)

    @property
    def _asked_for(self) -> str | None:
        # operation_name gives the first operation's name where none was asked for.
        return self.execution_context._provided_operation_name


def _check(operations: list[OperationDefinitionNode], asked_for: str | None) -> None:
    if not operations:
        raise OperationUnclear("There is no operation in this document.")
    if asked_for is None and len(operations) > 1:
        raise OperationUnclear("There are several operations in this document: name one in operationName.")
    if asked_for is not None and asked_for not in [each.name.value for each in operations if each.name]:
        raise OperationUnclear("There is no operation of this name in this document.")
