"""From a document's text to its answer: parsed and validated once for each text, then executed by graphql-core.

Strawberry's own way there runs every extension around every step of every operation, which takes longer than a small
operation itself. What those extensions did is done here.
"""

from collections import OrderedDict
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    execute,
    parse,
    validate,
)
from graphql.execution.executor import Executor as CoreExecutor

MAXIMUM_TOKENS = 2000
_CACHED_DOCUMENTS = 256


class OperationUnclear(Exception):
    """The document has no operation, none of the name asked for, or several and no name was asked for."""


@dataclass(frozen=True)
class _Prepared:
    """A document that may be executed; or what is wrong with it."""

    document: DocumentNode | None
    errors: list[GraphQLError] = field(default_factory=list)


class Executor:
    """Executes operations on a schema."""

    def __init__(self, schema: GraphQLSchema, core_executor: type[CoreExecutor[Any]]) -> None:
        self._schema = schema
        self._core_executor = core_executor
        self._prepared: OrderedDict[str, _Prepared] = OrderedDict()

    async def execute(
        self, text: str, variables: dict[str, Any] | None, operation_name: str | None, context: Any
    ) -> ExecutionResult:
        """The answer to one operation of a document. What is wrong with it stands in the answer."""
        prepared = self._prepare(text)
        if prepared.document is None:
            return ExecutionResult(None, prepared.errors)
        try:
            _check(prepared.document, operation_name)
        except OperationUnclear as unclear:
            return ExecutionResult(None, [GraphQLError(str(unclear), original_error=unclear)])
        if prepared.errors:
            return ExecutionResult(None, prepared.errors)
        result = execute(
            self._schema,
            prepared.document,
            context_value=context,
            variable_values=variables,
            operation_name=operation_name,
            is_awaitable=_is_awaitable,
            executor_class=self._core_executor,
        )
        return result if isinstance(result, ExecutionResult) else await result

    def _prepare(self, text: str) -> _Prepared:
        prepared = self._prepared.get(text)
        if prepared is not None:
            self._prepared.move_to_end(text)
            return prepared
        try:
            document = parse(text, max_lexical_tokens=MAXIMUM_TOKENS)
            prepared = _Prepared(document, validate(self._schema, document))
        except GraphQLError as error:
            prepared = _Prepared(None, [error])
        # A text with a string in it may hold a secret, which is not to stay; and will hardly be sent again.
        if '"' not in text:
            self._prepared[text] = prepared
            if len(self._prepared) > _CACHED_DOCUMENTS:
                self._prepared.popitem(last=False)
        return prepared


def _check(document: DocumentNode, asked_for: str | None) -> None:
    """GetOperation of the GraphQL specification, 6.1."""
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    if not operations:
        raise OperationUnclear("There is no operation in this document.")
    if asked_for is None and len(operations) > 1:
        raise OperationUnclear("There are several operations in this document: name one in operationName.")
    if asked_for is not None and asked_for not in [each.name.value for each in operations if each.name]:
        raise OperationUnclear("There is no operation of this name in this document.")


def _is_awaitable(value: Any) -> TypeGuard[Awaitable[Any]]:
    return hasattr(type(value), "__await__")
