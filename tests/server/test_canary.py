"""Secrets are handed over once and are nowhere else: not in the database's files, not in the log, in no other answer,
whatever goes wrong on the way. A real server is used and misused, and all that it left behind is searched."""

import json
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat

from auth.crypto.envelopes import open_envelope
from tests.auth.crypto import keys
from tests.plugins.database import Databases
from tests.support.command import Serving, run
from tests.support.rows import Rows
from tests.support.world import GENERATED
from torture.traces import found

OPERATOR, MEMBER = "olga@provider.example", "max@alder.example"
JSON = {"Content-Type": "application/json"}


@dataclass
class Left:
    """The secrets, by name, and what a server left behind in which they must not be."""

    secrets: dict[str, str] = field(default_factory=dict)
    # Each answer, with the names of the secrets that it was there to hand over.
    answers: list[tuple[str, set[str]]] = field(default_factory=list)
    # Files and the like.
    places: dict[str, bytes] = field(default_factory=dict)
    # What is no secret and is surely there.
    public: list[str] = field(default_factory=list)


class Person:
    """Somebody who uses a server, or misuses it."""

    def __init__(self, url: str, left: Left) -> None:
        self.url = url
        self.left = left
        self.headers: dict[str, str] = {}

    def send(self, body: str, headers: dict[str, str] = JSON, *, method: str = "POST", path: str = "/graphql") -> str:
        headers = {**headers, **self.headers}
        with httpx.Client(verify=False, timeout=60) as http:
            text = http.request(method, self.url + path, content=body, headers=headers).text
        self.left.answers.append((text, set()))
        return text

    def ask(self, document: str, **variables: Any) -> Any:
        return json.loads(self.send(json.dumps({"query": document, "variables": variables})))

    def try_to(self, name: str, selection: str, /, **fields: Any) -> Any:
        """The whole answer to a mutation."""
        type_ = {"suspendService": "Service"}.get(name, name[0].upper() + name[1:])
        asked = f"{name}(input: $input) {{ {selection} userErrors {{ code field message }} }}"
        return self.ask(f"mutation ($input: {type_}Input!) {{ {asked} }}", input=fields)

    def do(self, name: str, selection: str, /, **fields: Any) -> Any:
        """The payload of a mutation that must succeed."""
        payload = self.try_to(name, selection, **fields)["data"][name]
        assert payload["userErrors"] == []
        return payload

    def be_told(self, **told: str) -> None:
        """These were secrets, and the newest answer was there to hand them over."""
        self.left.secrets |= told
        self.left.answers[-1][1].update(told)

    def sign_in_with(self, token: str, name: str) -> None:
        self.be_told(**{name: token})
        self.headers = {"Authorization": f"Bearer {token}"}


def be_told_by_webhook(operator: Person, account: str, left: Left) -> None:
    """Of what happens to services, at an address that is a secret, where nobody listens."""
    url = f"http://127.0.0.1:9/{left.secrets['address']}?token={left.secrets['address']}"
    types = ["CREDENTIAL_GENERATED", "CREDENTIAL_BLOCKED"]
    made = operator.do("createWebhookEndpoint", "signingSecret", accountId=account, url=url, eventTypes=types)
    operator.be_told(signing=made["signingSecret"])
    operator.try_to("createWebhookEndpoint", "signingSecret", accountId=account, url=f"{url}#x", eventTypes=types)


def is_kept(name: str, place: str) -> bool:
    """An address is kept as it is: it must be had again, and is shown to who may see the endpoint."""
    return name == "address" and place.startswith(("the rows", "the files"))


def use(url: str, rows: Rows, left: Left) -> None:
    """The main job by both deliveries, and every wrong use of the secrets it takes."""
    operator, member, nobody = (Person(url, left) for _ in range(3))
    password = left.secrets["operator password"]
    operator.sign_in_with(
        operator.do("signIn", "sessionToken", email=OPERATOR, password=password)["sessionToken"], "one"
    )
    ids = open_account(operator)
    be_told_by_webhook(operator, ids["accountId"], left)
    invited = operator.do(
        "createUser",
        "user { id } invitationToken",
        accountId=ids["accountId"],
        email=MEMBER,
        displayName="Max",
        role="MEMBER",
        apiAccess=True,
    )
    operator.be_told(invitation=invited["invitationToken"])
    accepted = member.do(
        "acceptInvitation",
        "sessionToken",
        invitationToken=invited["invitationToken"],
        password=left.secrets["member password"],
    )
    member.sign_in_with(accepted["sessionToken"], "two")

    shown, sealed = generate(member, ids)
    for keys_ in (shown, sealed):
        token = nobody.do("login", "accessToken scope", **keys_)["accessToken"]
        nobody.be_told(**{f"access token {token[-9:]}": token})
        operator.do("verifyCredential", "code credential { maskedApiKey }", **keys_)
        member.try_to("verifyCredential", "code", **keys_)
    for person in (nobody, member, operator):
        misuse(person, ids, shown, left)
    operator.ask("{ credentials { nodes { maskedApiKey } } auditEvents(last: 100) { nodes { summary subjectId } } }")
    block(operator, member)
    for keys_ in (shown, sealed):
        nobody.try_to("login", "scope", **keys_)
        operator.do("verifyCredential", "code", **keys_)
    while_the_database_is_broken(rows, [nobody, member], shown, left)


def open_account(operator: Person) -> dict[str, str]:
    account = operator.do("createAccount", "account { id }", name="Alder")["account"]["id"]
    submitted = operator.do("submitIdentity", "identity { id }", accountId=account, name="Alder", kind="ORGANIZATION")
    identity = submitted["identity"]["id"]
    operator.do("approveIdentity", "identity { id }", identityId=identity)
    fields = {"accountId": account, "name": "Scans", "code": "scans", "identityIds": [identity]}
    service = operator.do("createService", "service { id }", **fields)["service"]["id"]
    return {"accountId": account, "identityId": identity, "serviceId": service}


def generate(member: Person, ids: dict[str, str]) -> list[dict[str, str]]:
    """Key and secret of two credentials, one shown on screen, one in an encrypted file."""
    wanted = {"serviceId": ids["serviceId"], "identityId": ids["identityId"]}
    method = {"method": "VIEW_AND_COPY"}
    shown = member.do("generateCredential", GENERATED, name="shown", delivery=method, **wanted)["delivery"]
    member.be_told(**{"shown secret": shown["apiSecret"]})
    private_key = keys.private_key(name="canary")
    method = {"method": "ENCRYPTED_FILE", "publicKey": keys.spki_pem(private_key.public_key())}
    sealed = member.do("generateCredential", GENERATED, name="sealed", delivery=method, **wanted)["delivery"]
    content = open_envelope(b64decode(sealed["file"]["contentBase64"]), private_key)
    sealed_key, sealed_secret = content.decode().splitlines()[1].split(",")
    member.left.secrets["sealed secret"] = sealed_secret  # which the answer was not there to tell
    member.left.public += [shown["apiKey"], sealed_key]
    return [
        {"apiKey": shown["apiKey"], "apiSecret": shown["apiSecret"]},
        {"apiKey": sealed_key, "apiSecret": sealed_secret},
    ]


def misuse(person: Person, ids: dict[str, str], shown: dict[str, str], left: Left) -> None:
    """Right and wrong secrets in right and wrong places, in good and bad requests."""
    private = private_pem()
    secret, password = shown["apiSecret"], left.secrets["member password"]
    wrong = left.secrets["wrong password"]
    person.try_to("signIn", "expiresAt", email=MEMBER, password=wrong)
    person.try_to("signIn", "expiresAt", email=password, password=MEMBER)
    person.try_to("acceptInvitation", "expiresAt", invitationToken=password, password="short")
    person.try_to("acceptInvitation", "expiresAt", invitationToken=left.secrets["invitation"], password=wrong)
    person.try_to("login", "scope", apiKey=secret, apiSecret=shown["apiKey"])
    person.try_to("login", "scope", apiKey=shown["apiKey"], apiSecret=f"{secret}x")
    person.try_to("login", "scope", apiKey=shown["apiKey"], apiSecret=[secret])
    person.try_to("verifyCredential", "code", apiKey=shown["apiKey"], apiSecret=secret, service=secret)
    person.try_to("createUser", "user { id }", accountId=ids["accountId"], email=secret, displayName=" ", role=password)
    person.try_to("revokeCredential", "credential { id }", credentialId=secret, reason="UNSPECIFIED")
    for method in ("ENCRYPTED_FILE", "VIEW_AND_COPY"):
        for name, pasted in (("pasted", private), (secret, private), ("pasted", secret), ("pasted", private[:500])):
            wanted = {"name": name, "serviceId": ids["serviceId"], "identityId": ids["identityId"]}
            delivery = {"method": method, "publicKey": pasted}
            person.try_to("generateCredential", "credential { id }", delivery=delivery, **wanted)
            person.try_to("generateCredential", "credential { id }", delivery={**delivery, "format": pasted}, **wanted)
            person.try_to("generateCredential", "credential { id }", delivery=pasted, **wanted)
    for hidden in (secret, password, private):
        ask_badly(person, hidden)


def ask_badly(person: Person, hidden: str) -> None:
    text = json.dumps(hidden)
    for document in (
        f"mutation {{ signIn(input: {{email: {text}}}) {{ expiresAt }} }}",
        f"mutation {{ signIn(input: {{email: {text}, password: [{text}]}}) {{ expiresAt }} }}",
        f"mutation {{ signIn(input: {{email: {text}, password: {{a: {text}}}}}) {{ expiresAt }} }}",
        f"mutation {{ signIn(input: {text}) {{ expiresAt }} }}",
        f"mutation {{ signIn(input: {{email: {text}, password: {text}}} {{ expiresAt }} }}",
        f"mutation {{ signIn(input: {{email: {text}, password: {text}",
        f"mutation {{ signIn(input: {{email: {text}, password: {text[:-1]}",
        f"mutation {{ signIn(input: {{email: {text}, password: 'x{hidden}'",
        f"{{ node(id: {text}) {{ id }} nothing }}",
        f"{{ node(id: {text}) {{ id }} }}",
        f"{{ credentials(after: {text}) {{ totalCount }} }}",
        f"{{ credentials(filter: {{nameContains: {text}}}) {{ totalCount }} }}",
        f"{{ credentials(filter: {{expiresBefore: {text}}}) {{ totalCount }} }}",
        f"{{ auditEvents(filter: {{types: [{text}]}}) {{ totalCount }} }}",
        f"{{ users(first: {text}) {{ totalCount }} }}",
        hidden,
    ):
        person.ask(document)
    person.ask("query ($a: Int!, $b: DateTime!) { users(first: $a) { totalCount } }", a=hidden, b=hidden)
    operation = {"query": "{ viewer { role } }", "operationName": hidden}
    person.send(json.dumps(operation))
    person.send(json.dumps({"query": "{ viewer { role } }", "variables": hidden}))
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        person.send(json.dumps(operation), {"Content-Type": content_type})
    person.send(hidden)
    person.send(json.dumps(operation)[:-1])
    person.send(json.dumps(operation) + " " * 1024 * 1024)
    person.send("", method="GET", path=f"/graphql?query={quote(hidden)}")
    person.send("", method="GET", path=f"/nowhere?secret={quote(hidden)}")
    line = " ".join(hidden.split())
    person.send("{}", {**JSON, "X-Secret": line, "Cookie": f"secret={line}", "User-Agent": line})
    stranger = Person(person.url, person.left)
    stranger.headers = {"Authorization": f"Bearer {line}"}
    stranger.ask("{ viewer { role } }")
    stranger.headers = {"Authorization": f"Basic {b64encode(hidden.encode()).decode()}"}
    stranger.ask("{ viewer { role } }")


def block(operator: Person, member: Person) -> None:
    page = member.ask("{ credentials { nodes { id name } } services { nodes { id } } }")["data"]
    (shown,) = [node["id"] for node in page["credentials"]["nodes"] if node["name"] == "shown"]
    member.do("revealApiKey", "apiKey", credentialId=shown)
    member.do("revokeCredential", "credential { id }", credentialId=shown, reason="SUPERSEDED")
    operator.do("suspendService", "service { id }", serviceId=page["services"]["nodes"][0]["id"])


def while_the_database_is_broken(rows: Rows, people: list[Person], shown: dict[str, str], left: Left) -> None:
    """What nobody foresaw, with a secret in hand: in the middle of a field, and before any is reached."""
    for table in ("credentials", "users", "sessions"):
        rows.execute(f"ALTER TABLE {table} RENAME TO lost_{table}")
        for person in people:
            with suppress(json.JSONDecodeError):
                person.try_to("login", "scope", **shown)
                person.try_to("signIn", "expiresAt", email=MEMBER, password=left.secrets["member password"])


def private_pem() -> str:
    key = keys.private_key(name="canary")
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, keys.UNPROTECTED).decode()


def look_at_metrics(url: str, token: str, left: Left) -> None:
    shown = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {token}"}).raise_for_status()
    left.answers.append((shown.text, set()))


def look(what: str, rows: Rows, left: Left) -> None:
    """Remembers all that the database holds: on SQLite the bytes of its files, whatever they mean."""
    left.places[f"the rows {what}"] = repr(rows.dump()).encode()
    if rows.engine == "sqlite":
        path = Path(rows.url.removeprefix("sqlite://"))
        files = sorted(path.parent.glob(f"{path.name}*"))  # with the journal
        left.places[f"the files {what}"] = b"".join(file.read_bytes() for file in files)


def left_by(kind: type[Serving], url: str, data_dir: Path) -> Left:
    """What a server left behind that was used and misused, its secrets known."""
    left = Left()
    left.secrets = {f"{whose} password": secrets.token_urlsafe(20) for whose in ("operator", "member", "wrong")}
    left.secrets["private key"] = "".join(private_pem().splitlines()[2:-1])
    password = left.secrets["operator password"]
    made = run(data_dir, "operator", "create", "--email", OPERATOR, stdin=password, database_url=url)
    left.places["what operator create said"] = made.output.encode()
    held = json.loads((data_dir / "server-keys.json").read_text())["keys"]
    left.secrets |= {key["kid"]: key.get("k") or key["d"] for key in held}
    rows = Rows(url)
    left.secrets |= {name: secrets.token_urlsafe(20) for name in ("address", "metrics_token", "keys_passphrase")}
    settings = {name: left.secrets[name] for name in ("metrics_token", "keys_passphrase")}
    sealed = run(data_dir, "keys", "seal", **settings)
    left.places["what keys seal said"] = sealed.output.encode()
    with kind(data_dir, database_url=url, webhook_allowed_networks='["127.0.0.0/8"]', **settings) as server:
        use(server.wait().url, rows, left)
        look_at_metrics(server.url, settings["metrics_token"], left)
        look("while it ran", rows, left)
    look("after it ended", rows, left)
    left.places |= {"standard output": server.output.encode(), "the log": server.errors.encode()}
    return left


@pytest.fixture(scope="module")
def left(databases: Databases, names: Iterator[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    name = next(names)
    yield left_by(Serving, databases.create_database(name), tmp_path_factory.mktemp("canary"))
    databases.drop_database(name)


def test_no_secret_is_in_the_database_the_log_or_the_output(left: Left) -> None:
    assert [
        (name, place)
        for name, secret in left.secrets.items()
        for place, text in left.places.items()
        if not is_kept(name, place) and found(secret, text)
    ] == []


def test_no_secret_is_in_any_answer_but_the_one_that_hands_it_over(left: Left) -> None:
    assert len(left.answers) > 300
    assert [
        (name, text[:200])
        for name, secret in left.secrets.items()
        for text, hands_over in left.answers
        if name not in hands_over and found(secret, text.encode())
    ] == []


def test_the_search_would_find_them(left: Left) -> None:
    """Each secret is in its own answer, and what is public is in the database and its file."""
    handed_over = {name for _, names in left.answers for name in names}
    assert len(handed_over) == 7
    for answer, names in left.answers:
        assert all(found(left.secrets[name], answer.encode()) for name in names)
    for place, text in left.places.items():
        if place.startswith(("the rows", "the files")):
            assert all(found(key, text) for key in left.public), place


def test_the_log_has_a_line_for_each_request_and_tells_each_fault_once(left: Left) -> None:
    lines = [json.loads(line) for line in left.places["the log"].decode().splitlines()]
    assert len([line for line in lines if line["event"] == "request"]) == len(left.answers)
    faults = [line for line in lines if line["event"] == "fault"]
    assert faults
    # What goes on beside the requests has its own, which nobody is told.
    ids = {line["error_id"] for line in faults if "request_id" in line}
    told = [text for text, _ in left.answers if "The log has it under" in text]
    assert len(told) == len(ids)
    assert all(any(id_ in text for id_ in ids) for text in told)
    assert {field for line in lines for field in line} == {
        "event",
        "level",
        "timestamp",
        "request_id",
        "method",
        "path",
        "status",
        "milliseconds",
        "error_id",
        "error_type",
        "frames",
    }
