"""One operation out of a request, as GraphQL over HTTP has it (first edition, September 2026): by POST as JSON, or by
GET in the address; and what the answer may be written in."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from starlette.requests import Request

GRAPHQL_JSON = "application/graphql-response+json"
JSON = "application/json"
EVENT_STREAM = "text/event-stream"
METHODS = "GET, POST"

MAXIMUM_BODY = 1024 * 1024
# Parsed documents are kept for the next time, so each must be small.
MAXIMUM_DOCUMENT = 32 * 1024
_UTF_8 = frozenset({"", "utf-8", "utf8"})
_KINDS = (("variables", dict), ("operationName", str), ("extensions", dict), ("documentId", str))
_PARAMETERS = frozenset({"query", "variables", "operationName", "extensions", "documentId"})


class BadRequest(Exception):
    """The request is not one operation; the message says why.

    is_readable: it is JSON, but not of the form wanted: the first edition has a status of its own for that.
    """

    def __init__(
        self, status: int, message: str, headers: Mapping[str, str] | None = None, *, is_readable: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.is_readable = is_readable


class GraphQLRequest(NamedTuple):
    """What is asked for: by a document, its id, or both. By GET, which anybody can have a browser send, only queries.

    document_id: as `documentId` of the specification's proposal for persisted documents, or Apollo's `sha256Hash`.
    """

    query: str | None
    variables: dict[str, Any] | None
    operation_name: str | None
    document_id: str | None
    queries_only: bool = False

    def __repr__(self) -> str:
        return "GraphQLRequest(…)"


async def read_request(request: Request) -> GraphQLRequest:
    """Raises BadRequest."""
    if request.method == "POST":
        return operation_of(await _read_json(request))
    if request.method == "GET":
        return operation_of(_in_address(request), 414, queries_only=True)
    raise BadRequest(405, "Send the operation by POST, or a query by GET.", {"Allow": METHODS})


@lru_cache(maxsize=64)
def media_type_for(accept: str) -> str:
    """What to write the answer in, by an Accept header (RFC 9110, 12.5.1): of the two with the greatest weight the
    newer one, if it is named. Raises BadRequest."""
    if not accept.strip():
        return JSON
    ranges = _media_ranges(accept)
    newer, older = _weight(GRAPHQL_JSON, ranges), _weight(JSON, ranges)
    if newer > older or (newer == older > 0 and GRAPHQL_JSON in dict(ranges)):
        return GRAPHQL_JSON
    if older:
        return JSON
    raise BadRequest(406, f"Accept {GRAPHQL_JSON} or {JSON}, in UTF-8; for subscriptions {EVENT_STREAM}.")


@lru_cache(maxsize=64)
def is_for_events(accept: str) -> bool:
    """Whether an Accept header names event streams, and does not name JSON."""
    weights = dict(_media_ranges(accept))
    return weights.get(EVENT_STREAM, 0) > 0 and not (weights.get(GRAPHQL_JSON) or weights.get(JSON))


def _media_ranges(accept: str) -> list[tuple[str, float]]:
    return [weighted for text in accept.split(",") if (weighted := _media_range(text))]


def _media_range(text: str) -> tuple[str, float] | None:
    """A media range and its weight; None where it is not for answers in UTF-8, or unreadable."""
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    given = dict(_parameter(parameter) for parameter in parameters)
    if given.get("charset", "") not in _UTF_8:
        return None
    try:
        weight = float(given.get("q", "1"))
    except ValueError:
        return None
    return (name, weight) if 0 <= weight <= 1 else None


def _parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip(), value.strip().strip('"')


def _weight(media_type: str, ranges: list[tuple[str, float]]) -> float:
    """That of the range which fits best."""
    weights = dict(ranges)
    return next((weights[name] for name in (media_type, "application/*", "*/*") if name in weights), 0.0)


async def _read_json(request: Request) -> Any:
    _check_content_type(request.headers.get("content-type", ""))
    if request.headers.get("content-encoding", "identity").strip().lower() not in {"identity", ""}:
        raise BadRequest(415, "Send the operation as it is, without Content-Encoding.", {"Accept-Encoding": "identity"})
    try:
        return orjson.loads(await _read_body(request))
    except orjson.JSONDecodeError as error:
        raise BadRequest(400, f"The body is not JSON{_place(error)}.") from None


def _place(error: orjson.JSONDecodeError) -> str:
    """Where it stops being JSON; of what is not even UTF-8, and of nothing, that is not known."""
    return f": line {error.lineno}, column {error.colno}" if error.pos else ""


@lru_cache(maxsize=64)
def _check_content_type(content_type: str) -> None:
    name, *parameters = content_type.lower().split(";")
    # What a form of another site can send without asking first is of another type.
    if name.strip() != JSON:
        raise BadRequest(415, "Send the operation as JSON, with Content-Type: application/json.", {"Accept-Post": JSON})
    if dict(map(_parameter, parameters)).get("charset", "") not in _UTF_8:
        raise BadRequest(415, "Send the operation in UTF-8.", {"Accept-Post": JSON})


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAXIMUM_BODY:
            raise BadRequest(413, f"The body is larger than {MAXIMUM_BODY} bytes.")
    return bytes(body)


def _in_address(request: Request) -> dict[str, Any]:
    """The parameters of the query string, of which variables and extensions are JSON."""
    given: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in given:
            raise BadRequest(400, f"{name} is there twice.", is_readable=True)
        if name in _PARAMETERS:
            given[name] = value
    for name in ("variables", "extensions"):
        try:
            given[name] = orjson.loads(given[name]) if given.get(name) else None
        except orjson.JSONDecodeError as error:
            raise BadRequest(400, f"{name} is not JSON{_place(error)}.") from None
    return given


def operation_of(sent: Any, too_long: int = 413, *, queries_only: bool = False) -> GraphQLRequest:
    """What was sent as JSON, or as if it had been. `too_long` is the status for a document that is. Raises
    BadRequest."""
    if isinstance(sent, list):
        raise BadRequest(400, "Batches are not answered: send each operation by itself.", is_readable=True)
    if not isinstance(sent, dict):
        raise BadRequest(400, "The body must be a JSON object with a query.", is_readable=True)
    for name, kind in _KINDS:
        if not isinstance(sent.get(name), kind | None):
            text = f"{name} must be {'an object' if kind is dict else 'a string'}, or left out."
            raise BadRequest(400, text, is_readable=True)
    document, document_id = sent.get("query"), _document_id(sent)
    if document_id is None or document is not None:
        _check_document(document, too_long)
    operation_name = sent.get("operationName") or None
    return GraphQLRequest(document, sent.get("variables"), operation_name, document_id, queries_only)


def _check_document(document: Any, too_long: int) -> None:
    if not isinstance(document, str) or not document.strip():
        raise BadRequest(400, "Send a GraphQL document as query, or its id as documentId.", is_readable=True)
    if len(document) > MAXIMUM_DOCUMENT:
        text = f"The document is longer than {MAXIMUM_DOCUMENT} characters: send values as variables."
        raise BadRequest(too_long, text)


def _document_id(sent: Mapping[str, Any]) -> str | None:
    persisted = (sent.get("extensions") or {}).get("persistedQuery")
    if persisted is None:
        return sent.get("documentId")
    if not isinstance(persisted, dict) or persisted.get("version") != 1 or not _is_text(persisted.get("sha256Hash")):
        text = "extensions.persistedQuery must have the version 1 and the document's sha256Hash."
        raise BadRequest(400, text, is_readable=True)
    if sent.get("documentId") not in {None, persisted["sha256Hash"]}:
        raise BadRequest(400, "documentId and extensions.persistedQuery name two documents.", is_readable=True)
    return str(persisted["sha256Hash"])


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
