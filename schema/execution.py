"""From a document's text to its answer: parsed and validated once for each text, then executed by graphql-core.

Strawberry's own way there runs every extension around every step of every operation, which takes longer than a small
operation itself. What those extensions did is done here.
"""

from collections import OrderedDict
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, Self, TypeGuard

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    execute,
    parse,
    validate,
)
from graphql.execution import create_source_event_stream, execute_subscription_event
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
        """The answer to one query or mutation of a document. What is wrong with it stands in the answer."""
        document = self._document(text, operation_name, wants_subscription=False)
        if isinstance(document, ExecutionResult):
            return document
        result = execute(
            self._schema,
            document,
            context_value=context,
            variable_values=variables,
            operation_name=operation_name,
            is_awaitable=_is_awaitable,
            executor_class=self._core_executor,
        )
        return result if isinstance(result, ExecutionResult) else await result

    async def subscribe(
        self, text: str, variables: dict[str, Any] | None, operation_name: str | None, context: Any
    ) -> "ExecutionResult | Answers":
        """The answers to one subscription of a document, or the one that says what is wrong with it."""
        document = self._document(text, operation_name, wants_subscription=True)
        if isinstance(document, ExecutionResult):
            return document
        executor = self._core_executor.build(
            self._schema,
            document,
            context_value=context,
            raw_variable_values=variables,
            operation_name=operation_name,
            is_awaitable=_is_awaitable,
        )
        if isinstance(executor, list):
            return ExecutionResult(None, executor)
        events = create_source_event_stream(executor)
        events = await events if _is_awaitable(events) else events
        return events if isinstance(events, ExecutionResult) else Answers(executor, events)

    def _document(
        self, text: str, operation_name: str | None, *, wants_subscription: bool
    ) -> DocumentNode | ExecutionResult:
        """A document whose operation may be executed; or the answer that says why not."""
        prepared = self._prepare(text)
        if prepared.document is None:
            return ExecutionResult(None, prepared.errors)
        try:
            operation = _operation(prepared.document, operation_name)
            _check_way(operation, wants_subscription)
        except OperationUnclear as unclear:
            return ExecutionResult(None, [GraphQLError(str(unclear), original_error=unclear)])
        return ExecutionResult(None, prepared.errors) if prepared.errors else prepared.document

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


class Answers:
    """The answers to a subscription, one for each of its events, each of which brings the context that it is answered
    in. Raises what the events do. Close it where nobody waits for more."""

    def __init__(self, executor: CoreExecutor[Any], events: Any) -> None:
        self._executor, self._events = executor, events

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ExecutionResult:
        event = await anext(self._events)
        executor = self._executor.build_per_event_executor(event)
        executor.context_value = event.context
        result = execute_subscription_event(executor)
        return result if isinstance(result, ExecutionResult) else await result

    async def aclose(self) -> None:
        await self._events.aclose()


def _operation(document: DocumentNode, asked_for: str | None) -> OperationDefinitionNode:
    """GetOperation of the GraphQL specification, 6.1."""
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    if not operations:
        raise OperationUnclear("There is no operation in this document.")
    if asked_for is None and len(operations) > 1:
        raise OperationUnclear("There are several operations in this document: name one in operationName.")
    named = [each for each in operations if asked_for is None or (each.name and each.name.value == asked_for)]
    if not named:
        raise OperationUnclear("There is no operation of this name in this document.")
    return named[0]


def _check_way(operation: OperationDefinitionNode, wants_subscription: bool) -> None:
    is_subscription = operation.operation is OperationType.SUBSCRIPTION
    if is_subscription and not wants_subscription:
        raise OperationUnclear("A subscription is answered by a stream: send Accept: text/event-stream, and no other.")
    if wants_subscription and not is_subscription:
        raise OperationUnclear("Only subscriptions are answered by a stream: send others by POST, and accept JSON.")


def _is_awaitable(value: Any) -> TypeGuard[Awaitable[Any]]:
    return hasattr(type(value), "__await__")
