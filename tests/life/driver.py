"""Does over HTTP what an operation says, and reads from a running server what a `World` knows."""

from base64 import b64decode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any
from uuid import uuid4

import httpx

from auth.crypto.envelopes import open_envelope
from tests.auth.crypto.keys import private_key, private_pem, public_key, spki, spki_pem
from tests.life.model import World
from tests.life.things import POLICY_FIELDS, Operation, Outcome
from tests.support.server import Client
from tests.support.world import GENERATED, OPERATOR, PASSWORD, Play

State = dict[str, Any]

STATUSES = ("ACTIVE", "RETIRING", "EXPIRED", "REVOKED")
_EMAILS = {
    "operator": OPERATOR,
    "stranger": "administrator@birch.example",
    **{name: f"{name}@alder.example" for name in ("administrator", "member", "member_without_access", "auditor")},
}
_FIRST_SESSIONS_SERVE = timedelta(hours=11)
_A_SESSION_SERVES = timedelta(days=29)
_A_GATEWAY_SERVES = timedelta(days=1800)
# Where everybody comes from.
HERE = "127.0.0.1"

# One list for each status, so that a credential is in the right one.
_OF_EACH_STATUS = " ".join(
    f"""{status}: credentials(first: 100, filter: {{accountId: $account, statuses: [{status}]}}) {{ nodes {{
        id name status usable blockers expiresAt allowedNetworks
        owner {{ id }} service {{ id }} identity {{ id }} predecessor {{ id }} successor {{ id }}
    }} }}"""
    for status in STATUSES
)
_STATE = f"""query ($account: ID!) {{
    node(id: $account) {{ ... on Account {{ status policy {{ {" ".join(POLICY_FIELDS)} }} }} }}
    users(filter: {{accountId: $account}}) {{ nodes {{ id status role apiAccess }} }}
    identities(first: 100, filter: {{accountId: $account}}) {{ nodes {{ id status validUntil }} }}
    services(first: 100, filter: {{accountId: $account}}) {{ nodes {{ id status startsAt expiresAt }} }}
    {_OF_EACH_STATUS}
}}"""


class _Caller(Client):
    """A client that keeps its connections, and takes a denial for an answer like another."""

    connections = httpx.Client(timeout=60)

    def post(self, document: str, variables: Mapping[str, Any] | None = None) -> httpx.Response:
        body = {"query": document, "variables": dict(variables or {})}
        return self.connections.post(f"{self.url}/graphql", json=body, headers=self.headers)

    def data(self, document: str, /, **variables: Any) -> Any:
        answer = self.execute(document, **variables)
        codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
        if codes in (["UNAUTHENTICATED"], ["FORBIDDEN"]):
            return {"userErrors": [{"code": codes[0]}]}
        assert not codes, answer
        data = answer["data"]
        return next(iter(data.values())) if len(data) == 1 else data


class Driver:
    """What stands between a `World` and a server with the people of `Play`: names and ids, sessions, secrets."""

    def __init__(self, play: Play) -> None:
        self._url, self._clock, self._account = play.server.url, play.clock, play.alder.id
        self._ids = {"here": play.alder.id, **play.alder.users, **play.alder.identities, **play.alder.services}
        # What belongs to the other account, by the field that would name it.
        birch = play.birch
        service, identity = birch.services["certificates"], birch.identities["active"]
        made = play.generate(client=play.other_member, serviceId=service, identityId=identity)
        self._elsewhere = {
            "credentialId": made["credential"]["id"],
            "serviceId": service,
            "identityId": identity,
            "identityIds": identity,
            "userId": birch.users["member"],
        }
        self._keys: dict[str, dict[str, str]] = {}
        tokens = {**play.alder.tokens, "operator": play.operator.token, "stranger": play.other_administrator.token}
        # With the instant until which they serve; and whose have ended before their time.
        first_end = self._clock() + _FIRST_SESSIONS_SERVE
        self._sessions = {who: (_Caller(self._url, token), first_end) for who, token in tokens.items()}
        self._ended: set[str] = set()
        self._gateway: tuple[Client, datetime] | None = None

    # ------------------------------------------------------------------------------------------------ doing

    def welcome(self, who: str) -> None:
        """Signs somebody in who may be here, where there is no session that is still good."""
        if who in self._ended or self._clock() >= self._sessions[who][1]:
            signed_in = _Caller(self._url).do("signIn", "sessionToken", email=_EMAILS[who], password=PASSWORD)
            self._sessions[who] = (_Caller(self._url, signed_in["sessionToken"]), self._clock() + _A_SESSION_SERVES)
            self._ended.discard(who)

    def perform(self, *operations: Operation) -> list[Outcome]:
        """What the server says to operations, which are sent at once."""
        with ThreadPoolExecutor(len(operations)) as threads:
            answers = list(threads.map(self._send, operations))
        return [self._learn(operation, answer) for operation, answer in zip(operations, answers, strict=True)]

    def _send(self, operation: Operation) -> dict[str, Any]:
        client, _ = self._sessions[operation.who]
        given = {field: self._value(field, value) for field, value in operation.given.items()}
        answer: dict[str, Any] = client.mutate(operation.verb, _selection(operation.verb), **given)
        return answer

    def _value(self, field: str, value: Any) -> Any:
        """What to send in a field of an input."""
        if isinstance(value, datetime):
            return value.isoformat()
        if isinstance(value, dict):
            return {name: self._value(name, each) for name, each in value.items()}
        if field == "identityIds":
            return [self._value("identityId", each) for each in value]
        if field == "publicKey":
            return _public_keys()[value]
        if field.endswith("Id"):
            return self._elsewhere[field] if value == "elsewhere" else self._ids.get(value, f"cred_{uuid4().hex}")
        return value

    def _learn(self, operation: Operation, answer: dict[str, Any]) -> Outcome:
        """The outcome in an answer; what was made has a name from now on."""
        if answer["userErrors"]:
            return Outcome(frozenset(error["code"] for error in answer["userErrors"]))
        if operation.verb == "deactivateUser":
            self._ended.add(operation.given["userId"])
        if operation.verb == "revealApiKey":
            assert answer["apiKey"] == self._keys[operation.given["credentialId"]]["apiKey"]
        if not operation.makes:
            return Outcome()
        kind = _kind(operation.verb)
        name = self._names().get(answer[kind]["id"], operation.makes)
        self._ids[name] = answer[kind]["id"]
        if kind == "credential":
            keys = _keys(answer["delivery"])
            assert self._keys.setdefault(name, keys) == keys, "a retry was answered with another secret"
        return Outcome(made=name)

    def _names(self) -> dict[str, str]:
        return {id_: name for name, id_ in self._ids.items()}

    # ------------------------------------------------------------------------------------------------ looking

    def observed(self) -> State:
        """What `expected` says of a world, said by the server."""
        self.welcome("operator")
        data = self._sessions["operator"][0].data(_STATE, account=self._ids["here"])
        names = self._names()
        checked = self._checked()
        return {
            "account": data["node"]["status"],
            "policy": data["node"]["policy"],
            "people": {
                names[node["id"]]: (node["status"], node["role"], node["apiAccess"]) for node in data["users"]["nodes"]
            },
            "identities": {
                names[node["id"]]: (node["status"], _instant(node["validUntil"]))
                for node in data["identities"]["nodes"]
            },
            "services": {
                names[node["id"]]: (node["status"], _instant(node["startsAt"]), _instant(node["expiresAt"]))
                for node in data["services"]["nodes"]
            },
            "credentials": {
                names[node["id"]]: {**_credential(node, names), **checked[names[node["id"]]], "listed as": status}
                for status in STATUSES
                for node in data[status]["nodes"]
            },
        }

    def _checked(self) -> dict[str, dict[str, str]]:
        """How each credential fares at the gateway and at the login."""
        if not self._keys:
            return {}
        names = list(self._keys)
        questions = [{**self._keys[name], **address} for name in names for address in ({"clientAddress": HERE}, {})]
        logins = " ".join(f"l{at}: login(input: $l{at}) {{ scope userErrors {{ code }} }}" for at in range(len(names)))
        variables = ", ".join(f"$l{at}: LoginInput!" for at in range(len(names)))
        document = f"""mutation ($all: VerifyCredentialsInput!, {variables}) {{
            verifyCredentials(input: $all) {{ results {{ decision code }} }} {logins}
        }}"""
        inputs = {f"l{at}": self._keys[name] for at, name in enumerate(names)}
        data = self._gateway_client().data(document, all={"credentials": questions}, **inputs)
        results = data["verifyCredentials"]["results"]
        assert all((result["decision"] == "ALLOW") == (result["code"] == "OK") for result in results)
        return {
            name: {
                "from here": results[2 * at]["code"],
                "from nowhere": results[2 * at + 1]["code"],
                "login": _login(data[f"l{at}"]),
            }
            for at, name in enumerate(names)
        }

    def _gateway_client(self) -> Client:
        """A gateway's, since those may ask as often as they like."""
        if self._gateway is None or self._clock() - self._gateway[1] >= _A_GATEWAY_SERVES:
            self.welcome("operator")
            end = (self._clock() + _A_GATEWAY_SERVES + timedelta(days=1)).isoformat()
            made = self._sessions["operator"][0].do("createGatewayToken", "token", name="gateway", expiresAt=end)
            self._gateway = (_Caller(self._url, made["token"]), self._clock())
        return self._gateway[0]

    def audit_sequences(self) -> list[int]:
        """The sequence of every event of the account, in order."""
        self.welcome("operator")
        sequences: list[int] = []
        page: dict[str, Any] = {"pageInfo": {"hasNextPage": True, "endCursor": None}}
        while page["pageInfo"]["hasNextPage"]:
            page = self._sessions["operator"][0].data(
                """query ($account: ID!, $after: String) {
                    auditEvents(first: 100, after: $after, filter: {accountId: $account}) {
                        nodes { sequence } pageInfo { hasNextPage endCursor }
                    }
                }""",
                account=self._ids["here"],
                after=page["pageInfo"]["endCursor"],
            )
            sequences += [node["sequence"] for node in page["nodes"]]
        return sorted(sequences)


def expected(world: World) -> State:
    """A world as the API shows it."""
    return {
        "account": "SUSPENDED" if world.suspended else "ACTIVE",
        "policy": {field: getattr(world.policy, name) for field, name in POLICY_FIELDS.items()},
        "people": {
            name: ("ACTIVE" if person.active else "DEACTIVATED", person.role, person.api_access)
            for name, person in world.people.items()
            if person.account == "here"
        },
        "identities": {
            name: (world.identity_status(name), each.valid_until) for name, each in world.identities.items()
        },
        "services": {
            name: (world.service_status(name), each.starts_at, each.ends_at) for name, each in world.services.items()
        },
        "credentials": {
            name: {
                "name": each.name,
                "owner": each.owner,
                "service": each.service,
                "identity": each.identity,
                "predecessor": each.predecessor,
                "successor": each.successor,
                "expiresAt": each.ends_at,
                "allowedNetworks": each.networks,
                "status": world.status(each),
                "listed as": world.status(each),
                "usable": not world.blockers(each),
                "blockers": world.blockers(each),
                "from here": world.verdict(each, address_known=True),
                "from nowhere": world.verdict(each, address_known=False),
                "login": world.login(each),
            }
            for name, each in world.credentials.items()
        },
    }


def _credential(node: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    parties = {party: names[node[party]["id"]] for party in ("owner", "service", "identity")}
    relatives = {
        relative: names[node[relative]["id"]] if node[relative] else None for relative in ("predecessor", "successor")
    }
    plain = {field: node[field] for field in ("name", "status", "usable", "blockers", "allowedNetworks")}
    return {**plain, **parties, **relatives, "expiresAt": _instant(node["expiresAt"])}


def _login(payload: dict[str, Any]) -> str:
    codes = [error["code"] for error in payload["userErrors"]]
    return codes[0] if codes else f"scope: {payload['scope']}"


def _kind(verb: str) -> str:
    if verb.endswith(("Credential", "Networks")):
        return "credential"
    if verb.endswith("Identity"):
        return "identity"
    return "service" if "Service" in verb else "account" if "Account" in verb or "Policy" in verb else "user"


def _selection(verb: str) -> str:
    if verb == "revealApiKey":
        return "apiKey"
    return GENERATED if verb in {"generateCredential", "rotateCredential"} else f"{_kind(verb)} {{ id }}"


def _keys(delivery: dict[str, Any]) -> dict[str, str]:
    """Key and secret, out of the encrypted file if need be."""
    if "apiKey" in delivery:
        return {"apiKey": delivery["apiKey"], "apiSecret": delivery["apiSecret"]}
    sealed = b64decode(delivery["file"]["contentBase64"])
    bits = 3072 if delivery["publicKeyFingerprint"] == _fingerprint(3072) else 2048
    api_key, api_secret = open_envelope(sealed, private_key(bits)).decode().splitlines()[1].split(",")
    return {"apiKey": api_key, "apiSecret": api_secret}


@cache
def _fingerprint(bits: int) -> str:
    return sha256(spki(public_key(bits))).hexdigest()


@cache
def _public_keys() -> dict[str, str]:
    """What a user may paste, by the names that the model has for it."""
    return {
        "rsa2048": spki_pem(public_key(2048)),
        "rsa3072": spki_pem(public_key(3072)),
        "private": private_pem(),
        "rubbish": "-----BEGIN PUBLIC KEY-----",
    }


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
