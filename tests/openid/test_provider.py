"""What of a provider's answers is believed, told by answers made for it."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from auth.crypto.secret import Secret
from auth.openid import OpenIdProvider, OpenIdRefused, OpenIdRules, OpenIdUnavailable, fetch_json

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
ISSUER = "https://accounts.provider.example/realm"
RULES = OpenIdRules(
    issuer=ISSUER,
    audience="sealkey",
    algorithms=("RS256", "PS256", "ES256", "Ed25519"),
    account_claim="account",
    role_claim="role",
    api_access_claim="api",
    create_users=True,
    create_operators=False,
    verified_email_only=True,
)
CLAIMS = {"iss": ISSUER, "aud": "sealkey", "sub": "carol", "exp": int(NOW.timestamp()) + 3600}
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})


class Answers:
    """What the provider answers by address, and how often it was asked."""

    def __init__(self, *keys: Mapping[str, Any], issuer: str = ISSUER) -> None:
        self.documents: dict[str, Any] = {
            f"{issuer}/.well-known/openid-configuration": {"issuer": issuer, "jwks_uri": f"{issuer}/jwks"},
            f"{issuer}/jwks": {"keys": list(keys)},
        }
        self.asked = 0

    async def fetch(self, url: str) -> Mapping[str, Any]:
        self.asked += 1
        await asyncio.sleep(0)
        if url not in self.documents:
            raise OpenIdUnavailable("it did not answer")
        answer: Mapping[str, Any] = self.documents[url]
        return answer


def public(key: Key, **more: str) -> dict[str, Any]:
    return {**key.as_dict(private=False), **more}


def signed(key: Key, algorithm: str, **header: Any) -> Secret:
    return Secret(jwt.encode({"alg": algorithm, "kid": key.kid, **header}, CLAIMS, key, algorithms=[algorithm]))


def signed_without_kid(key: Key, algorithm: str) -> Secret:
    return Secret(jwt.encode({"alg": algorithm}, CLAIMS, key, algorithms=[algorithm]))


def subject(provider: OpenIdProvider, token: Secret, now: datetime = NOW) -> str:
    """Whose token it is, or what was raised instead."""
    try:
        return str(asyncio.run(provider.verify(token, now))["sub"])
    except (OpenIdRefused, OpenIdUnavailable) as raised:
        return type(raised).__name__


def believing(answers: Answers) -> OpenIdProvider:
    return OpenIdProvider(RULES, answers.fetch)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256"), (ED, "Ed25519")],
    ids=["RS256", "PS256", "ES256", "Ed25519"],
)
def test_signatures_of_the_allowed_kinds_are_believed(key: Key, algorithm: str) -> None:
    provider = believing(Answers(public(RSA), public(EC), public(ED)))
    assert subject(provider, signed(key, algorithm)) == "carol"


def test_one_that_the_deployment_did_not_allow_is_refused() -> None:
    provider = believing(Answers(public(RSA)))
    assert subject(provider, signed(RSA, "RS512")) == "OpenIdRefused"


def test_a_shared_secret_among_the_published_keys_is_good_for_nothing() -> None:
    shared = OctKey.generate_key(256, {"kid": "shared"})
    provider = believing(Answers({**shared.as_dict(private=True)}, public(RSA)))
    assert subject(provider, signed(shared, "HS256")) == "OpenIdRefused"
    assert subject(provider, signed(RSA, "RS256")) == "carol"


def test_a_key_for_encryption_signs_nothing() -> None:
    provider = believing(Answers(public(RSA, use="enc")))
    assert subject(provider, signed(RSA, "RS256")) == "OpenIdRefused"


@pytest.mark.parametrize(
    "other",
    [
        {"kty": "AKP", "alg": "ML-DSA-65", "kid": "new", "pub": "AAAA"},
        {"kty": "EC", "crv": "brainpoolP256r1", "kid": "odd", "x": "AAAA", "y": "AAAA"},
        {"kty": "EC", "crv": "P-256", "kid": "not on the curve", "x": "AAAA", "y": "AAAA"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        {"kty": "RSA", "kid": "half", "e": "AQAB"},
        {"kty": 7},
        {"kid": "of no kind"},
        {},
        "no key",
        None,
        7,
        [],
    ],
    ids=str,
)
def test_keys_of_which_nothing_can_be_made_do_not_spoil_the_others(other: Any) -> None:
    assert subject(believing(Answers(other, public(RSA))), signed(RSA, "RS256")) == "carol"
    assert subject(believing(Answers(other)), signed(RSA, "RS256")) == "OpenIdUnavailable"


def test_a_key_that_is_too_small_is_not_believed() -> None:
    with pytest.warns(match="2048"):
        small = RSAKey.generate_key(1024, {"kid": "small"})
    with pytest.warns(match="2048"):
        token = signed(RSAKey.import_key({**small.as_dict(private=True)}), "RS256")
    assert subject(believing(Answers(public(small))), token) == "OpenIdUnavailable"
    assert subject(believing(Answers(public(small), public(RSA))), token) == "OpenIdRefused"


def test_a_token_that_names_no_key_is_believed_where_there_is_but_one() -> None:
    assert subject(believing(Answers(public(RSA))), signed_without_kid(RSA, "RS256")) == "carol"
    assert subject(believing(Answers(public(RSA), public(EC))), signed_without_kid(RSA, "RS256")) == "OpenIdRefused"


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_id_tokens_and_access_tokens_sign_in(kind: str) -> None:
    assert subject(believing(Answers(public(RSA))), signed(RSA, "RS256", typ=kind)) == "carol"


@pytest.mark.parametrize("kind", ["logout+jwt", "secevent+jwt", "dpop+jwt", "JWS", ""])
def test_what_the_issuer_signs_for_other_purposes_does_not(kind: str) -> None:
    assert subject(believing(Answers(public(RSA))), signed(RSA, "RS256", typ=kind)) == "OpenIdRefused"


def test_the_keys_are_asked_for_once_in_ten_minutes() -> None:
    answers = Answers(public(RSA))
    provider, token = believing(answers), signed(RSA, "RS256")
    for seconds in (0, 1, 599):
        assert subject(provider, token, NOW + timedelta(seconds=seconds)) == "carol"
    assert answers.asked == 2
    assert subject(provider, token, NOW + timedelta(seconds=600)) == "carol"
    assert answers.asked == 4


def test_a_key_that_is_not_known_is_asked_for_at_most_every_half_minute() -> None:
    answers = Answers(public(RSA))
    provider, token = believing(answers), signed(EC, "ES256")
    for seconds in range(60):
        assert subject(provider, token, NOW + timedelta(seconds=seconds)) == "OpenIdRefused"
    assert answers.asked == 2 * 2
    answers.documents[f"{ISSUER}/jwks"] = {"keys": [public(RSA), public(EC)]}
    assert subject(provider, token, NOW + timedelta(seconds=60)) == "carol"


def test_while_the_provider_does_not_answer_it_is_asked_every_five_seconds() -> None:
    answers = Answers(public(RSA))
    found, answers.documents = answers.documents, {}
    provider, token = believing(answers), signed(RSA, "RS256")
    for seconds in range(10):
        assert subject(provider, token, NOW + timedelta(seconds=seconds)) == "OpenIdUnavailable"
    assert answers.asked == 2
    answers.documents = found
    assert subject(provider, token, NOW + timedelta(seconds=10)) == "carol"


def test_of_many_requests_at_once_one_asks_and_the_others_wait_for_it() -> None:
    answers = Answers(public(RSA))
    provider, token = believing(answers), signed(RSA, "RS256")

    async def many() -> list[Mapping[str, Any]]:
        return await asyncio.gather(*(provider.verify(token, NOW) for _ in range(50)))

    assert len(asyncio.run(many())) == 50
    assert answers.asked == 2


@pytest.mark.parametrize("text", ["", "garbage", "a.b", "a.b.c.d", "a.b.c.d.e", "sealkey_key_0000000000000000"])
def test_the_provider_is_not_asked_about_what_is_no_signed_jwt(text: str) -> None:
    answers = Answers(public(RSA))
    assert subject(believing(answers), Secret(text)) == "OpenIdRefused"
    assert answers.asked == 0


@pytest.mark.parametrize(
    "discovered",
    [
        {},
        {"issuer": ISSUER},
        {"issuer": ISSUER, "jwks_uri": None},
        {"issuer": ISSUER, "jwks_uri": f"{ISSUER.replace('https', 'http')}/jwks"},
        {"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"},
        {"issuer": f"{ISSUER}/", "jwks_uri": f"{ISSUER}/jwks"},
        {"issuer": "https://attacker.example", "jwks_uri": f"{ISSUER}/jwks"},
        {"issuer": [ISSUER], "jwks_uri": f"{ISSUER}/jwks"},
    ],
    ids=str,
)
def test_discovery_that_does_not_lead_to_the_issuer_s_own_keys_over_tls_is_not_believed(
    discovered: dict[str, Any],
) -> None:
    answers = Answers(public(RSA))
    answers.documents[f"{ISSUER}/.well-known/openid-configuration"] = discovered
    answers.documents[f"{ISSUER.replace('https', 'http')}/jwks"] = {"keys": [public(RSA)]}
    assert subject(believing(answers), signed(RSA, "RS256")) == "OpenIdUnavailable"


@pytest.mark.parametrize("key_set", [{}, {"keys": None}, {"keys": {}}, {"keys": []}, {"keys": "all"}], ids=str)
def test_without_a_key_nothing_can_be_decided(key_set: dict[str, Any]) -> None:
    answers = Answers()
    answers.documents[f"{ISSUER}/jwks"] = key_set
    assert subject(believing(answers), signed(RSA, "RS256")) == "OpenIdUnavailable"


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[str]:
    """The address of an HTTP server that always answers the same."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/jwks"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>"), (200, b""), (200, b"\xff"), (200, b"[]"), (200, b"null"), (404, b"{}"), (500, b"{}")],
)
def test_an_answer_that_is_not_a_json_object_is_none(status: int, body: bytes) -> None:
    with answering(status, body) as url, pytest.raises(OpenIdUnavailable):
        asyncio.run(fetch_json(url))


def test_a_redirect_is_not_followed() -> None:
    with answering(200, b'{"keys": []}') as elsewhere:
        assert asyncio.run(fetch_json(elsewhere)) == {"keys": []}
        with answering(302, b"{}", Location=elsewhere) as url, pytest.raises(OpenIdUnavailable):
            asyncio.run(fetch_json(url))


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://127.0.0.1:1/jwks", "None", "", "ftp://127.0.0.1/jwks", "http://\0"]
)
def test_an_address_where_nothing_is_has_no_answer(url: str) -> None:
    with pytest.raises(OpenIdUnavailable):
        asyncio.run(fetch_json(url))
