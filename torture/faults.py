"""Every statement of every change fails in turn, in every way that a database has of failing.

What must hold: the answer says that the database can't be asked now, and nothing else; nothing has changed, or, from
COMMIT on, all of it has; no connection is lost; and the next request finds everything as if nothing had happened.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

import click
import httpx
from tortoise.connection import get_connections

from tests.access.api import Field, all_fields, document
from tests.access.rehearsal import rehearsed
from tests.access.stage import Stage, row_id
from tests.access.tables import Changes, Dump, Tables, changes, opened
from tests.plugins.database import Databases
from torture.campaign import CampaignFailed
from torture.injection import KINDS, MARK, Fail, Injection, Plan, injecting
from torture.staging import ENGINES, alone, databases_of, staged

# Tries are counted whatever comes of them, and so are uses.
_NOTES = frozenset({"throttles", "credential_usage", "usage_batches"})
# Of these there may only be so many.
_MAKE_ROOM = (
    "DELETE FROM throttles",
    "UPDATE access_tokens SET revoked_at = created_at WHERE name = 'script' OR name LIKE 'new%'",
    "UPDATE webhook_endpoints SET removed_at = created_at WHERE id != '{endpoint}'",
)
_COLUMNS = ("operator", "administrator", "member", "gateway-all", "nobody")
_SMALL = ("generateCredential", "/oauth/token")


@dataclass(frozen=True)
class Asked:
    """A request, and what of it must be in no answer that refuses it."""

    method: str
    path: str
    options: dict[str, Any]
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """Something to ask for; `prepare` makes what it needs to succeed."""

    name: str
    prepare: Callable[[], Asked]


@dataclass
class Figures:
    faults: int = 0
    requests: int = 0
    statements: dict[str, int] = field(default_factory=dict)


def faults(*, small: bool, engine: str | None = None) -> None:
    for name in [engine] if engine else ENGINES:
        click.echo(f"  {alone(_of, name, small)}")


def _of(engine: str, small: bool) -> str:
    with TemporaryDirectory() as directory, databases_of(engine, Path(directory)) as databases:
        figures = on(databases, engine, small=small)
    whole, kinds = sum(figures.statements.values()), len(figures.statements)
    return f"{engine}: {figures.faults:,} faults at {whole} statements of {kinds} kinds of request"


def on(databases: Databases, engine: str, *, small: bool) -> Figures:
    """The campaign on one engine."""
    figures = Figures()
    with (
        injecting() as injection,
        staged(databases, notifications=False) as stage,
        opened(stage.play.server.database_url) as tables,
        closing(_client(stage)) as http,
    ):
        trial = Trial(stage, tables, http, injection, figures, small=small)
        for case in cases(stage, _SMALL if small else ()):
            trial.of(case, KINDS[engine])
    return figures


class Trial:
    def __init__(
        self, stage: Stage, tables: Tables, http: httpx.Client, injection: Injection, figures: Figures, *, small: bool
    ) -> None:
        self._stage, self._tables, self._http = stage, tables, http
        self._injection, self._figures, self._small = injection, figures, small

    def of(self, case: Case, kinds: Mapping[str, Fail]) -> None:
        whole = self._succeeds(case)
        click.echo(f"  {case.name}: {self._figures.statements[case.name]} statements", err=True)
        for kind, fail in list(kinds.items())[: 1 if self._small else None]:
            self._each(case, kind, whole, partial(Plan, fail=fail))
        kind, fail = next(iter(kinds.items()))
        self._each(case, f"{kind} once it was committed", whole, partial(Plan, fail=fail, too_late=True))
        self._each(case, f"{kind}, and again at ROLLBACK", whole, partial(Plan, fail=fail, rollback_too=True))

    def _succeeds(self, case: Case) -> Changes:
        """What is changed where nothing fails."""
        asked, before = self._anew(case)
        plan = Plan(0, KINDS["sqlite"]["locked"])
        self._require_success(case, self._ask(asked, plan))
        self._figures.statements[case.name] = len(plan.statements)
        return _told(before, self._tables.dump())

    def _each(self, case: Case, kind: str, whole: Changes, plan_at: Callable[[int], Plan]) -> None:
        """One statement after the other, until all have had their turn and the request succeeds."""
        asked, before = self._anew(case)
        for at in count(1):
            plan = plan_at(at)
            answer = self._ask(asked, plan)
            if not plan.hit and len(plan.statements) < at:
                break
            if plan.hit:  # else it did well: only COMMIT can fail too late
                where = f"{case.name}, {kind}, statement {at} ({plan.hit[:80]})"
                after = self._after(where, asked, plan, answer, before, whole)
            if not plan.hit or after != before:
                asked, before = self._anew(case)
        self._require_success(case, answer)

    def _after(
        self, where: str, asked: Asked, plan: Plan, answer: httpx.Response, before: Dump, whole: Changes
    ) -> Dump:
        self._figures.faults += 1
        after = self._tables.dump()
        self._judge(where, asked, plan, answer, _told(before, after), whole)
        self._check_connections(where)
        return after

    def _require_success(self, case: Case, answer: httpx.Response) -> None:
        if not is_success(answer):
            raise CampaignFailed(f"{case.name} fails by itself: {answer.status_code} {answer.text}")

    def _anew(self, case: Case) -> tuple[Asked, Dump]:
        for statement in _MAKE_ROOM:
            self._stage.play.rows.execute(statement.format(endpoint=row_id(self._stage.mine.ids["WebhookEndpoint"])))
        return case.prepare(), self._tables.dump()

    def _ask(self, asked: Asked, plan: Plan) -> httpx.Response:
        self._stage.play.server.forget()
        self._figures.requests += 1
        with self._injection.planned(plan):
            return self._http.request(asked.method, asked.path, **asked.options)

    def _judge(
        self, where: str, asked: Asked, plan: Plan, answer: httpx.Response, changed: Changes, whole: Changes
    ) -> None:
        said = f"{answer.status_code} {dict(answer.headers)} {answer.text}"
        if MARK in said or "injected" in said or "Traceback" in said:
            raise CampaignFailed(f"{where}: the answer tells of the inside: {said}")
        if changed and _shape(changed) != _shape(whole):
            raise CampaignFailed(f"{where}: part of it was done: {changed}, of {_shape(whole)}")
        if is_unavailable(answer):
            if any(secret in said for secret in asked.secrets):
                raise CampaignFailed(f"{where}: the answer tells a secret")
            if changed and not plan.too_late:
                raise CampaignFailed(f"{where}: it was done, and the answer is {said}")
        elif not (is_success(answer) or is_partly(answer)) or (whole and not changed):
            raise CampaignFailed(f"{where}: {said}, and not that the database can't be asked")

    def _check_connections(self, where: str) -> None:
        give_up = monotonic() + 5
        while in_use := self._stage.play.server.run(_in_use):
            if monotonic() > give_up:
                raise CampaignFailed(f"{where}: {in_use} connections were not given back")
            sleep(0.02)


async def _in_use(_deployment: Any) -> int:
    """Connections that somebody has, or that are in a transaction."""
    client: Any = get_connections().get("default")
    if client.capabilities.dialect == "sqlite":
        return int(client._lock.locked() or bool(client._connection and client._connection.in_transaction))
    return sum(map(_is_held, client._pool._holders))


def _is_held(holder: Any) -> bool:
    connection = holder._con
    is_open = connection is not None and not connection.is_closed()
    return not holder.is_idle() or (is_open and connection.is_in_transaction())


def is_success(answer: httpx.Response) -> bool:
    if answer.status_code != 200:
        return False
    body = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else {}
    if "data" not in body:
        return "errors" not in body
    return "errors" not in body and not any((each or {}).get("userErrors") for each in body["data"].values())


def is_partly(answer: httpx.Response) -> bool:
    """Whether what was asked for was done, and only something to be read about it is missing."""
    if answer.request.url.path != "/graphql" or answer.status_code != 200:
        return False
    body = answer.json()
    codes = {error["extensions"]["code"] for error in body.get("errors", ())}
    payloads = list((body.get("data") or {}).values())
    return codes == {"UNAVAILABLE"} and all(each and not each.get("userErrors") for each in payloads)


def is_unavailable(answer: httpx.Response) -> bool:
    """Whether the answer says what docs/errors.md has it say while the database can't be asked."""
    if answer.status_code != 503 or not answer.headers.get("retry-after", "").isdigit():
        return False
    if answer.request.url.path == "/graphql":
        (error,) = answer.json()["errors"]
        message = "The database can't be asked now. Try again in a moment."
        return not answer.json().get("data") and (error["message"], error["extensions"]) == (
            message,
            {"code": "UNAVAILABLE"},
        )
    if answer.request.url.path == "/verify":
        return answer.headers["x-sealkey-code"] == "UNAVAILABLE" and not answer.content
    return answer.text == "The database can't be asked now. Try again in a moment.\n"


def _told(before: Dump, after: Dump) -> Changes:
    return {table: rows for table, rows in changes(before, after).items() if table not in _NOTES}


def _shape(changed: Changes) -> dict[str, tuple[int, int]]:
    return {table: (len(gone), len(come)) for table, (gone, come) in sorted(changed.items())}


def _client(stage: Stage) -> httpx.Client:
    return httpx.Client(base_url=stage.play.server.url, timeout=60, trust_env=False)


def cases(stage: Stage, names: Collection[str] = ()) -> Iterator[Case]:
    """Every mutation there is, by somebody who may, and the other doors; of them all, those with these names."""
    for mutation in all_fields():
        if mutation.is_mutation and (not names or mutation.name in names):
            yield Case(mutation.name, _prepared(stage, mutation, _who_may(stage, mutation)))
    others = [Case("a page of everything", lambda: _graphql(stage.operator.headers, PAGE, {})), *_other_doors(stage)]
    yield from (case for case in others if not names or case.name in names)


PAGE = """{ credentials { totalCount nodes { name identity { name } service { code } owner { email } predecessor { id }
    auditEvents { nodes { summary } } } } auditEvents { nodes { type actor { email } } } }"""


def _who_may(stage: Stage, mutation: Field) -> str:
    for column in _COLUMNS:
        client, given = rehearsed(stage, mutation, column)
        with httpx.Client(base_url=client.url, timeout=60, trust_env=False) as http:
            asked = _graphql(client.headers, document(mutation, given), given)
            if is_success(http.request(asked.method, asked.path, **asked.options)):
                return column
    raise CampaignFailed(f"nobody may {mutation.name}")


def _prepared(stage: Stage, mutation: Field, column: str) -> Callable[[], Asked]:
    def prepare() -> Asked:
        client, given = rehearsed(stage, mutation, column)
        return _graphql(client.headers, document(mutation, given), given)

    return prepare


def _graphql(headers: dict[str, str], query: str, variables: dict[str, Any]) -> Asked:
    options = {"json": {"query": query, "variables": variables}, "headers": headers}
    secrets = [*_texts(variables), headers.get("Authorization", "").removeprefix("Bearer ")]
    return Asked("POST", "/graphql", options, tuple(text for text in secrets if len(text) > 20))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _other_doors(stage: Stage) -> Iterator[Case]:
    key, secret = stage.mine.keys["apiKey"], stage.mine.keys["apiSecret"]
    gateway = stage.mine.gateway_token

    def token() -> str:
        made: str = stage.play.nobody.do("login", "accessToken", apiKey=key, apiSecret=secret)["accessToken"]
        return made

    def asked(method: str, path: str, *secrets: str, **options: Any) -> Callable[[], Asked]:
        return lambda: Asked(method, path, options, (secret, *secrets))

    def revoking() -> Asked:
        return Asked("POST", "/oauth/revoke", {"data": {"token": token()}, "auth": (key, secret)}, (secret,))

    def inspecting() -> Asked:
        headers = {"Authorization": f"Bearer {gateway}"}
        return Asked("POST", "/oauth/introspect", {"data": {"token": token()}, "headers": headers}, (gateway,))

    def verifying_token() -> Asked:
        headers = {"Authorization": f"Bearer {token()}", "X-Sealkey-Gateway-Token": gateway}
        return Asked("GET", "/verify", {"headers": headers}, (gateway,))

    yield Case("/v2/login", asked("POST", "/v2/login", json={"api_key": key, "api_secret": secret}))
    grant = {"grant_type": "client_credentials"}
    yield Case("/oauth/token", asked("POST", "/oauth/token", data=grant, auth=(key, secret)))
    yield Case("/oauth/revoke", revoking)
    yield Case("/oauth/introspect", inspecting)
    by_gateway = {"X-Sealkey-Gateway-Token": gateway}
    yield Case("/verify", asked("GET", "/verify", gateway, headers=by_gateway, auth=(key, secret)))
    yield Case("/verify by token", verifying_token)
