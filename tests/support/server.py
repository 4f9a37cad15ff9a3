"""A real server in this process: real sockets, real HTTP, real database; only the clock is the test's."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette

from resolvers.caller import Deployment
from schema.errors import Code
from server.app import create_app
from server.housekeeping import Housekeeping
from server.settings import Settings
from server.wire_protocol import WEBSOCKETS, WireProtocol
from tests.support.used import USED

Result = TypeVar("Result")
START = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
# Made once: httpx would read the machine's certificates for each request, which takes longer than the request.
_TLS = ssl.create_default_context()


# For tests whose documents are larger than a deployment's are allowed to be.
LARGE_DOCUMENTS: dict[str, Any] = {
    "graphql_tokens": 10_000,
    "graphql_depth": 100,
    "graphql_aliases": 1000,
    "graphql_repetitions": 1000,
    "graphql_root_fields": 1000,
    "graphql_cost": 1_000_000_000,
}


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **amount: float) -> None:
        self.now += timedelta(**amount)

    def in_(self, **amount: float) -> str:
        """The instant so much later, as the API writes it."""
        return (self.now + timedelta(**amount)).isoformat().replace("+00:00", "Z")


class Client:
    """Somebody who sends GraphQL documents over HTTP, with a session token or without."""

    def __init__(self, url: str, token: str | None = None, more_headers: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.token = token
        self.more_headers = dict(more_headers or {})

    @property
    def headers(self) -> dict[str, str]:
        return {**({"Authorization": f"Bearer {self.token}"} if self.token else {}), **self.more_headers}

    def sending(self, **headers: str) -> Self:
        """The same client with further headers: X_Forwarded_For is X-Forwarded-For."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return type(self)(self.url, self.token, {**self.more_headers, **named})

    def execute(self, document: str, /, **variables: Any) -> dict[str, Any]:
        """The whole answer, errors and all."""
        answer: dict[str, Any] = self.post(document, variables).json()
        return answer

    def post(self, document: str, variables: Mapping[str, Any] | None = None) -> httpx.Response:
        """The answer as it came over the wire."""
        given = dict(variables or {})
        body = {"query": document, "variables": given}
        answer = httpx.post(f"{self.url}/graphql", json=body, headers=self.headers, timeout=60, verify=_TLS)
        codes = {error["extensions"]["code"] for error in answer.json().get("errors", ())}
        assert codes <= set(Code), "a code that there is not"
        if answer.is_success:
            USED.record(document, given, answer.json().get("data"))
        return answer

    def data(self, document: str, /, **variables: Any) -> Any:
        """The data of an answer that has no errors; of one root field, that field's."""
        answer = self.execute(document, **variables)
        assert "errors" not in answer, answer["errors"]
        data = answer["data"]
        return next(iter(data.values())) if len(data) == 1 else data

    def error_code(self, document: str, /, **variables: Any) -> str:
        """extensions.code of an answer's only top-level error."""
        answer = self.execute(document, **variables)
        (error,) = answer["errors"]
        code: str = error["extensions"]["code"]
        return code

    def mutate(self, name: str, selection: str, /, **fields: Any) -> Any:
        """The payload of a mutation that takes `input`; `selection` is what to ask for besides userErrors."""
        input_type = f"{name[0].upper()}{name[1:]}Input"
        input_type = _INPUT_TYPES.get(name, input_type)
        document = f"""mutation ($input: {input_type}!) {{
            {name}(input: $input) {{ {selection} userErrors {{ field code message }} }}
        }}"""
        return self.data(document, input=fields)

    def do(self, name: str, selection: str, /, **fields: Any) -> Any:
        """As `mutate`, for one that must succeed."""
        payload = self.mutate(name, selection, **fields)
        assert payload["userErrors"] == [], payload["userErrors"]
        return payload

    def refusals(self, name: str, selection: str, /, **fields: Any) -> list[tuple[str, list[str] | None]]:
        """Code and field of each user error of a mutation; everything else in its payload must be null."""
        payload = self.mutate(name, selection, **fields)
        errors = payload.pop("userErrors")
        assert set(payload.values()) <= {None}
        assert all(error["message"] for error in errors)
        return [(error["code"], error["field"]) for error in errors]


_INPUT_TYPES = {
    **dict.fromkeys(["suspendAccount", "reinstateAccount"], "AccountInput"),
    **dict.fromkeys(
        ["renewInvitation", "grantApiAccess", "removeApiAccess", "deactivateUser", "reactivateUser"], "UserInput"
    ),
    **dict.fromkeys(["rejectIdentity", "suspendIdentity", "reinstateIdentity"], "IdentityInput"),
    **dict.fromkeys(["suspendService", "resumeService", "cancelService"], "ServiceInput"),
    **dict.fromkeys(["linkIdentityToService", "unlinkIdentityFromService"], "LinkIdentityInput"),
}


@dataclass(frozen=True)
class RunningServer:
    url: str
    clock: FakeClock
    database_url: str
    data_dir: Path
    app: Starlette
    loop: asyncio.AbstractEventLoop
    connections: Collection[object] = ()
    """Those that are open."""
    keep_house: Callable[[], None] = lambda: None
    """Does what the server does beside the requests, until by its clock there is nothing left to do."""

    def client(self, token: str | None = None) -> Client:
        return Client(self.url, token)

    def run(self, use: Callable[[Deployment], Coroutine[Any, Any, Result]]) -> Result:
        """What a use case answers, run where the server runs: for what has no door yet."""
        return asyncio.run_coroutine_threadsafe(use(self.app.state.deployment), self.loop).result(30)

    def forget(self) -> None:
        """Has the server forget what it remembers of credentials: they were changed behind its back."""

        async def forget(deployment: Deployment) -> None:
            deployment.memory.forget()

        self.run(forget)


@contextmanager
def running_server(database_url: str, data_dir: Path, clock: FakeClock, **settings: Any) -> Iterator[RunningServer]:
    """A server on a free port of the loopback address, stopped at the end."""
    # Clocks stand still, so that a budget would never be renewed: only tests of budgets have one.
    # And what many clients do at once on a busy machine may take its time.
    settings = {"graphql_budget": 0, "operation_wait_seconds": 60, **settings}
    app = create_app(Settings(data_dir=data_dir, database_url=SecretStr(database_url), **settings), clock)
    config = uvicorn.Config(
        app,
        http=WireProtocol,
        host="127.0.0.1",
        port=0,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        **WEBSOCKETS,
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert server.ready.wait(30), "the server did not start"
    try:
        port = server.servers[0].sockets[0].getsockname()[1]

        def keep_house() -> None:
            asyncio.run_coroutine_threadsafe(_keep_house(app.state.housekeeping), server.loop).result(60)

        url, connections = f"http://127.0.0.1:{port}", server.server_state.connections
        yield RunningServer(url, clock, database_url, data_dir, app, server.loop, connections, keep_house)
    finally:
        server.should_exit = True
        thread.join(30)


async def _keep_house(house: Housekeeping) -> None:
    await house.tell_of_ends()
    await house.clean_up()
    await house.flush()
    await house.write_announced()
    while await house.sender.start_due() or house.sender.is_busy:
        await house.sender.finish()


# A file that is being read is closed by who reads it. Streams are not waited for.
_FINISHES_WITHIN = 0.5


class _Server(uvicorn.Server):
    """Says when it listens, and stops at once: uvicorn's own takes 0.2 s, to let clients go that are not there."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.loop = asyncio.get_running_loop()
        self.ready.set()

    async def main_loop(self) -> None:
        while not self.should_exit:  # noqa: ASYNC110  (another thread says so)
            await asyncio.sleep(0.01)

    async def shutdown(self, sockets: Any = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if tasks := self.server_state.tasks:
            await asyncio.wait(tasks, timeout=_FINISHES_WITHIN)
        await self.lifespan.shutdown()
