"""/verify: what a gateway asks about each request, in the language of nginx auth_request, Traefik ForwardAuth, Caddy
forward_auth and Envoy ext_authz: 200, 401 or 403, and headers for the upstream.

The request's own Authorization (Basic or Bearer) or X-API-Key and X-API-Secret are what is checked; the gateway shows
who it is by X-Sealkey-Gateway-Token. Which service is required the gateway says: at /verify in the query; at /verify/…,
which is for gateways that append the path and query of their client's request, by X-Sealkey-Service-Required.
"""

import orjson
from starlette.requests import Request
from starlette.responses import Response

from auth.crypto.secret import Secret
from auth.policy import Denied
from models.ids import Kind, global_id
from resolvers.access_tokens import verify_access_token
from resolvers.caller import Caller
from resolvers.check_credential import Decision, DecisionCode, Question, Verdict, verify_credential
from server.credentials_in_headers import api_key_headers, basic, bearer
from server.identification import identify_gateway

# Who it is was not shown, or shows nothing any more: 401. Who it is is known, and may not: 403.
_UNAUTHORIZED = {DecisionCode.INVALID_CREDENTIALS, DecisionCode.REVOKED, DecisionCode.EXPIRED}
_CHALLENGE = 'Basic realm="Sealkey", charset="UTF-8", Bearer realm="Sealkey"'


async def verify(request: Request) -> Response:
    """200 to let in, 401 or 403 not to; the code says why. 400 where the gateway is not set up right."""
    caller = await identify_gateway(request)
    try:
        verdict = await _verdict(request, caller)
    except _Ambiguous:
        return _answer(request, 400, "BAD_REQUEST", {})
    except Denied:
        return _answer(request, 403, "GATEWAY_NOT_ALLOWED", {})
    if verdict.decision is Decision.ALLOW:
        return _answer(request, 200, verdict.code.value, _about(verdict))
    status = 401 if verdict.code in _UNAUTHORIZED else 403
    challenge = {"WWW-Authenticate": _CHALLENGE} if status == 401 else {}
    return _answer(request, status, verdict.code.value, {**challenge, **_about(verdict)})


class _Ambiguous(Exception):
    """What the gateway should have said is said twice, or by somebody else besides."""


async def _verdict(request: Request, caller: Caller) -> Verdict:
    service, address = _required_service(request), _only(request, "x-sealkey-client-address")
    _only(request, "x-sealkey-gateway-token")
    token = bearer(request.headers)
    if token is not None:
        return await verify_access_token(caller, token, service=service, client_address=address)
    given = basic(request.headers) or api_key_headers(request.headers)
    key, secret = (given.api_key, given.api_secret) if given else ("", Secret(""))
    return await verify_credential(caller, Question(key, secret, service, address))


def _required_service(request: Request) -> str | None:
    """Under /verify/… the query is the client's, who must not choose."""
    if "rest" in request.path_params:
        return _only(request, "x-sealkey-service-required")
    if len(request.query_params.multi_items()) > ("service" in request.query_params):
        raise _Ambiguous  # A misspelt name too: it would require nothing.
    return request.query_params.get("service")


def _only(request: Request, name: str) -> str | None:
    """A header that the gateway sets. A second one is its client's, and nobody knows which is which."""
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise _Ambiguous
    return values[0] if values else None


def _about(verdict: Verdict) -> dict[str, str]:
    """Headers for the upstream: ids and slugs of ours, nothing that somebody typed freely."""
    if verdict.known is None:
        return {}
    credential = verdict.known.credential
    return {
        "X-Sealkey-Credential": global_id(Kind.CREDENTIAL, credential.id),
        "X-Sealkey-Credential-Name": credential.name,
        "X-Sealkey-Account": global_id(Kind.ACCOUNT, credential.account_id),
        "X-Sealkey-Owner": global_id(Kind.USER, credential.owner_id),
        "X-Sealkey-Identity": global_id(Kind.IDENTITY, credential.identity_id),
        "X-Sealkey-Service": verdict.known.service.code,
    }


def _answer(request: Request, status: int, code: str, about: dict[str, str]) -> Response:
    decision = "ALLOW" if status == 200 else "DENY"
    headers = {"Cache-Control": "no-store", "X-Sealkey-Decision": decision, "X-Sealkey-Code": code, **about}
    if "application/json" not in request.headers.get("accept", ""):
        return Response(b"", status, headers)
    body = {"decision": decision, "code": code, "credential": about.get("X-Sealkey-Credential")}
    return Response(orjson.dumps(body), status, headers, "application/json")
