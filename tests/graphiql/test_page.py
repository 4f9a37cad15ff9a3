"""How GraphiQL's page and assets are served, whether or not it has been built."""

import asyncio
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from server import graphiql

PAGE = "<!doctype html><title>Sealkey</title>"


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """What a build leaves behind, in small."""
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text(PAGE)
    (dist / "assets/index-0a1b2c.js").write_text("export {};")
    return dist


class Visitor:
    """Loads pages from an application that serves nothing but GraphiQL."""

    def __init__(self, dist: Path) -> None:
        self.transport = httpx.ASGITransport(Starlette(routes=graphiql.routes(dist)))

    def get(self, path: str) -> httpx.Response:
        return asyncio.run(self._get(path))

    async def _get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(
            transport=self.transport, base_url="http://sealkey.test", follow_redirects=True
        ) as client:
            return await client.get(path)


@pytest.mark.parametrize("path", ["/graphiql", "/graphiql/"])
def test_the_page_is_never_kept(dist: Path, path: str) -> None:
    answer = Visitor(dist).get(path)
    assert (answer.status_code, answer.text) == (200, PAGE)
    assert answer.headers["cache-control"] == "no-store"


def test_an_asset_is_kept_for_good(dist: Path) -> None:
    answer = Visitor(dist).get("/graphiql/assets/index-0a1b2c.js")
    assert (answer.status_code, answer.text) == (200, "export {};")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("path", ["/graphiql", "/graphiql/assets/index-0a1b2c.js"])
def test_page_and_assets_carry_the_security_headers(dist: Path, path: str) -> None:
    headers = Visitor(dist).get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    policy = dict(directive.split(maxsplit=1) for directive in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == policy["worker-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"


@pytest.mark.parametrize("path", ["gone.js", "%2e%2e/index.html", "%2e%2e/%2e%2e/etc/passwd"])
def test_a_missing_asset_is_not_found_and_not_kept(dist: Path, path: str) -> None:
    answer = Visitor(dist).get(f"/graphiql/assets/{path}")
    assert answer.status_code == 404
    assert "cache-control" not in answer.headers


def test_before_it_is_built_the_page_says_how_to_build_it(tmp_path: Path) -> None:
    answer = Visitor(tmp_path / "nowhere").get("/graphiql")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "make graphiql" in answer.text


def test_before_it_is_built_an_asset_is_not_found(tmp_path: Path) -> None:
    assert Visitor(tmp_path / "nowhere").get("/graphiql/assets/index-0a1b2c.js").status_code == 404


def test_what_is_built_while_the_server_runs_is_served(dist: Path, tmp_path: Path) -> None:
    built_later = tmp_path / "later"
    visitor = Visitor(built_later)
    assert visitor.get("/graphiql").status_code == 503
    dist.rename(built_later)
    assert visitor.get("/graphiql").text == PAGE
    assert visitor.get("/graphiql/assets/index-0a1b2c.js").status_code == 200
