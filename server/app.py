"""The front door: all the wiring on one screen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from auth.crypto.keyring import read_keyring
from auth.openid import OpenIdProvider
from models import database
from models.instants import Clock, system_clock
from resolvers.caller import Deployment, ServerKeys
from resolvers.server_keys import GivenKeys, KeysInFile, confirm_keys
from resolvers.watching import Watches
from schema.api import Api, build_api
from server import audit_export, graphiql, oauth
from server.graphql_endpoint import GraphQLEndpoint
from server.graphql_sse import GraphQLEventStreams
from server.graphql_websocket import GraphQLWebSocket
from server.housekeeping import housekeeping
from server.logs import RequestLog, configure_logs
from server.settings import Settings, load_settings
from server.verify import is_verify, verify

GRAPHIQL_DIST = Path(__file__).parent.parent / "graphiql" / "dist"


class Server(Starlette):
    """Starlette, but for the two paths that are too busy for its routing and middleware."""

    def __init__(self, graphql: ASGIApp, **named: Any) -> None:
        super().__init__(middleware=[Middleware(RequestLog)], **named)
        self._graphql = RequestLog(graphql)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if is_verify(path):
            await verify(self.state.deployment, scope, send)
        elif path == "/graphql":
            scope["app"] = self
            await self._graphql(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(settings: Settings, clock: Clock = system_clock) -> Starlette:
    """The server as an ASGI application. On start it upgrades the database and confirms the server's keys."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with deployed(settings, clock) as deployment:
            app.state.deployment = deployment
            app.state.settings = settings
            app.state.openid = OpenIdProvider(settings.openid_rules) if settings.openid_rules else None
            async with housekeeping(deployment, settings) as app.state.housekeeping:
                yield

    api = api_for(settings)
    endpoint = GraphQLEndpoint(api, strict_status=settings.graphql_strict_status)
    return Server(
        GraphQLEventStreams(api, otherwise=endpoint),
        routes=[
            Route("/", to_graphiql),
            WebSocketRoute("/graphql", GraphQLWebSocket(api)),
            graphiql.schema_route(api.as_str()),
            *graphiql.routes(GRAPHIQL_DIST),
            *oauth.routes(),
            *audit_export.routes(),
            Route("/healthz", healthy),
            Route("/readyz", ready),
        ],
        lifespan=lifespan,
    )


def api_for(settings: Settings) -> Api:
    """The API within the limits that the settings set. Raises ManifestUnusable and OSError."""
    return build_api(
        settings.graphql_limits,
        settings.graphql_allowance,
        settings.graphql_trusted_documents,
        persisted_queries=settings.graphql_persisted_queries,
    )


def create_app_from_environment() -> Starlette:
    """For uvicorn's workers, which can only be given a name."""
    configure_logs()
    return create_app(load_settings())


@asynccontextmanager
async def deployed(settings: Settings, clock: Clock = system_clock) -> AsyncIterator[Deployment]:
    """The database at its newest schema, and the keys that belong to it. Use cases work inside.
    Raises KeyringUnreadable, and what the database's driver raises when it can't be reached."""
    async with database.connected(settings.database, pool_size=settings.database_pool_size):
        await database.upgrade()
        keys = read_keys(settings)
        await confirm_keys(keys.keyring, clock())
        yield Deployment(
            keys=keys,
            clock=clock,
            issuer=settings.public_address,
            key_prefix=settings.key_prefix,
            access_token_lifetime=settings.access_token_lifetime,
            session_rules=settings.session_rules,
            invitation_lifetime=settings.invitation_lifetime,
            policy_bounds=settings.policy_bounds,
            webhook_allowed_networks=settings.webhook_allowed_networks,
            watches=Watches(settings.watch_limits),
        )


def read_keys(settings: Settings) -> ServerKeys:
    """The server's keys from where the settings say. Raises KeyringUnreadable."""
    if settings.keys is not None:
        return GivenKeys(read_keyring(settings.keys.get_secret_value().encode()))
    return KeysInFile(settings.keys_path)


async def to_graphiql(_request: Request) -> Response:
    return RedirectResponse("/graphiql")


async def healthy(_request: Request) -> Response:
    """The process runs."""
    return PlainTextResponse("ok")


async def ready(_request: Request) -> Response:
    """The process can do its work: the database answers."""
    try:
        await database.ping()
    except Exception:  # noqa: BLE001  (whatever it is, this server is not ready)
        return PlainTextResponse("the database does not answer", status_code=503)
    return PlainTextResponse("ok")
