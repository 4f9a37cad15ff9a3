"""/verify: what a gateway asks about each request, in the language of nginx auth_request, Traefik ForwardAuth, Caddy
forward_auth and Envoy ext_authz: 200, 401 or 403, and headers for the upstream.

The request's own Authorization (Basic or Bearer) or X-API-Key and X-API-Secret are what is checked; the gateway shows
who it is by X-Sealkey-Gateway-Token. Which service is required the gateway says: at /verify in the query or by
X-Sealkey-Service-Required; at /verify/…, which is for gateways that append the path and query of their client's
request, by that header, or that it is none.

Asked about every call that the provider's APIs receive, this is plain ASGI: what a framework would make of a request
costs more than the answer. For the same reason checks are counted and not logged.
"""

from asyncio import get_running_loop
from binascii import a2b_base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import orjson
from starlette.types import Scope, Send

from auth.crypto.secret import Secret
from auth.policy import Denied
from models.check_facts import CredentialFacts
from models.database import answered_soon
from models.failures import is_unavailable
from resolvers.access_tokens import verify_access_token
from resolvers.caller import Caller, Deployment
from resolvers.check_credential import DecisionCode, Question, Verdict, verify_credential
from resolvers.check_credential import verify_at_once as verify_credential_at_once
from server.gate import RETRY_AFTER, Gate, Overloaded
from server.identification import find_gateway, remembered_gateway
from server.logs import log_fault
from server.request_counts import RequestCounts
from server.tracing import check_span

if TYPE_CHECKING:
    from server.spans import Tracing

PATH = "/verify"
BEGAN = "sealkey.began"
"""Where the scope's state says when work on a request began, by the event loop's time, if that was before."""
Header = tuple[bytes, bytes]
# All that is read of a request. A second one of the same name is its client's, and nobody knows which is which.
_READ = frozenset(
    {
        b"authorization",
        b"x-api-key",
        b"x-api-secret",
        b"x-sealkey-gateway-token",
        b"x-sealkey-client-address",
        b"x-sealkey-service-required",
        b"accept",
    }
)
_ANY_SERVICE = "*"
# More than the code of any service takes, however it is written; and what reading takes is taken from everybody.
_LONGEST_QUERY = 512
_MOST_PARAMETERS = 4
_ONE_SERVICE = "The query of /verify may be service=…, once, and nothing else."
_NO_BODY = (b"content-length", b"0")
_RETRY_AFTER = (b"retry-after", b"%d" % RETRY_AFTER)
_NO_STORE = (b"cache-control", b"no-store")
_CHALLENGE = (b"www-authenticate", b'Basic realm="Sealkey", charset="UTF-8", Bearer realm="Sealkey"')
_ALLOW, _DENY = (b"x-sealkey-decision", b"ALLOW"), (b"x-sealkey-decision", b"DENY")
# Who it is was not shown, or shows nothing any more: 401. Who it is is known, and may not: 403.
_UNAUTHORIZED = {DecisionCode.INVALID_CREDENTIALS, DecisionCode.REVOKED, DecisionCode.EXPIRED}
_STATUS = {code: 401 if code in _UNAUTHORIZED else 403 for code in DecisionCode} | {DecisionCode.OK: 200}
# For the upstream: ids and slugs of ours, nothing that somebody typed freely.
_OF_KNOWN = (
    b"x-sealkey-credential",
    b"x-sealkey-credential-name",
    b"x-sealkey-account",
    b"x-sealkey-owner",
    b"x-sealkey-identity",
    b"x-sealkey-service",
)


def _of_code(code: DecisionCode) -> list[Header]:
    decision = _ALLOW if code is DecisionCode.OK else _DENY
    challenge = [_CHALLENGE] if _STATUS[code] == 401 else []
    return [_NO_STORE, decision, (b"x-sealkey-code", code.value.encode()), *challenge]


def _lines(headers: Iterable[Header]) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)


_OF_CODE = {code: _of_code(code) for code in DecisionCode}
# The same as they are written, with places for the values of _OF_KNOWN.
_PLACES = [(name, b"%b") for name in _OF_KNOWN]
_LINES = {code: _lines([*_OF_CODE[code], *_PLACES, _NO_BODY]) + b"\r\n" for code in DecisionCode}
_LINES_OF_UNKNOWN = _lines([*_OF_CODE[DecisionCode.INVALID_CREDENTIALS], _NO_BODY]) + b"\r\n"


class _Ambiguous(Exception):
    """What the gateway should have said is said twice, or by somebody else besides; the message says what is wrong."""


def is_verify(path: str) -> bool:
    return path == PATH or path.startswith("/verify/")


async def verify(
    deployment: Deployment, gate: Gate, counts: RequestCounts, tracing: "Tracing | None", scope: Scope, send: Send
) -> None:
    """200 to let in, 401 or 403 not to; the code says why. 400 where the gateway is not set up right, 503 where it
    can't be decided now. What takes the database passes the gate."""
    wants_json, began = False, scope.get("state", {}).get(BEGAN) or get_running_loop().time()
    try:
        headers = _read(scope["headers"])
        wants_json = b"application/json" in headers.get(b"accept", b"")
        asked = _asked(deployment, scope["path"] == PATH, scope["query_string"], headers)
        verdict = _at_once(deployment, asked)
        if verdict is None:
            arrived = get_running_loop().time()
            async with gate.passed():
                began += get_running_loop().time() - arrived
                with check_span(tracing):
                    verdict = await answered_soon(_later(deployment, asked, scope["client"], began))
            counts.durations[PATH].add(get_running_loop().time() - arrived)
    except Overloaded:
        counts.verify_failures["UNAVAILABLE"] += 1
        await _send(send, 503, [*_refusal(b"UNAVAILABLE"), _RETRY_AFTER], wants_json)
    except _Ambiguous as error:
        counts.verify_failures["BAD_REQUEST"] += 1
        accepted = [value for name, value in scope["headers"] if name == b"accept"]
        wants_json = any(b"application/json" in value for value in accepted)
        await _send(send, 400, _refusal(b"BAD_REQUEST"), wants_json, detail=str(error))
    except Denied:
        counts.verify_failures["GATEWAY_NOT_ALLOWED"] += 1
        await _send(send, 403, _refusal(b"GATEWAY_NOT_ALLOWED"), wants_json)
    except Exception as error:  # noqa: BLE001  (whatever it is, nobody is let in, and its text may hold a secret)
        log_fault(error)
        counts.verify_failures["UNAVAILABLE" if is_unavailable(error) else "INTERNAL_SERVER_ERROR"] += 1
        if is_unavailable(error):
            await _send(send, 503, [*_refusal(b"UNAVAILABLE"), _RETRY_AFTER], wants_json)
        else:
            await _send(send, 500, _refusal(b"INTERNAL_SERVER_ERROR"), wants_json)
    else:
        await _send(send, _STATUS[verdict.code], _headers(verdict), wants_json, verdict)


def verify_at_once(deployment: Deployment, query: bytes, headers: Iterable[Header]) -> tuple[int, bytes] | None:
    """The same at PATH where nobody need be waited for and no body is wanted: status, and the lines of the headers.
    Else None."""
    try:
        found = _read(headers)
        if b"application/json" in found.get(b"accept", b""):
            return None
        verdict = _at_once(deployment, _asked(deployment, True, query, found))
    except _Ambiguous:
        return None
    if verdict is None:
        return None
    code = verdict.code
    return _STATUS[code], _LINES[code] % _values(verdict.known) if verdict.known else _LINES_OF_UNKNOWN


@dataclass(slots=True)
class _Asked:
    """What a gateway asks. `shown` is an access token, or key and secret: `key:secret`."""

    now: datetime
    service: str | None
    client_address: str | None
    is_token: bool
    gateway_token: bytes | None = field(repr=False)
    shown: bytes = field(repr=False)


def _read(headers: Iterable[Header]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _READ:
            if name in found and name != b"accept":
                raise _Ambiguous(
                    f"{name.decode()} was sent twice: the gateway must remove its client's before it sets its own."
                )
            found[name] = value
    return found


def _asked(deployment: Deployment, is_at_path: bool, query: bytes, headers: dict[bytes, bytes]) -> _Asked:
    """Raises _Ambiguous."""
    in_header = _text(headers.get(b"x-sealkey-service-required"))
    if is_at_path:
        in_query = _service_in(query)
        service = in_header if in_query is None else in_query
    else:
        service = _service_at_any_path(in_header)
    scheme, _, shown = headers.get(b"authorization", b"").partition(b" ")
    match scheme.lower():
        case b"bearer":
            is_token, shown = True, shown.strip()
        case b"basic":
            is_token, shown = False, _basic(shown)
        case _:
            is_token, shown = False, headers.get(b"x-api-key", b"") + b":" + headers.get(b"x-api-secret", b"")
    return _Asked(
        deployment.clock(),
        service,
        _text(headers.get(b"x-sealkey-client-address")),
        is_token,
        headers.get(b"x-sealkey-gateway-token"),
        shown,
    )


def _at_once(deployment: Deployment, asked: _Asked) -> Verdict | None:
    """What nobody need be waited for; None for all else."""
    if asked.is_token or not asked.gateway_token:
        return None
    gateway = remembered_gateway(deployment, asked.gateway_token, asked.now)
    if gateway is None:
        return None
    return verify_credential_at_once(
        deployment, gateway.scope, asked.shown, asked.service, asked.client_address, asked.now
    )


async def _later(deployment: Deployment, asked: _Asked, client: tuple[str, int] | None, began: float) -> Verdict:
    token = Secret(asked.gateway_token.decode("latin-1")) if asked.gateway_token else None
    principal = await find_gateway(deployment, token, asked.now) if token else None
    caller = Caller(principal, client[0] if client else None, asked.now, deployment)
    if asked.is_token:
        access_token = Secret(asked.shown.decode("latin-1"))
        return await verify_access_token(
            caller, access_token, service=asked.service, client_address=asked.client_address
        )
    key, _, secret = asked.shown.decode(errors="replace").partition(":")
    question = Question(key, Secret(secret), asked.service, asked.client_address)
    return await verify_credential(caller, question, began)


def _basic(shown: bytes) -> bytes:
    """`key:secret` (RFC 7617). What can't be read is a key that nobody has."""
    try:
        return a2b_base64(shown.strip(), strict_mode=True)
    except ValueError:
        return b""


def _service_in(query: bytes) -> str | None:
    """The service that is required at PATH."""
    if not query:
        return None
    if len(query) > _LONGEST_QUERY or query.count(b"&") >= _MOST_PARAMETERS:
        raise _Ambiguous(_ONE_SERVICE)
    parameters = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    if [name for name, _ in parameters] != ["service"]:
        raise _Ambiguous(_ONE_SERVICE)  # A misspelt name too: it would require nothing.
    return parameters[0][1]


def _service_at_any_path(in_header: str | None) -> str | None:
    """The query is the client's there, who must not choose; and a gateway that has said nothing, since its path has a
    slash too many perhaps, must not let in for any service."""
    if in_header is None:
        raise _Ambiguous(
            "At /verify/… the header X-Sealkey-Service-Required must say which service is required, or * for any; "
            "the query is the client's there."
        )
    return None if in_header == _ANY_SERVICE else in_header


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _headers(verdict: Verdict) -> list[Header]:
    headers = list(_OF_CODE[verdict.code])
    if verdict.known is not None:
        headers += zip(_OF_KNOWN, _values(verdict.known), strict=True)
    return headers


def _values(known: CredentialFacts) -> tuple[bytes, ...]:
    """Of _OF_KNOWN."""
    service = known.service.code
    return known.id, known.name.encode(), known.account.id, known.owner.id, known.identity.id, service.encode()


def _refusal(code: bytes) -> list[Header]:
    return [_NO_STORE, _DENY, (b"x-sealkey-code", code)]


async def _send(
    send: Send, status: int, headers: list[Header], wants_json: bool, verdict: Verdict | None = None, detail: str = ""
) -> None:
    body = b""
    if wants_json:
        (_, decision), (_, code) = headers[1:3]
        credential = verdict.known.id.decode() if verdict and verdict.known else None
        told = {"decision": decision.decode(), "code": code.decode(), "credential": credential}
        body = orjson.dumps({**told, "detail": detail} if detail else told)
        headers.append((b"content-type", b"application/json"))
    headers.append((b"content-length", b"%d" % len(body)) if body else _NO_BODY)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
