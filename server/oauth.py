"""Logging in over HTTP: OAuth 2.0 client credentials (RFC 6749, 4.4), introspection (RFC 7662), revocation (RFC 7009),
metadata (RFC 8414) and keys; and /v2/login, as clients of Atlas know it."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from auth.crypto.access_token import AccessToken, public_jwks
from auth.crypto.secret import Secret
from auth.openid import OpenIdUnavailable
from auth.policy import Denied, Forbidden
from resolvers.access_tokens import introspect, revoke_access_token
from resolvers.caller import Caller, Deployment
from resolvers.check_credential import login
from resolvers.denials import record_denial
from resolvers.errors import ErrorCode, Refused
from resolvers.throttling import Throttled
from server.credentials_in_headers import KeyAndSecret, basic, bearer
from server.identification import identify
from server.logs import log
from server.problem import NO_STORE, problem

_FORM = "application/x-www-form-urlencoded"
_MAXIMUM_BODY = 16 * 1024
# The credential itself is no good (401), or it is and something else keeps it out (403).
_NO_CREDENTIAL = {ErrorCode.INVALID_CREDENTIALS, ErrorCode.CREDENTIAL_NOT_ACTIVE}

# While the OpenID provider does not answer, it is asked every few seconds.
_LATER = {"Retry-After": "5"}

Endpoint = Callable[[Request], Awaitable[Response]]


class OAuthError(Exception):
    """An error of RFC 6749, 5.2."""

    def __init__(self, error: str, description: str, status: int = 400, headers: dict[str, str] | None = None) -> None:
        super().__init__(description)
        self.response = JSONResponse(
            {"error": error, "error_description": description}, status, {**NO_STORE, **(headers or {})}
        )


def routes() -> list[BaseRoute]:
    """Where all of this is."""
    return [
        Route("/v2/login", atlas_login, methods=["POST"]),
        Route("/v2/login/", atlas_login, methods=["POST"]),
        Route("/oauth/token", _oauth(issue), methods=["POST"]),
        Route("/oauth/introspect", _oauth(inspect), methods=["POST"]),
        Route("/oauth/revoke", _oauth(revoke), methods=["POST"]),
        Route("/.well-known/oauth-authorization-server", metadata),
        Route("/.well-known/oauth-authorization-server/{path:path}", metadata),
        Route("/.well-known/jwks.json", jwks),
    ]


async def atlas_login(request: Request) -> Response:
    """`{"api_key", "api_secret"}` for `{"access_token"}`; errors are problem documents (RFC 9457)."""
    try:
        body = orjson.loads(await _read(request, "application/json"))
        key, secret = body["api_key"], body["api_secret"]
        if not isinstance(key, str) or not isinstance(secret, str):
            raise TypeError
    except OAuthError as error:
        return problem(error.response.status_code, "BAD_REQUEST", str(error))
    except (ValueError, KeyError, TypeError):
        return problem(400, "BAD_REQUEST", 'The body must be {"api_key": "…", "api_secret": "…"}.')
    try:
        issued = await login(await _identified(request), api_key=key, api_secret=Secret(secret))
    except OAuthError as error:
        return problem(error.response.status_code, "UNAVAILABLE", str(error), _LATER)
    except Refused as refused:
        (refusal,) = refused.refusals
        status = 401 if refusal.code in _NO_CREDENTIAL else 403
        return problem(status, refusal.code.value, refusal.message)
    except Throttled as throttled:
        return problem(429, "RATE_LIMITED", str(throttled), {"Retry-After": str(throttled.seconds)})
    return JSONResponse({"access_token": issued.token.reveal()}, headers=NO_STORE)


async def issue(request: Request) -> Response:
    """RFC 6749, 4.4.2: a token for client credentials, in the header or in the body."""
    form = await _form(request)
    if form.get("grant_type") != "client_credentials":
        known = "grant_type" in form
        raise OAuthError(
            "unsupported_grant_type" if known else "invalid_request", "grant_type must be client_credentials."
        )
    client = _client(request, form)
    issued = await _authenticated(
        request, login(await _identified(request), api_key=client.api_key, api_secret=client.api_secret)
    )
    if not _scope_is_ours(form, issued):
        raise OAuthError("invalid_scope", "This credential is not for that scope.")
    return JSONResponse(
        {
            "access_token": issued.token.reveal(),
            "token_type": "Bearer",
            "expires_in": issued.expires_in,
            "scope": issued.scope,
        },
        headers=NO_STORE,
    )


async def inspect(request: Request) -> Response:
    """RFC 7662: for gateways, by their token."""
    form = await _form(request)
    token = _required(form, "token")
    caller = await _identified(request)
    try:
        found = await introspect(caller, Secret(token))
    except Denied as denied:
        if isinstance(denied, Forbidden):
            await record_denial(caller, denied, "introspection")
        # RFC 6750, 3: a code only for who has shown a token.
        error = ', error="invalid_token"' if bearer(request.headers) else ""
        headers = {"WWW-Authenticate": f'Bearer realm="Sealkey"{error}'}
        raise OAuthError("invalid_token", "Introspection takes a gateway's token.", 401, headers) from None
    if found is None:
        return JSONResponse({"active": False}, headers=NO_STORE)
    claims, deployment = found.claims, _deployment(request)
    return JSONResponse(
        {
            "active": True,
            "scope": claims.scope,
            "client_id": claims.client_id,
            "token_type": "Bearer",
            "exp": claims.expires_at,
            "iat": claims.issued_at,
            "sub": claims.client_id,
            "aud": deployment.issuer,
            "iss": deployment.issuer,
            "jti": claims.token_id,
        },
        headers=NO_STORE,
    )


async def revoke(request: Request) -> Response:
    """RFC 7009: a client ends a token of its own. What is no token of its own is let be, and answered alike."""
    form = await _form(request)
    client, token = _client(request, form), _required(form, "token")
    caller = await _identified(request)
    ended = revoke_access_token(caller, api_key=client.api_key, api_secret=client.api_secret, token=Secret(token))
    await _authenticated(request, ended)
    return Response(b"", headers=NO_STORE)


async def metadata(request: Request) -> Response:
    """RFC 8414, 2. Where the issuer has a path, that comes last (3.1)."""
    issuer = _deployment(request).issuer
    if "path" in request.path_params and urlsplit(issuer).path != f"/{request.path_params['path']}":
        raise HTTPException(404)
    methods = ["client_secret_basic", "client_secret_post"]
    return JSONResponse(
        {
            "issuer": issuer,
            "token_endpoint": f"{issuer}/oauth/token",
            "introspection_endpoint": f"{issuer}/oauth/introspect",
            "revocation_endpoint": f"{issuer}/oauth/revoke",
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": methods,
            "revocation_endpoint_auth_methods_supported": methods,
            "introspection_endpoint_auth_methods_supported": ["Bearer"],
        }
    )


async def jwks(request: Request) -> Response:
    """The keys that tokens are signed with, for those who check them offline."""
    deployment = _deployment(request)
    keys = public_jwks(deployment.keyring, deployment.clock())
    return JSONResponse(keys, headers={"Cache-Control": "public, max-age=300"})


def _oauth(endpoint: Endpoint) -> Endpoint:
    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except OAuthError as error:
            return error.response

    return answer


async def _identified(request: Request) -> Caller:
    """As `identify`; while the OpenID provider does not answer, an OAuthError with 503."""
    try:
        return await identify(request)
    except OpenIdUnavailable as unavailable:
        log.error("openid_unavailable", reason=str(unavailable))
        raise OAuthError("temporarily_unavailable", "Who you are can't be checked now.", 503, _LATER) from None


async def _authenticated(request: Request, work: Awaitable[Any]) -> Any:
    """What the work answers, its refusals turned into RFC 6749's errors."""
    try:
        return await work
    except Refused as refused:
        (refusal,) = refused.refusals
        if refusal.code not in _NO_CREDENTIAL:
            raise OAuthError("unauthorized_client", refusal.message) from None
        headers = {"WWW-Authenticate": 'Basic realm="Sealkey"'}
        raise OAuthError("invalid_client", refusal.message, 401, headers) from None
    except Throttled as throttled:
        headers = {"Retry-After": str(throttled.seconds)}
        raise OAuthError("temporarily_unavailable", str(throttled), 429, headers) from None


async def _form(request: Request) -> dict[str, str]:
    body = await _read(request, _FORM)
    try:
        values = parse_qsl(body.decode("latin-1"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise OAuthError("invalid_request", "There are too many parameters.") from None
    if len(dict(values)) != len(values):
        raise OAuthError("invalid_request", "A parameter is given more than once.")
    # RFC 6749, 3.2: what has no value counts as left out.
    return {name: value for name, value in values if value}


async def _read(request: Request, media_type: str) -> bytes:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != media_type:
        raise OAuthError("invalid_request", f"The body must be {media_type}.", 415)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAXIMUM_BODY:
            raise OAuthError("invalid_request", "The body is too large.", 413)
    return bytes(body)


def _client(request: Request, form: dict[str, str]) -> KeyAndSecret:
    """The client's credentials, from the header or from the body, not from both (RFC 6749, 2.3)."""
    in_header = basic(request.headers, form_encoded=True)
    in_body = "client_id" in form or "client_secret" in form
    if in_header and in_body:
        raise OAuthError("invalid_request", "Send the client's credentials in the header or in the body, not in both.")
    if in_header:
        return in_header
    return KeyAndSecret(form.get("client_id", ""), Secret(form.get("client_secret", "")))


def _required(form: dict[str, str], name: str) -> str:
    value = form.get(name)
    if not value:
        raise OAuthError("invalid_request", f"{name} is missing.")
    return value


def _scope_is_ours(form: dict[str, str], issued: AccessToken) -> bool:
    wanted = {each for each in form.get("scope", "").split(" ") if each}
    return not wanted or wanted == {issued.scope}


def _deployment(request: Request) -> Deployment:
    deployment: Deployment = request.app.state.deployment
    return deployment
