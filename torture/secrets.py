"""A secret is in the one answer that hands it over and nowhere else, whatever is asked, however wrongly, whatever fails
and however much is logged.

Everything there is to ask is asked with secrets in every place where a text can stand; then all that was answered,
logged and kept is searched.
"""

import asyncio
import json
import logging
import sys
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from secrets import token_hex, token_urlsafe
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, urlencode

import click
import httpx
from graphql import GraphQLNamedType
from pydantic import SecretStr

from tests.access.api import Field, all_fields, document, variables
from tests.access.api import Path as Way
from tests.access.stage import Stage
from tests.access.tables import opened
from tests.auth.crypto import keys
from tests.plugins.database import Databases
from tests.server.test_canary import is_kept, left_by
from tests.support.command import Serving
from tests.support.receiver import running_receiver
from torture.campaign import CampaignFailed
from torture.faults import Figures, Trial, cases
from torture.injection import KINDS, injecting
from torture.staging import ENGINES, alone, databases_of, staged_and_logged
from torture.traces import traces

# What hands over a secret in an answer.
_HANDED_OVER = {
    *("sessionToken", "token", "invitationToken", "accessToken", "access_token", "apiSecret", "secret"),
    "signingSecret",
}
# What is in an address of a webhook that only the receiver is to know: it is kept and shown, where the endpoint is.
_ADDRESS = "webhook address"
_KEPT = {_ADDRESS: ("the endpoints", "the database's files", "the statements of endpoints")}
# Of each kind so many are looked for.
_LOOKED_FOR, _FEW = 6, 1
_SMALL = ("signIn", "generateCredential", "node")


_NEW_ENDPOINT = """mutation ($input: CreateWebhookEndpointInput!) {
    createWebhookEndpoint(input: $input) { endpoint { url } signingSecret userErrors { field code message } }
}"""
_STATEMENTS = logging.getLogger("tortoise.db_client")
_DEBUGGING = """
import logging, sys
logging.basicConfig(level=1, stream=sys.stderr)
import uvicorn
configure = uvicorn.Config.__init__
uvicorn.Config.__init__ = lambda self, *given, **named: configure(self, *given, **{**named, "log_level": "trace"})
from server.cli import main
main()
"""


@dataclass
class Witness:
    """What was seen: the secrets by kind, each with the answers that handed it over; every answer; and places in which
    there must be none."""

    secrets: dict[str, dict[str, set[int]]] = field(default_factory=dict)
    answers: list[bytes] = field(default_factory=list)
    places: dict[str, bytes] = field(default_factory=dict)
    # Whose Authorization may read addresses of webhooks.
    readers: set[str] = field(default_factory=set)
    # Answers that tell a name of the document's, as GraphQL's do.
    told_names: set[int] = field(default_factory=set)

    def learn(self, kind: str, secret: str) -> str:
        if not any(secret in each for each in self.secrets.values()):
            self.secrets.setdefault(kind, {})[secret] = set()
        return secret

    def saw(self, answer: httpx.Response) -> None:
        number = len(self.answers)
        self.answers.append(f"{answer.headers}\n{answer.text}".encode())
        if "json" in answer.headers.get("content-type", ""):
            for kind, secret in handed_over(answer.json()):
                self.secrets.setdefault(kind, {}).setdefault(secret, set()).add(number)
            self._saw_addresses(answer, number)

    def _saw_addresses(self, answer: httpx.Response, number: int) -> None:
        if answer.request.headers.get("Authorization") in self.readers:
            for address, answers in self.secrets.get(_ADDRESS, {}).items():
                if any(address in url for url in _urls(answer.json())):
                    answers.add(number)


def _urls(body: Any) -> Iterator[str]:
    for name, value in _texts(body):
        if name == "url":
            yield value


def handed_over(body: Any) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in _texts(body) if name in _HANDED_OVER)


def _texts(body: Any) -> Iterator[tuple[str, str]]:
    match body:
        case dict():
            for name, value in body.items():
                if isinstance(value, str):
                    yield name, value
                yield from _texts(value)
        case list():
            for each in body:
                yield from _texts(each)


def secrets(*, small: bool, engine: str | None = None) -> None:
    for name in [engine] if engine else ENGINES:
        click.echo(f"  {alone(_of, name, small)}")


def _of(engine: str, small: bool) -> str:
    with TemporaryDirectory() as directory, databases_of(engine, Path(directory)) as databases:
        told = f"{engine}: {on(databases, engine, small=small)}"
        return told if small else f"{told}\n  {engine}: {of_a_process(databases, Path(directory))}"


class _Debugging(Serving):
    """Everything that can be logged is, by a process of its own."""

    command = (sys.executable, "-X", "dev", "-W", "ignore", "-c", _DEBUGGING)


def of_a_process(databases: Databases, directory: Path) -> str:
    """The main job and every misuse that tests.server.test_canary knows; all that the process wrote is searched."""
    left = left_by(_Debugging, databases.create_database("debugging"), directory / "data")
    if b"BEGIN" not in left.places["the log"] and b"SELECT" not in left.places["the log"]:
        raise CampaignFailed("the process is searched, but has logged no statement")
    for name, secret in left.secrets.items():
        for place, text in left.places.items():
            if not is_kept(name, place) and (at := _first(traces(secret), text)):
                raise CampaignFailed(f"{name} is in {place}: {text[max(0, at - 300) : at + 100]!r}")
    size = sum(map(len, left.places.values()))
    return f"{len(left.secrets)} secrets in none of {size:,} bytes that a process with debugging left"


def on(databases: Databases, engine: str, *, small: bool) -> str:
    """The campaign on one engine, by what was seen."""
    witness = Witness()
    settings = {
        name: SecretStr(witness.learn(name, token_urlsafe(24))) for name in ("metrics_token", "keys_passphrase")
    }
    networks = (ip_network("127.0.0.0/8"),)
    with (
        injecting() as injection,
        seeing_everything(witness),
        staged_and_logged(databases, notifications=False, webhook_allowed_networks=networks, **settings) as (
            stage,
            log,
        ),
    ):
        tell_receivers(stage, witness)
        thrown = list(canaries(stage, witness).values())[-2 if small else 0 :]
        asyncio.run_coroutine_threadsafe(_debug_the_loop(), stage.play.server.loop).result()
        for field_ in all_fields():
            if field_.at_root and not field_.is_subscription and (not small or field_.name in _SMALL):
                throw(stage, field_, thrown)
        for canary in thrown[-1 if small else 0 :]:
            throw_elsewhere(stage, witness, canary)
        with opened(stage.play.server.database_url) as tables, httpx.Client(base_url=stage.play.server.url) as http:
            trial = Trial(stage, tables, http, injection, Figures(), small=True)
            for case in cases(stage, ("login",) if small else ()):
                trial.of(case, KINDS[engine])
        look(stage, witness, log.getvalue().encode(), settings["metrics_token"].get_secret_value())
    return judge(witness, _FEW if small else _LOOKED_FOR)


@contextmanager
def seeing_everything(witness: Witness) -> Iterator[None]:
    """Every answer that a client in this process gets is seen, and everything that can be logged is."""
    real, root = httpx.Client.send, logging.getLogger()
    before = root.level
    for name in ("httpx", "httpcore"):  # who asks, in this same process
        logging.getLogger(name).setLevel(logging.WARNING)

    def send(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        answer = real(client, request, **options)
        answer.read()
        witness.saw(answer)
        return answer

    with patch.object(httpx.Client, "send", send), patch.object(_STATEMENTS, "filters", []):
        root.setLevel(1)
        try:
            yield
        finally:
            root.setLevel(before)


async def _debug_the_loop() -> None:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.005


def canaries(stage: Stage, witness: Witness) -> dict[str, str]:
    """Secrets of every kind that people may put where they do not belong."""
    made = {
        "API secret": stage.mine.keys["apiSecret"],
        "session token": str(stage.play.member.token),
        "gateway token": stage.mine.gateway_token,
        "access token": str(stage.play.nobody.do("login", "accessToken", **stage.mine.keys)["accessToken"]),
        "password": f"pass {token_urlsafe(16)} \"ß<&%'\\ {token_urlsafe(16)}",
        "idempotency key": token_urlsafe(24),
        "private key": keys.private_pem(),
        "invitation token": stage.invite("MEMBER", account=stage.play.alder)["invitationToken"],
        "personal access token": stage.token(stage.play.member, ["READ_SERVICES"])["token"],
        **{kind: next(iter(witness.secrets[kind])) for kind in ("signingSecret", "metrics_token", "keys_passphrase")},
        "OpenID token": ".".join(token_urlsafe(30) for _ in range(3)),
    }
    server = json.loads((stage.play.server.data_dir / "server-keys.json").read_text())["keys"]
    witness.secrets["server key"] = {key.get("k") or key["d"]: set() for key in server}
    password = stage.play.server.database_url.partition("://")[2].partition("@")[0].partition(":")[2]
    if password:
        witness.learn("database password", password)
    for kind, canary in made.items():
        # Of a PEM file a line is as bad as all of it.
        witness.learn(kind, "".join(canary.splitlines()[2:-1]) if kind == "private key" else canary)
    return made


def tell_receivers(stage: Stage, witness: Witness) -> None:
    """Messages are sent to one that takes them, one that does not and one that is not there, at addresses with a secret
    in each; who may read what became of it does."""
    administrator = stage.play.administrator
    witness.readers = {each.headers["Authorization"] for each in (administrator, stage.operator, stage.play.auditor)}
    with running_receiver() as receiver:
        receiver.answer = lambda message: 500 if "refused" in message.path else 204
        for url in (receiver.url("/taken"), receiver.url("/refused"), "http://127.0.0.1:9/away"):
            address = witness.learn(_ADDRESS, token_urlsafe(24))
            hook = {"url": f"{url}/{address}?token={address}", "eventTypes": ["CREDENTIAL_GENERATED"]}
            administrator.do("createWebhookEndpoint", "endpoint { id url } signingSecret", **hook)
        stage.credential(stage.play.member, stage.play.alder, "told")
        stage.play.server.keep_house()
        if len(receiver.take()) != 2:
            raise CampaignFailed("addresses are searched for, but nothing was sent there")
    bad = {"url": f"https://user:{address}@receiver.example/#{address}", "eventTypes": ["CREDENTIAL_GENERATED"]}
    for client in stage.clients.values():
        client.post("{ webhookEndpoints { nodes { url } } auditEvents(last: 100) { nodes { type summary } } }")
        client.post(_NEW_ENDPOINT, {"input": bad})


def throw(stage: Stage, asked: Field, thrown: Collection[str]) -> None:
    """Every secret, in every place of a field where something can stand: by nobody as it is, which is kept nowhere,
    and by somebody who may in a form that is refused."""
    for canary in thrown:
        refused = (
            (stage.operator, {"x": canary}),
            (stage.operator, [canary, {"x": [canary]}]),
            (stage.play.member, [[canary]]),
        )
        for client, value in ((stage.play.nobody, canary), *(refused if asked.definition.args else ())):
            given = variables(asked.definition, _always(value))
            client.post(document(asked, given, _selected(asked)), given)
        text = json.dumps(canary)
        stage.operator.post(f"{_kind(asked)} {{ {asked.name}(input: {text}, id: [{text}], x: {{a: {text}}}) {{ x }} }}")
        stage.operator.post(f"{_kind(asked)} {{ {asked.name}(input: {{a: {text[:-1]}")


def _always(value: Any) -> Callable[[Way, GraphQLNamedType], Any]:
    return lambda _path, _type: value


def _selected(asked: Field) -> str | None:
    return "{ __typename }" if asked.name in {"node", "nodes"} else None


def _kind(asked: Field) -> str:
    return "mutation" if asked.is_mutation else "query"


def throw_elsewhere(stage: Stage, witness: Witness, canary: str) -> None:
    """In what is not GraphQL's, and in names."""
    text, line = json.dumps(canary), " ".join(canary.encode("ascii", "replace").decode().split())
    name = witness.learn("a name", f"c{token_hex(16)}")
    viewer = "{ viewer { role } }"
    with httpx.Client(base_url=stage.play.server.url) as http:
        for body in (
            {"query": viewer, "operationName": canary},
            {"query": viewer, "variables": canary},
            {"query": viewer, "extensions": {"persistedQuery": {"version": 1, "sha256Hash": canary}}},
            {"query": viewer, "documentId": canary},
            {"query": canary},
            {
                "query": "query ($a: Int!, $b: DateTime!, $c: Role) { viewer { role } }",
                "variables": dict.fromkeys("abc", canary),
            },
            [canary],
            canary,
        ):
            http.post("/graphql", json=body)
        http.post("/graphql", content=text[:-1], headers={"Content-Type": "application/json"})
        http.post("/graphql", content=text, headers={"Content-Type": line})
        first = len(witness.answers)
        for query in (
            f"query {name} {{ viewer {{ role }} {name} }}",
            f"query (${name}: Int!) {{ {name}: viewer {{ role }} }}",
            f"fragment {name} on {name} {{ {name} }} {{ ...{name} @{name}({name}: ${name}) }}",
        ):
            http.post("/graphql", json={"query": query, "variables": {name: name}})
        witness.told_names |= set(range(first, len(witness.answers)))
        for path in (
            "/graphql",
            "/v2/login",
            "/oauth/token",
            "/oauth/introspect",
            "/oauth/revoke",
            "/verify",
            "/readyz",
            "/",
        ):
            http.get(f"{path}?query={quote(canary)}&variables={quote(canary)}&service={quote(canary)}")
            http.get(f"{path}/{quote(canary, safe='')}")
            http.request(_method(line), path)
            for headers in _headers(line, canary):
                http.get(path, headers=headers)
                http.post(path, headers=headers, json={"query": viewer})
            for names in (
                ("api_key", "api_secret"),
                ("client_id", "client_secret"),
                ("grant_type", "scope"),
                ("token",),
            ):
                fields = dict.fromkeys(names, canary)
                http.post(path, json=fields)
                http.post(path, data={**fields, "grant_type": fields.get("grant_type", "client_credentials")})
                http.post(path, content=urlencode(fields) * 300)
        key = stage.mine.keys["apiKey"]
        http.post("/v2/login", json={"api_key": key, "api_secret": canary})
        http.post("/v2/login", json={"api_key": [canary], "api_secret": {"x": canary}})
        http.post("/oauth/token", data={"grant_type": "client_credentials", "scope": canary}, auth=(key, canary))


def _method(line: str) -> str:
    return "".join(each for each in line if each.isalnum())[:30] or "X"


def _headers(line: str, canary: str) -> Iterator[dict[str, str]]:
    for name in ("X-Api-Key", "X-Api-Secret", "X-Forwarded-For", "User-Agent", "Accept", "Origin", "X-Request-Id"):
        yield {name: line}
    yield {"Cookie": f"sealkey_session={line}; {line}", "X-Sealkey-CSRF": line}
    yield {"Authorization": f"Bearer {line}"}
    yield {"Authorization": f"Basic {b64encode(canary.encode()).decode()}"}
    yield {"Authorization": line}
    yield {"X-Sealkey-Gateway-Token": line, "X-Sealkey-Client-Address": line, "X-Sealkey-Service-Required": line}


def look(stage: Stage, witness: Witness, log: bytes, metrics_token: str) -> None:
    """All that is left of it: the log, every row, and the bytes of the database's files."""
    play = stage.play
    if stage.mine.keys["apiKey"].encode() not in log:  # which is public, and a statement's value
        raise CampaignFailed("the log is searched, but has no statements' values in it")
    # Here with their values, which no setting shows; `of_a_process` reads what others do.
    of_endpoints = [line for line in log.splitlines() if b"webhook_endpoints" in line]
    witness.places["the statements of endpoints"] = b"\n".join(of_endpoints)
    witness.places["the log"] = b"\n".join(line for line in log.splitlines() if b"webhook_endpoints" not in line)
    rows = play.rows.dump()
    witness.places["the endpoints"] = repr(rows.pop("webhook_endpoints")).encode()
    witness.places["the rows"] = repr(rows).encode()
    if play.rows.engine == "sqlite":
        file = Path(play.server.database_url.removeprefix("sqlite://"))
        files = sorted(file.parent.glob(f"{file.name}*"))  # with the journal
        witness.places["the database's files"] = b"".join(each.read_bytes() for each in files)
    metrics = httpx.get(f"{play.server.url}/metrics", headers={"Authorization": f"Bearer {metrics_token}"})
    witness.places["the metrics"] = metrics.raise_for_status().content
    processes = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    witness.places["the processes' arguments"] = b"\n".join(processes)


def judge(witness: Witness, most: int) -> str:
    looked_for = [(kind, secret) for kind, each in witness.secrets.items() for secret in list(each)[:most]]
    for kind, secret in looked_for:
        shows = traces(secret, every=4)
        for place, text in witness.places.items():
            if place not in _KEPT.get(kind, ()) and (at := _first(shows, text)):
                raise CampaignFailed(f"a {kind} is in {place}: {text[max(0, at - 300) : at + 100]!r}")
        allowed = witness.secrets[kind][secret] | (witness.told_names if kind == "a name" else set())
        for number, answer in enumerate(witness.answers):
            if number not in allowed and _first(shows, answer):
                raise CampaignFailed(f"a {kind} is in an answer that was not there to tell it: {answer[:2000]!r}")
    size = sum(map(len, witness.places.values())) + sum(map(len, witness.answers))
    return (
        f"{len(looked_for)} secrets of {len(witness.secrets)} kinds, each in its own answer alone of "
        f"{len(witness.answers):,}, and in none of {size:,} bytes"
    )


def _first(shows: Collection[bytes], text: bytes) -> int:
    """Where the first is found, from 1 on; 0 where none is."""
    return min((at for each in shows if (at := text.find(each) + 1)), default=0)
