"""From a document's text to its answer: parsed, measured and validated once for each text, then executed by
graphql-core.

Strawberry's own way there runs every extension around every step of every operation, which takes longer than a small
operation itself. What those extensions did is done here.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self, TypeAlias, TypeGuard, cast

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    NoFragmentCyclesRule,
    OperationDefinitionNode,
    OperationType,
    parse,
    validate,
)
from graphql.execution import create_source_event_stream, execute_subscription_event

from schema.budget import Allowance, Budget, BudgetSpent
from schema.cost import Operation, Pricing
from schema.limits import STANDARD, LimitExceeded, Limits, Survey
from schema.plain_fields import PlainFieldsExecutor, Plan

# Of an answer to a document that is not valid: more are of no use to anybody.
MAXIMUM_ERRORS = 8
# An operation that costs no more, such as checking a credential, is not worth counting.
FREE = 100
# Who asks for as much is told what it costs.
TOLD_FROM = 1000
_CACHED_DOCUMENTS = 256
# Parsed, a document takes some 300 to 400 times its length.
_CACHED_CHARACTERS = 128 * 1024
_STANDARD_ALLOWANCE = Allowance()
_PLANNED_FIELDS = 300
_TOO_COSTLY = "This operation costs too much; ask for smaller pages"
_STREAM_ONLY = "A subscription is answered by a stream: send Accept: text/event-stream, and no other."
_NO_STREAM = "Only subscriptions are answered by a stream: send others by POST, and accept JSON."


Spend: TypeAlias = Callable[[Any], tuple[dict[str, Any] | None, Exception | None]]
"""Takes what something costs from the budget of a context's caller; what to tell of that, and why it may not be."""


class NotByGet(Exception):
    """A mutation was asked for in a way that is for queries alone."""


class OperationUnclear(Exception):
    """The document has no operation, none of the name asked for, or several and no name was asked for."""


@dataclass(frozen=True)
class Prepared:
    """A document whose operations may be executed; or what is wrong with it."""

    document: DocumentNode | None
    errors: list[GraphQLError] = field(default_factory=list)
    operations: Mapping[str | None, Operation] = field(default_factory=dict)
    is_planned: bool = False
    _plans: dict[str | None, Plan] = field(default_factory=dict)

    def plan(self, operation_name: str | None) -> Plan:
        """For executing one of the operations. By directives something else may be selected the next time; and what
        is selected, fragments written out, may be much larger than the document is."""
        return self._plans.setdefault(operation_name, Plan()) if self.is_planned else Plan()


class Executor:
    """Executes operations on a schema, as far as limits and budgets allow it."""

    def __init__(
        self, schema: GraphQLSchema, limits: Limits = STANDARD, allowance: Allowance = _STANDARD_ALLOWANCE
    ) -> None:
        self._schema = schema
        self._limits = limits
        self._free = min(FREE, limits.cost)
        self._budget = Budget(allowance)
        self._pricing = Pricing(schema)
        self._trusted: dict[str, Prepared] = {}
        self._prepared: OrderedDict[str, Prepared] = OrderedDict()
        self._characters = 0

    def trust(self, text: str) -> str | None:
        """Keeps a document ready for good, which is for a deployment's own; or answers what is wrong with it."""
        prepared = self._read(text)
        if not prepared.operations:
            return "; ".join(error.message for error in prepared.errors) or "There is no operation in it."
        costs = [operation.amount or 0 for operation in prepared.operations.values()]
        if max(costs) > self._limits.cost:
            return str(LimitExceeded(_TOO_COSTLY, self._limits.cost))
        self._trusted[text] = prepared
        return None

    def is_ready(self, text: str) -> bool:
        """Whether a document is kept that can be executed."""
        prepared = self._prepared.get(text)
        return prepared is not None and bool(prepared.operations)

    def is_known_to_read(self, text: str, operation_name: str | None) -> bool:
        """Whether a document has been looked at before and this operation of it is a query."""
        prepared = self._prepared.get(text) or self._trusted.get(text)
        operation = prepared.operations.get(operation_name) if prepared is not None else None
        return operation is not None and operation.kind is OperationType.QUERY

    async def execute(
        self,
        text: str,
        variables: dict[str, Any] | None,
        operation_name: str | None,
        context: Any,
        *,
        queries_only: bool = False,
        begins: Callable[[str], object] = str,
    ) -> ExecutionResult:
        """The answer to one query or mutation of a document. What is wrong with it stands in the answer. `begins` is
        told which of the two it is, if it is one. Raises NotByGet, if `queries_only`."""
        prepared = self.prepare(text)
        operation = prepared.operations.get(operation_name)
        if operation is None or prepared.document is None:
            return ExecutionResult(None, _why_not(prepared, operation_name))
        if operation.kind is OperationType.SUBSCRIPTION:
            return _refused(OperationUnclear(_STREAM_ONLY))
        if queries_only and operation.kind is not OperationType.QUERY:
            raise NotByGet("Only queries are answered by GET: send this operation by POST.")
        begins(operation.kind.value)
        told, refusal = self._spend(operation.cost_given(variables), context)
        if refusal:
            return _refused(refusal, told)
        executor = self._executor(prepared.document, prepared.plan(operation_name), variables, operation_name, context)
        if isinstance(executor, list):
            return ExecutionResult(None, executor, told)
        result = await _result(executor, executor.execute_operation)
        result.extensions = told
        return result

    async def subscribe(
        self, text: str, variables: dict[str, Any] | None, operation_name: str | None, context: Any
    ) -> "ExecutionResult | Answers":
        """The answers to one subscription of a document, or the one that says what is wrong with it. It costs what one
        of its answers does."""
        prepared = self.prepare(text)
        operation = prepared.operations.get(operation_name)
        if operation is None or prepared.document is None:
            return ExecutionResult(None, _why_not(prepared, operation_name))
        if operation.kind is not OperationType.SUBSCRIPTION:
            return _refused(OperationUnclear(_NO_STREAM))
        told, refusal = self._spend(operation.cost_given(variables), context)
        if refusal:
            return _refused(refusal, told)
        executor = self._executor(prepared.document, prepared.plan(operation_name), variables, operation_name, context)
        if isinstance(executor, list):
            return ExecutionResult(None, executor)
        events = create_source_event_stream(executor)
        events = await events if _is_awaitable(events) else events
        if isinstance(events, ExecutionResult):
            return events
        return Answers(executor, events, partial(self._spend, operation.cost_given(variables)))

    def _executor(
        self,
        document: DocumentNode,
        plan: Plan,
        variables: dict[str, Any] | None,
        operation_name: str | None,
        context: Any,
    ) -> PlainFieldsExecutor | list[GraphQLError]:
        """What executes an operation once, or what is wrong with its variables. As graphql-core's `execute` has it, of
        which nothing else is needed: a schema without @defer and @stream has one result."""
        executor = PlainFieldsExecutor.build(
            self._schema,
            document,
            root_value=context,
            context_value=context,
            raw_variable_values=variables,
            operation_name=operation_name,
            max_coercion_errors=MAXIMUM_ERRORS,
            hide_suggestions=True,
            plan=plan,
        )
        return cast(PlainFieldsExecutor | list[GraphQLError], executor)

    def _spend(self, cost: int, context: Any) -> tuple[dict[str, Any] | None, Exception | None]:
        """What to tell of the cost, and why the operation may not be executed, if it may not."""
        if cost <= self._free:
            return None, None
        told: dict[str, Any] = {"requested": cost, "limit": self._limits.cost}
        if cost > self._limits.cost:
            return {"cost": told}, LimitExceeded(_TOO_COSTLY, told["limit"])
        try:
            remaining = self._budget.spend(context.caller, cost)
        except BudgetSpent as spent:
            return {"cost": told}, spent
        if cost < TOLD_FROM:
            return None, None
        return {"cost": told if remaining is None else {**told, "remaining": remaining}}, None

    def prepare(self, text: str) -> Prepared:
        """A document as it is executed, from memory where it was asked before."""
        prepared = self._prepared.get(text)
        if prepared is not None:
            self._prepared.move_to_end(text)
            return prepared
        if text in self._trusted:
            return self._trusted[text]
        prepared = self._read(text)
        # A text with a string in it may hold a secret, which is not to stay; and will hardly be sent again.
        if '"' not in text:
            self._keep(text, prepared)
        return prepared

    def _keep(self, text: str, prepared: Prepared) -> None:
        self._prepared[text] = prepared
        self._characters += len(text)
        while len(self._prepared) > _CACHED_DOCUMENTS or self._characters > _CACHED_CHARACTERS:
            forgotten, _ = self._prepared.popitem(last=False)
            self._characters -= len(forgotten)

    def _read(self, text: str) -> Prepared:
        tokens = self._limits.tokens
        try:
            return self._look_at(parse(text, max_lexical_tokens=tokens, max_comments=tokens))
        except GraphQLError as error:
            return Prepared(None, [error])

    def _look_at(self, document: DocumentNode) -> Prepared:
        survey = Survey(document)
        try:
            survey.check(self._limits)
        except LimitExceeded as exceeded:
            return Prepared(None, [_error(exceeded)])
        # Where fragments spread themselves nothing is measured, so no other rule gets to see them.
        rules = [NoFragmentCyclesRule] if survey.has_cycle else None
        if errors := validate(self._schema, document, rules, max_errors=MAXIMUM_ERRORS, hide_suggestions=True):
            return Prepared(document, errors)
        is_planned = not survey.has_directives and survey.fields <= _PLANNED_FIELDS
        return Prepared(document, operations=self._pricing.operations(survey), is_planned=is_planned)


def _error(error: Exception) -> GraphQLError:
    return GraphQLError(str(error), original_error=error)


def _why_not(prepared: Prepared, asked_for: str | None) -> list[GraphQLError]:
    """GetOperation of the GraphQL specification, 6.1; and what is wrong with the document else."""
    if prepared.document is not None:
        try:
            _check(prepared.document, asked_for)
        except OperationUnclear as unclear:
            return [_error(unclear)]
    return prepared.errors


class Answers:
    """The answers to a subscription, one for each of its events, and the context that each is answered in. Each costs
    what the operation does: who has spent the budget is told so, and that is the last. Raises what the events do. Close
    it where nobody waits for more."""

    def __init__(self, executor: PlainFieldsExecutor, events: Any, spend: Spend) -> None:
        self._executor, self._events, self._spend = executor, events, spend

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[ExecutionResult, Any]:
        event = await anext(self._events)
        _, refusal = self._spend(event.context)
        if refusal:
            return _refused(refusal), event.context
        executor = cast(PlainFieldsExecutor, self._executor.build_per_event_executor(event))
        executor.context_value = event.context
        return await _result(executor, partial(execute_subscription_event, executor)), event.context

    async def aclose(self) -> None:
        await self._events.aclose()


def _refused(why: Exception, told: dict[str, Any] | None = None) -> ExecutionResult:
    return ExecutionResult(None, [_error(why)], told)


def _check(document: DocumentNode, asked_for: str | None) -> None:
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    if not operations:
        raise OperationUnclear("There is no operation in this document.")
    if asked_for is None and len(operations) > 1:
        raise OperationUnclear("There are several operations in this document: name one in operationName.")
    if asked_for is not None and asked_for not in [each.name.value for each in operations if each.name]:
        raise OperationUnclear("There is no operation of this name in this document.")


async def _result(executor: PlainFieldsExecutor, execute: Callable[[], Any]) -> ExecutionResult:
    try:
        executed = execute()
        result: ExecutionResult = await executed if _is_awaitable(executed) else executed
    finally:
        executor.let_go()
    return result


def _is_awaitable(value: Any) -> TypeGuard[Awaitable[Any]]:
    return hasattr(type(value), "__await__")
