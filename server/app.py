"""The front door: all the wiring on one screen."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from auth.crypto.key_sealing import Unsealed, is_open
from auth.crypto.keyring import Keyring, read_keyring
from auth.openid import OpenIdProvider
from models import database, migrating
from models.instants import Clock, system_clock
from models.schema_age import confirm_newest, confirm_readable, is_empty
from resolvers.caller import Caller, Deployment, ServerKeys
from resolvers.server_keys import GivenKeys, KeysInFile, confirm_made, set_up_with_keys
from resolvers.watching import Watches
from schema.api import Api, build_api
from server import audit_export, graphiql, oauth
from server.admission import Admission
from server.gate import Gate, Refusals
from server.graphql_endpoint import GraphQLEndpoint
from server.graphql_sse import GraphQLEventStreams
from server.graphql_websocket import GraphQLWebSocket
from server.health import healthy, ready
from server.housekeeping import housekeeping
from server.logs import RequestLog, configure_logs, log
from server.metrics import is_kept, merged, metrics, publish
from server.request_counts import RequestCounts
from server.settings import Settings, load_settings
from server.stopping import Stopping, end_within, stop_gently
from server.tracing import Traced, tracing_asked_for
from server.verify import is_verify, verify
from server.workers import DIRECTORY, Workers

if TYPE_CHECKING:
    from server.spans import Tracing

GRAPHIQL_DIST = Path(__file__).parent.parent / "graphiql" / "dist"


class Server(Starlette):
    """Starlette, but for the two paths that are too busy for its routing and middleware."""

    def __init__(self, graphql: ASGIApp, counts: RequestCounts, tracing: "Tracing | None", **named: Any) -> None:
        outside = [Middleware(Traced, tracing)] if tracing else []
        super().__init__(middleware=[*outside, Middleware(RequestLog, counts), Middleware(Admission)], **named)
        self._graphql: ASGIApp = RequestLog(Admission(graphql), counts)
        self._verify: ASGIApp = self._answer_check
        if tracing:
            self._graphql, self._verify = Traced(self._graphql, tracing), Traced(self._verify, tracing)
        self.state.counts, self.state.tracing = counts, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if is_verify(path):
            scope["app"] = self
            await self._verify(scope, receive, send)
        elif path == "/graphql":
            scope["app"] = self
            await self._graphql(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def _answer_check(self, scope: Scope, _receive: Receive, send: Send) -> None:
        state = self.state
        await verify(state.deployment, state.checks_gate, state.counts, state.tracing, scope, send)


def create_app(settings: Settings, clock: Clock = system_clock) -> Starlette:
    """The server as an ASGI application. On start it upgrades the database and confirms the server's keys."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as running:
            deployment = await running.enter_async_context(deployed(settings, clock))
            _tell_if_open(settings)
            app.state.deployment = deployment
            app.state.exports = Counter()  # that are running, by user
            app.state.settings = settings
            app.state.gate, app.state.checks_gate = Gate(settings.bounds), Gate(settings.bounds)
            app.state.stopping = Stopping()
            app.state.not_ready, app.state.impaired = set[str](), set[str]()
            app.state.finding = None  # whether it is ready: a task, since it was asked first
            app.state.workers = Workers(os.environ.get(DIRECTORY), is_kept, merged)
            if tracing:
                tracing.trace_statements()
            stop_gently(app.state.stopping, settings.drain_seconds)
            app.state.openid = OpenIdProvider(settings.openid_rules) if settings.openid_rules else None
            refusals = Refusals(operations=app.state.gate, checks=app.state.checks_gate)
            keeping = housekeeping(deployment, settings, refusals, partial(publish, app.state))
            running.callback(publish, app.state)  # once more, after the last round
            app.state.housekeeping = await running.enter_async_context(keeping)
            yield
            if not await end_within(settings.shutdown_seconds, running.aclose(), database.abandon):
                log.error("stopped_unfinished", unwritten=deployment.usage.unwritten)
            if app.state.stopping.is_orphaned:
                app.state.workers.remove()
        if tracing:
            await asyncio.to_thread(tracing.close)

    api, counts = api_for(settings), RequestCounts()
    tracing = tracing_asked_for()
    endpoint = GraphQLEndpoint(api, strict_status=settings.graphql_strict_status)
    return Server(
        GraphQLEventStreams(api, otherwise=endpoint),
        counts,
        tracing,
        routes=[
            Route("/", to_graphiql),
            WebSocketRoute("/graphql", GraphQLWebSocket(api)),
            graphiql.schema_route(api),
            *graphiql.routes(GRAPHIQL_DIST),
            *oauth.routes(),
            *audit_export.routes(),
            Route("/healthz", healthy),
            Route("/readyz", ready),
            Route("/metrics", metrics),
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
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    return create_app(settings)


@asynccontextmanager
async def deployed(
    settings: Settings, clock: Clock = system_clock, *, some_keys_lost: bool = False
) -> AsyncIterator[Deployment]:
    """The database at its newest schema, and the keys that belong to it, but for some that may be lost. Use cases work
    inside. Raises DatabaseUnusable, KeyringUnreadable."""
    async with database.connected(settings.database, pool_size=settings.database_pool_size):
        await _refuse_if_lost(settings)
        await migrating.upgrade()
        if settings.keys is None:
            await set_up_with_keys(settings.keys_path, settings.key_sealing, clock())
        deployment = _deployment(settings, clock)
        await deployment.keys.confirm(Caller(None, None, clock(), deployment), some_lost=some_keys_lost)
        yield deployment


@asynccontextmanager
async def opened(settings: Settings, *, to_record: bool = False) -> AsyncIterator[Deployment]:
    """What is there already, as it is: no schema is upgraded, no key made. Unless it is to be recorded that somebody
    looked, the database may have an older schema, and the keys, of which it then remembers no new ones, may be a file
    of another time. Raises DatabaseUnusable, KeyringUnreadable."""
    database.confirm_there(settings.database)
    async with database.connected(settings.database, pool_size=settings.database_pool_size):
        await (confirm_newest() if to_record else confirm_readable())
        if settings.keys is None:
            await confirm_made(settings.keys_path)
        deployment = _deployment(settings, system_clock)
        await deployment.keys.confirm(Caller(None, None, system_clock(), deployment), remembers=to_record)
        yield deployment


async def _refuse_if_lost(settings: Settings) -> None:
    """Where there are keys, there was a database. The file is looked for first: whoever starts at the same moment makes
    the schema before the file, as does a first start that was killed. Raises DatabaseUnusable."""
    if settings.keys is None and settings.keys_path.exists() and await is_empty():
        raise database.DatabaseUnusable(
            f"{settings.database_shown} is empty, and {settings.keys_path} has a deployment's keys: is it the database "
            "that is meant, and the disk that it is on mounted? If it was lost, put a backup in its place. For a new "
            "deployment remove that file, or, to use its keys, run `sealkey db upgrade` first."
        )


def _deployment(settings: Settings, clock: Clock) -> Deployment:
    return Deployment(
        keys=read_keys(settings),
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
        return GivenKeys(given_keyring(settings))
    return KeysInFile(settings.keys_path, settings.key_sealing)


def _tell_if_open(settings: Settings) -> None:
    """Says so where the keys are open though it is set how they are sealed: sealing them may have been forgotten."""
    if isinstance(settings.key_sealing, Unsealed):
        return
    try:
        content = settings.keys.get_secret_value().encode() if settings.keys else settings.keys_path.read_bytes()
    except OSError:  # of which more is told elsewhere
        return
    if is_open(content):
        where = "SEALKEY_KEYS" if settings.keys else settings.keys_path
        log.warning("keys_not_sealed", reason=f"{where} is not sealed, though it is set how: `sealkey keys seal`")


def given_keyring(settings: Settings) -> Keyring:
    """The keys that SEALKEY_KEYS holds. Raises KeyringUnreadable."""
    content = settings.keys.get_secret_value().encode() if settings.keys else b""
    return read_keyring(settings.key_sealing.open(content))


async def to_graphiql(_request: Request) -> Response:
    return RedirectResponse("/graphiql")
