"""What is asked of a server under load: a stated mix of what gateways, clients and people ask, in prepared requests."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import orjson

from bench.data import Data
from tests.support.world import PASSWORD
from torture.arrivals import Asked, Learn
from torture.stage import Customer, Stage

SHARES = {
    "check, remembered": 600,
    "check, not remembered": 60,
    "verifyCredential": 100,
    "viewer": 70,
    "page of 20": 40,
    "login": 50,
    "introspection": 30,
    "generate": 20,
    "rotate": 10,
    "revoke": 19,
    "sign-in": 1,
}
"""Of a thousand requests."""
CHECKS = ("check, remembered", "check, not remembered")
"""What /verify answers, before all operations."""

_VERIFY = (
    "mutation ($input: VerifyCredentialInput!) { verifyCredential(input: $input) { decision userErrors { code } } }"
)
_VIEWER = "{ viewer { user { id email } role permissions } }"
_PAGE = """query ($account: ID) { credentials(first: 20, filter: {accountId: $account}) {
  nodes { id name maskedApiKey status usable blockers expiresAt service { id name } identity { id name } owner { id } }
} }"""
_MADE = "credential { id } delivery { ... on ViewAndCopyDelivery { apiKey apiSecret } } userErrors { code message }"
_GENERATE = f"mutation ($input: GenerateCredentialInput!) {{ generateCredential(input: $input) {{ {_MADE} }} }}"
_ROTATE = f"mutation ($input: RotateCredentialInput!) {{ rotateCredential(input: $input) {{ {_MADE} }} }}"
_REVOKE = (
    "mutation ($input: RevokeCredentialInput!) { revokeCredential(input: $input) { userErrors { code message } } }"
)
_SIGN_IN = "mutation ($input: SignInInput!) { signIn(input: $input) { sessionToken userErrors { code message } } }"
_VIEW_AND_COPY = {"method": "VIEW_AND_COPY"}
_DONE_BEFORE = (b"ALREADY_REVOKED", b"CREDENTIAL_NOT_ACTIVE")
_MOST_HELD = 100
_PREPARED = 4096


@dataclass
class _Member:
    """A customer, and the ids of the credentials that nothing is under way with."""

    customer: Customer
    held: deque[str] = field(default_factory=deque)


class Mix:
    """An endless row of requests, which follows from the seed and what is answered."""

    def __init__(self, data: Data, stage: Stage, seed: int) -> None:
        self._data, self._stage = data, stage
        self._random = Random(seed)
        self._members = [_Member(customer) for customer in stage.customers]
        self._unclear: set[str | None] = set()
        self._made = 0
        self.shown = 0
        """How many credentials were shown for the first time: those are then remembered."""
        self._basic = data.basic.path.read_bytes().splitlines()
        self._kinds: list[str] = []
        self._make: dict[str, Callable[[], Asked]] = {
            "check, remembered": self._check_warm,
            "check, not remembered": self._check_cold,
            "verifyCredential": self._verify_credential,
            "viewer": self._viewer,
            "page of 20": self._page,
            "login": self._login,
            "introspection": self._introspect,
            "generate": self._generate,
            "rotate": self._rotate,
            "revoke": self._revoke,
            "sign-in": self._sign_in,
        }
        pairs = [(key, secret) for key, _, secret in (self._pair(number) for number in range(data.warm))]
        self._warm = [self._check(number) for number in range(data.warm)]
        self._verify = [
            _graphql("verifyCredential", _VERIFY, {"apiKey": key, "apiSecret": secret}, data.gateway_token)
            for key, secret in pairs
        ]
        self._logins = [
            Asked("login", _post("/v2/login", orjson.dumps({"api_key": key, "api_secret": secret})), _is_ok)
            for key, secret in pairs
        ]
        self._viewers = [_query("viewer", _VIEWER, {}, each.member) for each in stage.customers]
        self._pages = [_query("page of 20", _PAGE, {}, each.administrator) for each in stage.customers]
        tokens = data.tokens.path.read_text().split()
        self._introspections = [
            Asked(
                "introspection",
                _post(
                    "/oauth/introspect",
                    b"token=" + token.encode(),
                    data.gateway_token,
                    b"application/x-www-form-urlencoded",
                ),
                _is_active,
            )
            for token in tokens[: data.warm]
        ]

    def next(self) -> Asked:
        if not self._kinds:
            self._kinds = self._random.choices(list(SHARES), list(SHARES.values()), k=_PREPARED)
        return self._make[self._kinds.pop()]()

    def _pair(self, number: int) -> tuple[str, str, str]:
        return self._data.pairs[number].partition(":")

    def _check(self, number: int) -> Asked:
        kind = "check, remembered" if number < self._data.warm else "check, not remembered"
        head = (
            b"GET /verify HTTP/1.1\r\nHost: sealkey.example\r\n"
            b"X-Sealkey-Gateway-Token: %b\r\nAuthorization: Basic %b\r\n\r\n"
        )
        return Asked(kind, head % (self._data.gateway_token.encode(), self._basic[number]), _is_ok)

    def _check_warm(self) -> Asked:
        return self._random.choice(self._warm)

    def _check_cold(self) -> Asked:
        """One after the other, so that each is asked for the first time, or was forgotten since."""
        cold = self._data.credentials - self._data.warm
        number = self._data.warm + self.shown % cold
        self.shown += 1
        return self._check(number)

    def _verify_credential(self) -> Asked:
        return self._random.choice(self._verify)

    def _viewer(self) -> Asked:
        return self._random.choice(self._viewers)

    def _page(self) -> Asked:
        return self._random.choice(self._pages)

    def _login(self) -> Asked:
        return self._random.choice(self._logins)

    def _introspect(self) -> Asked:
        return self._random.choice(self._introspections)

    def _generate(self) -> Asked:
        member = self._random.choice(self._members)
        if len(member.held) >= _MOST_HELD:
            return self._revoke()
        self._made += 1
        customer = member.customer
        fields = {
            "name": f"l{self._made}",
            "serviceId": customer.services[0],
            "identityId": customer.identity,
            "delivery": _VIEW_AND_COPY,
            "idempotencyKey": f"{self._random.getrandbits(160):040x}",
        }
        return _graphql("generate", _GENERATE, fields, customer.member, self._hold(member, "generateCredential"))

    def _rotate(self) -> Asked:
        member = self._random.choice(self._members)
        if not member.held:
            return self._generate()
        old = member.held.popleft()
        fields = {"credentialId": old, "delivery": _VIEW_AND_COPY, "graceHours": 0}
        return _graphql("rotate", _ROTATE, fields, member.customer.member, self._hold(member, "rotateCredential", old))

    def _hold(self, member: _Member, name: str, otherwise: str | None = None) -> Learn:
        """Keeps the id of what was made, or what was there before where nothing was."""

        def learn(status: int, body: bytes) -> bool:
            payload = _payload(status, body, name)
            if payload is not None:
                member.held.append(payload["credential"]["id"])
                return True
            return self._is_foreseen(member, otherwise, status, body)

        return learn

    def _revoke(self) -> Asked:
        member = self._random.choice(self._members)
        if not member.held:
            return self._check_warm()
        id_ = member.held.popleft()

        def learn(status: int, body: bytes) -> bool:
            if _payload(status, body, "revokeCredential") is not None:
                return True
            return self._is_foreseen(member, id_, status, body)

        return _graphql("revoke", _REVOKE, {"credentialId": id_}, member.customer.member, learn)

    def _is_foreseen(self, member: _Member, id_: str | None, status: int, body: bytes) -> bool:
        """Whoever is told that the server can't say now does not know whether it was done, and tries again later."""
        if status == 200 and id_ in self._unclear:
            return any(code in body for code in _DONE_BEFORE)
        if id_ is not None:
            self._unclear.add(id_)
            member.held.append(id_)
        return False

    def _sign_in(self) -> Asked:
        customer = self._random.choice(self._stage.customers)
        return _graphql("sign-in", _SIGN_IN, {"email": customer.email, "password": PASSWORD}, None)


def _payload(status: int, body: bytes, name: str) -> Any:
    """None where it was not done."""
    if status != 200:
        return None
    payload = (orjson.loads(body).get("data") or {}).get(name)
    return None if not payload or payload["userErrors"] else payload


def _is_ok(status: int, _body: bytes) -> bool:
    return status == 200


def _is_active(status: int, body: bytes) -> bool:
    return status == 200 and b'"active":true' in body


def _is_without_errors(status: int, body: bytes) -> bool:
    return status == 200 and b'"errors"' not in body and (b'"userErrors":[]' in body or b'"userErrors"' not in body)


def _graphql(
    kind: str, document: str, fields: dict[str, Any], token: str | None, learn: Learn = _is_without_errors
) -> Asked:
    return _query(kind, document, {"input": fields}, token, learn)


def _query(
    kind: str, document: str, variables: dict[str, Any], token: str | None, learn: Learn = _is_without_errors
) -> Asked:
    return Asked(kind, _post("/graphql", orjson.dumps({"query": document, "variables": variables}), token), learn)


def _post(path: str, body: bytes, token: str | None = None, media_type: bytes = b"application/json") -> bytes:
    bearer = b"Authorization: Bearer %b\r\n" % token.encode() if token else b""
    return (
        b"POST %b HTTP/1.1\r\nHost: sealkey.example\r\n%bContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
        % (path.encode(), bearer, media_type, len(body))
    ) + body
