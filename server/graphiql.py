"""GraphiQL at `/graphiql`: the page and its assets, as `make graphiql` built them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from schema.api import Api

# Nothing from elsewhere, and no inline script, so text that reached the page cannot run in it or
# carry a token away from it. Two things have to be looser:
# - style-src 'unsafe-inline': Monaco draws every line of code with a style attribute and writes its
#   theme into <style> elements while running, so neither a nonce nor a hash could name them.
# - data: for fonts and images: GraphiQL's stylesheet carries its fonts inside itself, and Monaco's theme
#   the wavy line under a mistake.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; "
    "script-src 'self'; "
    "connect-src 'self'; "
    "worker-src 'self'; "
    "style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; "
    "font-src 'self' data:; "
    "base-uri 'none'; "
    "form-action 'none'; "
    "frame-ancestors 'none'"
)

_SECURITY_HEADERS: Final[Mapping[str, str]] = {
    # On the assets too: a worker obeys the policy its own script came with, not the page's.
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PAGE_HEADERS: Final = {**_SECURITY_HEADERS, "Cache-Control": "no-store"}
# The build puts a hash of the content into each name, so what a name stands for never changes.
_ASSET_HEADERS: Final = {**_SECURITY_HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}

_NOT_BUILT: Final = """\
GraphiQL has not been built here. The API at /graphql works without it.

To build it, run this in the checkout, with Node.js 20.19 or newer installed:

    make graphiql

and load this page again; the server need not be restarted.
"""


def routes(dist: Path) -> list[BaseRoute]:
    """The routes of GraphiQL as Vite built it into `dist`, which need not exist yet."""

    async def page(_request: Request) -> Response:
        index = dist / "index.html"
        if not index.is_file():
            return PlainTextResponse(_NOT_BUILT, status_code=503, headers=_PAGE_HEADERS)
        return FileResponse(index, headers=_PAGE_HEADERS)

    return [
        Route("/graphiql", page),
        Mount("/graphiql/assets", _Assets(directory=dist / "assets", check_dir=False)),
    ]


def schema_route(api: Api) -> BaseRoute:
    """The schema at `/schema.graphql`, as text to be saved: GraphiQL offers it."""
    headers = {**_PAGE_HEADERS, "Content-Disposition": 'attachment; filename="schema.graphql"'}

    async def schema(_request: Request) -> Response:
        return PlainTextResponse(api.text, headers=headers)

    return Route("/schema.graphql", schema)


class _Assets(StaticFiles):
    """Static files that may be missing, kept by the browser for good once it has them."""

    async def check_config(self) -> None:
        """Starlette's own would answer 500 until the directory exists; without it a file is a 404."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_ASSET_HEADERS)
        return response
