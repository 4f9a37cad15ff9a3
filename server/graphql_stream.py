"""What both ways of answering a subscription have in common: each answer as the client sees it, until the last."""

from typing import Any

from graphql import ExecutionResult, GraphQLError

from schema.api import Api
from schema.context import Context
from schema.errors import TOP_LEVEL_CODES
from schema.execution import Answers
from server.graphql_answer import fault
from server.graphql_endpoint import body_told
from server.graphql_request import GraphQLRequest

WRITE_SECONDS = 10
"""Who takes nothing of an answer for so long is let go of."""
ABORT = "abort"
"""Where a request's `state` has what closes its connection at once: to close it as ever waits until all is taken."""


class Stream:
    """The answers to a subscription, in order. One without data is the last and says why there are no more."""

    def __init__(self, answers: Answers | None, context: Context, first: dict[str, Any] | None = None) -> None:
        self._answers, self._context, self._first = answers, context, first

    @property
    def has_begun(self) -> bool:
        """Whether there is anything to wait for but the reason why not."""
        return self._answers is not None

    async def next(self) -> dict[str, Any] | None:
        """None where the server stops, which is not the end: whoever asks is to come again. Clients of others hold what
        is completed for done, so that no stream is completed then."""
        if self._first is not None or self._answers is None:
            first, self._first = self._first, None
            return first
        try:
            result, context = await anext(self._answers)
            return await body_told(result, context, self._context.denied)
        except StopAsyncIteration:
            return None
        except Exception as error:  # noqa: BLE001  (whoever asks is told so in JSON)
            return await _last(error, self._context)

    async def close(self) -> None:
        """Ends it, where nobody waits for more."""
        if self._answers is not None:
            await self._answers.aclose()


async def open_stream(api: Api, asked: GraphQLRequest, context: Context) -> Stream:
    """The answers from now on: what happens once this has returned is in them."""
    try:
        text = api.documents.find(asked.query, asked.document_id)
        result = await api.executor.subscribe(text, asked.variables, asked.operation_name, context)
        if asked.document_id is not None and api.executor.is_ready(text):
            api.documents.keep(text)
        if isinstance(result, ExecutionResult):
            body = await body_told(result, context)
            return Stream(None, context, {"errors": body["errors"]})
        return Stream(result, context)
    except Exception as error:  # noqa: BLE001
        return Stream(None, context, await _last(error, context))


def is_last(body: dict[str, Any]) -> bool:
    """Whether an answer is the last."""
    return "data" not in body


async def _last(error: Exception, context: Context) -> dict[str, Any]:
    if type(error) in TOP_LEVEL_CODES:
        return await body_told(ExecutionResult(None, [GraphQLError(str(error), original_error=error)]), context)
    return {"errors": [fault(error)]}
