"""/verify: what a gateway asks about each request, in the language of nginx auth_request, Traefik ForwardAuth, Caddy
forward_auth and Envoy ext_authz: 200, 401 or 403, and headers for the upstream.

The request's own Authorization (Basic or Bearer) or X-API-Key and X-API-Secret are what is checked; the gateway shows
who it is by X-Sealkey-Gateway-Token. Which service is required the gateway says: at /verify in the query; at /verify/…,
which is for gateways that append the path and query of their client's request, by X-Sealkey-Service-Required.

Asked about every call that the provider's APIs receive, this is plain ASGI: what a framework would make of a request
costs more than the answer. For the same reason checks are counted and not logged.
"""

from binascii import a2b_base64
from collections.abc import Iterable
from urllib.parse import parse_qsl

import orjson
from starlette.types import Scope, Send

from auth.crypto.secret import Secret
from auth.policy import Denied
from models.database import is_unavailable
from resolvers.access_tokens import verify_access_token
from resolvers.caller import Caller, Deployment
from resolvers.check_credential import DecisionCode, Question, Verdict, verify_credential, verify_remembered
from server.identification import find_gateway, remembered_gateway
from server.logs import log_fault

PATH = "/verify"
_Header = tuple[bytes, bytes]
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
_NO_STORE = (b"cache-control", b"no-store")
_CHALLENGE = (b"www-authenticate", b'Basic realm="Sealkey", charset="UTF-8", Bearer realm="Sealkey"')
_ALLOW, _DENY = (b"x-sealkey-decision", b"ALLOW"), (b"x-sealkey-decision", b"DENY")
# Who it is was not shown, or shows nothing any more: 401. Who it is is known, and may not: 403.
_UNAUTHORIZED = {DecisionCode.INVALID_CREDENTIALS, DecisionCode.REVOKED, DecisionCode.EXPIRED}
_STATUS = {code: 401 if code in _UNAUTHORIZED else 403 for code in DecisionCode} | {DecisionCode.OK: 200}
_CODE = {code: (b"x-sealkey-code", code.value.encode()) for code in DecisionCode}


class _Ambiguous(Exception):
    """What the gateway should have said is said twice, or by somebody else besides."""


def is_verify(path: str) -> bool:
    return path == PATH or path.startswith("/verify/")


async def verify(deployment: Deployment, scope: Scope, send: Send) -> None:
    """200 to let in, 401 or 403 not to; the code says why. 400 where the gateway is not set up right, 503 where it
    can't be decided now."""
    wants_json = False
    try:
        headers = _read(scope["headers"])
        wants_json = b"application/json" in headers.get(b"accept", b"")
        verdict = await _verdict(deployment, scope, headers)
    except _Ambiguous:
        await _refuse(send, 400, b"BAD_REQUEST", wants_json)
    except Denied:
        await _refuse(send, 403, b"GATEWAY_NOT_ALLOWED", wants_json)
    except Exception as error:  # noqa: BLE001  (whatever it is, nobody is let in, and its text may hold a secret)
        log_fault(error)
        if is_unavailable(error):
            await _refuse(send, 503, b"UNAVAILABLE", wants_json, (b"retry-after", b"1"))
        else:
            await _refuse(send, 500, b"INTERNAL_SERVER_ERROR", wants_json)
    else:
        await _answer(send, verdict, wants_json)


def _read(headers: Iterable[_Header]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _READ:
            if name in found and name != b"accept":
                raise _Ambiguous
            found[name] = value
    return found


async def _verdict(deployment: Deployment, scope: Scope, headers: dict[bytes, bytes]) -> Verdict:
    now = deployment.clock()
    service = _required_service(scope, headers)
    address = headers.get(b"x-sealkey-client-address")
    client_address = address.decode("latin-1") if address is not None else None
    gateway_token = headers.get(b"x-sealkey-gateway-token")
    token = Secret(gateway_token.decode("latin-1")) if gateway_token else None
    scheme, _, shown = headers.get(b"authorization", b"").partition(b" ")
    scheme = scheme.lower()
    if scheme != b"bearer":
        key_and_secret = _basic(shown) if scheme == b"basic" else _key_and_secret(headers)
        gateway = remembered_gateway(deployment, token, now) if token else None
        if gateway is not None:
            verdict = verify_remembered(deployment, gateway.scope, key_and_secret, service, client_address, now)
            if verdict is not None:
                return verdict
    principal = await find_gateway(deployment, token, now) if token else None
    client = scope["client"]
    caller = Caller(principal, client[0] if client else None, now, deployment)
    if scheme != b"bearer":
        key, _, secret = key_and_secret.decode(errors="replace").partition(":")
        return await verify_credential(caller, Question(key, Secret(secret), service, client_address))
    access_token = Secret(shown.strip().decode("latin-1"))
    return await verify_access_token(caller, access_token, service=service, client_address=client_address)


def _basic(shown: bytes) -> bytes:
    """`key:secret` (RFC 7617). What can't be read is a key that nobody has."""
    try:
        return a2b_base64(shown.strip(), strict_mode=True)
    except ValueError:
        return b""


def _key_and_secret(headers: dict[bytes, bytes]) -> bytes:
    return headers.get(b"x-api-key", b"") + b":" + headers.get(b"x-api-secret", b"")


def _required_service(scope: Scope, headers: dict[bytes, bytes]) -> str | None:
    """Under /verify/… the query is the client's, who must not choose."""
    if scope["path"] != PATH:
        required = headers.get(b"x-sealkey-service-required")
        return required.decode("latin-1") if required is not None else None
    query: bytes = scope["query_string"]
    if not query:
        return None
    parameters = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    if [name for name, _ in parameters] != ["service"]:
        raise _Ambiguous  # A misspelt name too: it would require nothing.
    return parameters[0][1]


async def _answer(send: Send, verdict: Verdict, wants_json: bool) -> None:
    code, known = verdict.code, verdict.known
    headers = [_NO_STORE, _ALLOW if code is DecisionCode.OK else _DENY, _CODE[code]]
    status = _STATUS[code]
    if status == 401:
        headers.append(_CHALLENGE)
    if known is None:
        await _send(send, status, headers, wants_json)
        return
    # For the upstream: ids and slugs of ours, nothing that somebody typed freely.
    headers += [
        (b"x-sealkey-credential", known.id),
        (b"x-sealkey-credential-name", known.name.encode()),
        (b"x-sealkey-account", known.account.id),
        (b"x-sealkey-owner", known.owner.id),
        (b"x-sealkey-identity", known.identity.id),
        (b"x-sealkey-service", known.service.code.encode()),
    ]
    await _send(send, status, headers, wants_json, known.id.decode())


async def _refuse(send: Send, status: int, code: bytes, wants_json: bool, *more: _Header) -> None:
    await _send(send, status, [_NO_STORE, _DENY, (b"x-sealkey-code", code), *more], wants_json)


async def _send(
    send: Send, status: int, headers: list[_Header], wants_json: bool, credential: str | None = None
) -> None:
    body = b""
    if wants_json:
        (_, decision), (_, code) = headers[1:3]
        body = orjson.dumps({"decision": decision.decode(), "code": code.decode(), "credential": credential})
        headers.append((b"content-type", b"application/json"))
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
