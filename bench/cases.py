"""What is asked of a server, and how many checks one request is."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.data import Data
from bench.load import Part, Request, get, post

_KEY: Part = (0, 28)
_SECRET: Part = (29, 93)
BATCH = 100

_SINGLE = """mutation ($input: VerifyCredentialInput!) {
  verifyCredential(input: $input) { decision code userErrors { code message } }
}"""
_SEVERAL = """mutation ($input: VerifyCredentialsInput!) {
  verifyCredentials(input: $input) {
    results { decision code } userErrors { code message }
  }
}"""


@dataclass(frozen=True)
class Case:
    """One way to ask. Before it is measured, `warm_up` is asked for each of the warm credentials.

    share: of the connections; with many checks in each request fewer have as many under way."""

    name: str
    title: str
    request: Callable[[Data], Request]
    warm_up: Callable[[Data], Request] | None = None
    checks: int = 1
    share: float = 1


def _verify_basic(count: Callable[[Data], int]) -> Callable[[Data], Request]:
    def request(data: Data) -> Request:
        width = data.basic.width - 1
        return get("/verify", _gateway(data), ["Basic ", (0, width)], data.basic, count(data))

    return request


def _verify_bearer(data: Data) -> Request:
    tokens, count = data.tokens, min(data.warm, data.tokens_count)
    return get("/verify", _gateway(data), ["Bearer ", (0, tokens.width - 1)], tokens, count)


def _login(data: Data) -> Request:
    item: list[Part] = ['{"api_key":"', _KEY, '","api_secret":"', _SECRET, '"}']
    return post("/v2/login", {}, "", item, "", data.pairs, data.warm, expected='{"access_token":"')


def graphql_single(data: Data) -> Request:
    """verifyCredential for one."""
    return _graphql(data, _SINGLE, '{"input":', "}", batch=1)


def _graphql_batch(data: Data) -> Request:
    return _graphql(data, _SEVERAL, '{"input":{"credentials":[', "]}}", batch=BATCH)


def _graphql(data: Data, document: str, before: str, after: str, *, batch: int) -> Request:
    text = document.replace("\n", " ")
    headers = {"Authorization": f"Bearer {data.gateway_token}"}
    item: list[Part] = ['{"apiKey":"', _KEY, '","apiSecret":"', _SECRET, '"}']
    return post(
        "/graphql",
        headers,
        f'{{"query":"{text}","variables":{before}',
        item,
        f"{after}}}",
        data.pairs,
        data.warm,
        batch=batch,
        expected='"decision":"ALLOW"',
        unexpected='"decision":"DENY"',
    )


def _gateway(data: Data) -> dict[str, str]:
    return {"X-Sealkey-Gateway-Token": data.gateway_token}


_of_warm = _verify_basic(lambda data: data.warm)
_of_all = _verify_basic(lambda data: data.credentials)

EMPTY = Case("empty", "an empty answer", _of_warm)
CASES = [
    Case("verify-warm", "/verify, Basic, warm", _of_warm, _of_warm),
    Case("verify-cold", "/verify, Basic, cold", _of_all),
    Case("verify-token", "/verify, access token, warm", _verify_bearer, _verify_bearer),
    Case("login", "/v2/login", _login, _of_warm),
    Case("graphql", "verifyCredential", graphql_single, _of_warm),
    Case("graphql-batch", f"verifyCredentials, {BATCH} at once", _graphql_batch, _of_warm, BATCH, share=0.125),
]
