"""GraphQL over HTTP: one request, one operation, one answer.

Wrong requests are told apart by status, and none of them reaches the schema.
"""

from collections.abc import Iterable
from time import perf_counter

from graphql import ExecutionResult, FieldNode, GraphQLError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from auth.policy import Forbidden, Unauthenticated
from models.failures import is_unavailable
from resolvers.denials import record_denial
from schema.api import Api
from schema.context import Context
from schema.execution import NotByGet
from schema.persisted import UNKNOWN_DOCUMENT
from server.graphql_answer import Body, answer, body_of, codes_in, fault, refusal, status_of
from server.graphql_caller import CallerUnknown, context_of
from server.graphql_request import JSON, BadRequest, GraphQLRequest, media_type_for, read_request
from server.identification import write_session_cookie
from server.request_counts import RequestCounts
from server.tracing import note


class GraphQLEndpoint:
    """Answers operations on an API, for whoever the session token says is asking. An ASGI application.

    strict_status: whether statuses are those of the first edition of GraphQL over HTTP.
    """

    def __init__(self, api: Api, *, strict_status: bool = False) -> None:
        self.api = api
        self._strict = strict_status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.answer(Request(scope, receive))
        await response(scope, receive, send)

    async def answer(self, request: Request) -> Response:
        media_type = JSON
        try:
            media_type = media_type_for(request.headers.get("accept", ""))
            asked = await read_request(request)
        except BadRequest as error:
            return refusal(error, media_type, strict=self._strict)
        try:
            began, kinds = perf_counter(), list[str]()
            only_reads = self._only_reads(asked)
            context = await context_of(request, to_read=only_reads)
            result = await self._execute(asked, context, kinds)
            if only_reads and _denials(result.errors or ()):
                # The log will tell whom this was denied to, and why: as it is, not as it is remembered.
                context = await context_of(request)
                result = await self._execute(asked, context, kinds)
            body = await body_told(result, context)
        except NotByGet as error:
            return refusal(BadRequest(405, str(error), {"Allow": "POST"}), media_type, strict=self._strict)
        except CallerUnknown as unknown:
            return answer({"errors": [unknown.error]}, unknown.status, media_type)
        except Exception as error:  # noqa: BLE001  (whoever asks is told so in JSON)
            return answer({"errors": [fault(error)]}, 503 if is_unavailable(error) else 500, media_type)
        counts: RequestCounts = request.app.state.counts
        kind, codes = kinds[0] if kinds else "none", codes_in(body)
        counts.executed(kind, codes, perf_counter() - began)
        note(request.scope, {"graphql.operation.type": kind, **({"error.type": codes[0]} if codes else {})})
        response = answer(body, status_of(body, media_type, strict=self._strict), media_type)
        write_session_cookie(request, context.reply, response.headers)
        return response

    def _only_reads(self, asked: GraphQLRequest) -> bool:
        try:
            text = self.api.documents.find(asked.query, asked.document_id)
        except UNKNOWN_DOCUMENT:
            return False
        return self.api.executor.is_known_to_read(text, asked.operation_name)

    async def _execute(self, asked: GraphQLRequest, context: Context, kinds: list[str]) -> ExecutionResult:
        documents, executor = self.api.documents, self.api.executor
        try:
            text = documents.find(asked.query, asked.document_id)
        except UNKNOWN_DOCUMENT as unknown:
            return ExecutionResult(None, [GraphQLError(str(unknown), original_error=unknown)])
        result = await executor.execute(
            text,
            asked.variables,
            asked.operation_name,
            context,
            queries_only=asked.queries_only,
            begins=kinds.append,
        )
        if asked.document_id is not None and executor.is_ready(text):
            documents.keep(text)
        return result


async def body_told(result: ExecutionResult, context: Context, recorded: set[str] | None = None) -> Body:
    """A result as the client sees it. What it was denied is recorded, but for the fields for which it was already,
    where results are many; and these are then among them."""
    recorded = set() if recorded is None else recorded
    for error in result.errors or ():
        if isinstance(error.original_error, Unauthenticated):
            error.message = context.caller.why_nobody or error.message
    for field, denial in _denials(result.errors or ()).items():
        if field not in recorded:
            recorded.add(field)
            await record_denial(context.caller, denial, field)
    return body_of(result)


def _denials(errors: Iterable[GraphQLError]) -> dict[str, Forbidden]:
    """What was denied, by the field's own name and not the alias that the client gave it; each field once, however
    often one operation asked for it."""
    return {
        node.name.value: error.original_error
        for error in errors
        for node in error.nodes or ()
        if isinstance(error.original_error, Forbidden) and isinstance(node, FieldNode)
    }
