"""A proxy, the API behind it, and the Sealkey that it asks."""

from base64 import b64encode
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from tests.gateways.proxies import Kind
from tests.gateways.upstream import Asked, ToyApi, Wire
from tests.support.world import Play

Headers = dict[str, str]


@dataclass(repr=False)  # what it holds is secret
class Edge:
    kind: Kind
    url: str
    play: Play
    api: ToyApi
    wire: Wire
    gateway_token: str
    _numbers: "count[int]" = field(default_factory=count)

    def generate(self, **fields: Any) -> Any:
        return self.play.generate(f"ci_{next(self._numbers)}", **fields)

    def ask(self, path: str = "/orders/7", method: str = "GET", **request: Any) -> httpx.Response:
        """What a client of the API gets."""
        with httpx.Client(trust_env=False, timeout=20) as client:
            return client.request(method, f"{self.url}{path}", **request)

    def let_in(self, path: str = "/orders/7", method: str = "GET", **request: Any) -> Asked:
        """A request that must reach the API: as it came there."""
        before = len(self.api.asked)
        answer = self.ask(path, method, **request)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        (asked,) = self.api.asked[before:]
        return asked

    def kept_out(self, path: str = "/orders/7", method: str = "GET", **request: Any) -> httpx.Response:
        """A request that must not reach the API: what its client is answered."""
        before = len(self.api.asked)
        answer = self.ask(path, method, **request)
        assert self.api.asked[before:] == []
        return answer

    def access_token(self, generated: Any) -> str:
        token: str = self.play.nobody.do("login", "accessToken", **keys(generated))["accessToken"]
        return token

    def revoke(self, generated: Any) -> None:
        self.play.member.do("revokeCredential", "credential { id }", credentialId=generated["credential"]["id"])


def keys(generated: Any) -> dict[str, str]:
    return {name: generated["delivery"][name] for name in ("apiKey", "apiSecret")}


def by_basic(key: str, secret: str) -> Headers:
    return {"Authorization": f"Basic {b64encode(f'{key}:{secret}'.encode()).decode()}"}


def by_headers(key: str, secret: str) -> Headers:
    return {"X-API-Key": key, "X-API-Secret": secret}


def by_bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}
