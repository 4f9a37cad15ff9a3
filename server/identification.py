"""Who sends a request: the bearer token's, or the session cookie's."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request

from auth.bearer import find_access_token, find_principal, works_until
from auth.crypto.secret import Secret
from auth.opaque_token import TokenPurpose, hash_sent_token, hash_token, purpose_of
from auth.openid import OpenIdProvider, OpenIdRefused
from auth.permissions import Permission
from auth.policy import Denied, authorize
from auth.principal import Principal
from resolvers.caller import Caller, Deployment
from resolvers.check_memory import Gateway
from resolvers.openid import find_openid_principal
from schema.context import Reply
from server.client_address import client_address
from server.logs import log
from server.settings import LOOPBACK, Settings

# A browser sends the cookie by itself, also for a page of somebody else's; this header only a page of ours can add.
CSRF_HEADER = "x-sealkey-csrf"
_TOKEN_ENDED = "The token that you sent has ended, or is none of ours: sign in again."  # noqa: S105  (a message)
_HEADER_MISSING = "The session cookie counts only beside the header X-Sealkey-CSRF, which is missing."


async def identify(request: HTTPConnection, token: Secret | None = None, *, to_read: bool = False) -> Caller:
    """The caller, with a principal if there is a token that stands for one: this, the request's, or its cookie's.

    to_read: nothing is going to be changed, so that a session which was ended in another process less than a second
    ago may still count. Raises OpenIdUnavailable."""
    deployment: Deployment = request.app.state.deployment
    settings: Settings = request.app.state.settings
    address = client_address(request, settings.trusted_proxies)
    now = deployment.clock()
    token = token or bearer_token(request.headers.get("authorization", "")) or _cookie_token(request)
    if token is None:
        return Caller(None, address, now, deployment, _HEADER_MISSING if _lacks_header(request) else None)
    principal = deployment.memory.find_person(hash_token(token), now) if to_read else None
    if principal is None:
        principal = await _principal(request, Caller(None, address, now, deployment), token)
    return Caller(principal, address, now, deployment, _TOKEN_ENDED)


def remembered_gateway(deployment: Deployment, token: bytes, now: datetime) -> Gateway | None:
    """A gateway by its token as it was sent, at once, where nothing need be read."""
    gateway = deployment.memory.find_gateway(hash_sent_token(token))
    return gateway if gateway is not None and gateway.is_known_to_work(now) else None


async def find_gateway(deployment: Deployment, token: Secret, now: datetime) -> Principal | None:
    """The principal of a gateway's token that works, by what is remembered of it or by its row."""
    memory, token_hash = deployment.memory, hash_token(token)
    epoch, gateway = memory.epoch, memory.find_gateway(token_hash)
    if gateway is not None and gateway.is_known_to_work(now):
        return gateway.principal
    row = gateway.token if gateway else await find_access_token(token_hash)
    until = await works_until(row, now) if row else None
    if row is None or until is None:
        return None
    principal = Principal.of_token(row)
    with suppress(Denied):  # What may not check credentials is no gateway's, and looked up each time.
        scope = authorize(principal, Permission.VERIFY_CREDENTIALS)
        memory.remember_gateway(token_hash, Gateway(row, principal, scope, now, until), epoch)
    return principal


def write_session_cookie(request: Request, reply: Reply, headers: MutableHeaders) -> None:
    """Sets or clears the session cookie, where the operation said so."""
    if reply.started is not None:
        seconds = int((reply.started.expires_at - reply.now).total_seconds())
        headers.append("set-cookie", _cookie(request, reply.started.token.reveal(), seconds))
    elif reply.ended and _cookie_name(request) in request.cookies:
        headers.append("set-cookie", _cookie(request, "", 0))


async def _principal(request: HTTPConnection, caller: Caller, token: Secret) -> Principal | None:
    provider: OpenIdProvider | None = request.app.state.openid
    purpose = purpose_of(token)
    if purpose is TokenPurpose.GATEWAY:
        return await find_gateway(caller.deployment, token, caller.now)
    if purpose is not None or provider is None:
        return await _find_person(caller.deployment, token, caller.now)
    try:
        claims = await provider.verify(token, caller.now)
        principal = await find_openid_principal(caller, provider, claims)
        return replace(principal, ends_at=datetime.fromtimestamp(claims["exp"], UTC))
    except OpenIdRefused as refused:
        log.info("openid_refused", reason=str(refused))
        return None


async def _find_person(deployment: Deployment, token: Secret, now: datetime) -> Principal | None:
    memory, epoch = deployment.memory, deployment.memory.epoch
    known = await find_principal(token, now, deployment.session_rules)
    if known is None:
        return None
    memory.remember_person(hash_token(token), known, epoch)
    return known.principal


def bearer_token(authorization: str) -> Secret | None:
    """The token of an Authorization header, wherever it was sent."""
    scheme, _, token = authorization.partition(" ")
    return Secret(token.strip()) if scheme.lower() == "bearer" and token.strip() else None


def _cookie_token(request: HTTPConnection) -> Secret | None:
    if not _is_from_our_page(request):
        return None
    token = request.cookies.get(_cookie_name(request))
    return Secret(token) if token else None


def _lacks_header(request: HTTPConnection) -> bool:
    return _cookie_name(request) in request.cookies and CSRF_HEADER not in request.headers


def _is_from_our_page(request: HTTPConnection) -> bool:
    """Whether a page of another site can't have had the browser send this. Pages can't add headers to what opens a
    WebSocket or an EventSource, so there it is what browsers add by themselves."""
    site = request.headers.get("sec-fetch-site")
    if request.scope["type"] == "websocket":
        return request.headers.get("origin") in _own_origins(request)
    if request.scope["method"] == "GET" and CSRF_HEADER not in request.headers:
        return site == "same-origin"
    return CSRF_HEADER in request.headers and site in {None, "same-origin", "none"}


def _own_origins(request: HTTPConnection) -> set[str]:
    """What a page of this server's has for its origin, by the request and by the public address."""
    settings: Settings = request.app.state.settings
    public = urlsplit(settings.public_address)
    scheme = {"ws": "http", "wss": "https"}[request.url.scheme]
    return {f"{scheme}://{request.headers.get('host')}", f"{public.scheme}://{public.netloc}"}


def _cookie(request: Request, value: str, seconds: int) -> str:
    secure = "" if _on_loopback(request) else "; Secure"
    name = _cookie_name(request)
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"


def _cookie_name(request: HTTPConnection) -> str:
    # Browsers accept the __Host- prefix only with Secure, and then from this host alone.
    return "sealkey_session" if _on_loopback(request) else "__Host-sealkey_session"


def _on_loopback(request: HTTPConnection) -> bool:
    """Whether the browser is on this machine, where there may be no TLS. What the request says of its host is not
    enough: a proxy may have put its own name for this server there, and the public address knows better."""
    settings: Settings = request.app.state.settings
    return request.url.hostname in LOOPBACK and urlsplit(settings.public_address).hostname in LOOPBACK
