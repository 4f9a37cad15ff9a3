"""Errors outside of GraphQL and OAuth: problem documents (RFC 9457) with a code for programs."""

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from starlette.responses import Response

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def problem(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    return Response(orjson.dumps(body), status, {**NO_STORE, **(headers or {})}, "application/problem+json")
