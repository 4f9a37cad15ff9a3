"""Tokens that the OpenID provider has not made for this server, now: whatever they claim, they sign nobody in."""

import base64
import hmac
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import RSAKey

from tests.openid.people import VIEWER, by_password, emails, is_refused
from tests.support.provider import CLIENT_ID, MEMBER_OF_ALDER, Provider, changed
from tests.support.world import Play

CAROL = "carol@alder.example"
MALLORYS_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

Sign = Callable[[bytes], bytes]


def encoded(part: bytes | dict[str, Any]) -> str:
    content = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(part: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=="))
    return content


def forged(header: dict[str, Any], claims: dict[str, Any], sign: Sign) -> str:
    signed = f"{encoded(header)}.{encoded(claims)}"
    return f"{signed}.{encoded(sign(signed.encode()))}"


def by_mallory(message: bytes) -> bytes:
    return MALLORYS_KEY.sign(message, padding.PKCS1v15(), hashes.SHA256())


def with_hmac(secret: bytes, algorithm: str) -> Sign:
    return lambda message: hmac.digest(secret, message, algorithm.replace("HS", "sha"))


@pytest.fixture(scope="module")
def true_token(provider: Provider, unchanged: Play) -> str:
    """One that signs Carol in, so that those which are like it but for one thing are refused for that."""
    token = provider.token("carol", **MEMBER_OF_ALDER)
    assert not is_refused(unchanged, token)
    return token


@pytest.fixture(scope="module")
def claims(true_token: str) -> dict[str, Any]:
    """What Mallory would have liked to have signed: the claims of a true token."""
    return decoded(true_token.split(".")[1])


@pytest.fixture(autouse=True)
def nobody_is_made(unchanged: Play, true_token: str) -> Iterator[None]:
    before = emails(unchanged.operator)
    yield
    assert emails(unchanged.operator) == before


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
def test_without_a_signature(unchanged: Play, claims: dict[str, Any], algorithm: str) -> None:
    assert is_refused(unchanged, forged({"alg": algorithm, "typ": "JWT"}, claims, lambda _: b""))


def test_with_the_signature_left_out(unchanged: Play, true_token: str) -> None:
    header, payload, _ = true_token.split(".")
    assert is_refused(unchanged, f"{header}.{payload}.")
    assert is_refused(unchanged, f"{header}.{payload}")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_signed_with_the_public_key_as_a_shared_secret(
    unchanged: Play, provider: Provider, claims: dict[str, Any], algorithm: str
) -> None:
    published = provider.public_key()
    key = RSAKey.import_key({**published}).public_key
    spki, pkcs1 = PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1
    secrets = [
        key.public_bytes(Encoding.PEM, spki),
        key.public_bytes(Encoding.PEM, spki).strip(),
        key.public_bytes(Encoding.DER, spki),
        key.public_bytes(Encoding.PEM, pkcs1),
        key.public_bytes(Encoding.DER, pkcs1),
        json.dumps(published).encode(),
        base64.urlsafe_b64decode(published["n"] + "=="),
    ]
    for secret in secrets:
        for kid in ({}, {"kid": published["kid"]}):
            token = forged({"alg": algorithm, "typ": "JWT", **kid}, claims, with_hmac(secret, algorithm))
            assert is_refused(unchanged, token)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "RS1", "ES256"])
def test_signed_with_another_key(unchanged: Play, provider: Provider, claims: dict[str, Any], algorithm: str) -> None:
    for kid in ({}, {"kid": "mallory-1"}, {"kid": provider.public_key()["kid"]}, {"kid": ""}, {"kid": 7}):
        assert is_refused(unchanged, forged({"alg": algorithm, "typ": "JWT", **kid}, claims, by_mallory))


def test_bringing_its_own_key_along(unchanged: Play, claims: dict[str, Any]) -> None:
    jwk = RSAKey.import_key(MALLORYS_KEY.public_key()).as_dict(private=False)
    for header in ({"jwk": jwk}, {"jku": "http://127.0.0.1:1/jwks"}, {"x5u": "http://127.0.0.1:1/x5u"}):
        assert is_refused(unchanged, forged({"alg": "RS256", "typ": "JWT", **header}, claims, by_mallory))


def test_with_an_extension_that_must_be_understood(unchanged: Play, claims: dict[str, Any]) -> None:
    header = {"alg": "RS256", "crit": ["sealkey"], "sealkey": True}
    assert is_refused(unchanged, forged(header, claims, by_mallory))


def test_with_other_claims_under_a_true_signature(unchanged: Play, true_token: str, claims: dict[str, Any]) -> None:
    header, _, signature = true_token.split(".")
    altered = {**claims, "sub": "mallory", "sealkey_role": "ADMINISTRATOR"}
    assert is_refused(unchanged, f"{header}.{encoded(altered)}.{signature}")


def test_made_for_another_client(unchanged: Play, provider: Provider) -> None:
    assert is_refused(unchanged, provider.token("carol", client_id="another", **MEMBER_OF_ALDER))


@pytest.mark.parametrize(
    "audience", [None, "", [], ["another"], f"{CLIENT_ID}x", [CLIENT_ID.upper()], {"a": CLIENT_ID}]
)
def test_made_for_nobody_or_others(unchanged: Play, provider: Provider, audience: object) -> None:
    assert is_refused(unchanged, provider.token("carol", **MEMBER_OF_ALDER, aud=audience))


def test_made_by_the_same_provider_under_another_name(unchanged: Play, provider: Provider) -> None:
    # It signs with the same key, and names itself as it was asked.
    by_another_name = Provider(provider.url.replace("127.0.0.1", "localhost"))
    assert is_refused(unchanged, by_another_name.token("carol", **MEMBER_OF_ALDER))


@pytest.mark.parametrize("issuer", [None, "", "https://accounts.provider.example", ["http://127.0.0.1"]])
def test_in_the_name_of_another_issuer(unchanged: Play, provider: Provider, issuer: object) -> None:
    assert is_refused(unchanged, provider.token("carol", **MEMBER_OF_ALDER, iss=issuer))
    assert is_refused(unchanged, provider.token("carol", **MEMBER_OF_ALDER, iss=f"{provider.url}/"))


@pytest.mark.parametrize("expiry", [None, "", "tomorrow", True, [], 0, -1])
def test_without_an_end_that_is_one(unchanged: Play, provider: Provider, expiry: object) -> None:
    assert is_refused(unchanged, provider.token("carol", **MEMBER_OF_ALDER, exp=expiry))


def test_before_its_time(unchanged: Play, provider: Provider) -> None:
    now = int(unchanged.clock.now.timestamp())
    assert is_refused(unchanged, provider.token("carol", **MEMBER_OF_ALDER, nbf=now + 600))
    assert is_refused(unchanged, provider.token("carol", **MEMBER_OF_ALDER, iat=now + 600))
    assert is_refused(unchanged, provider.token("carol", **MEMBER_OF_ALDER, nbf="now"))


def test_an_api_credential_s_own_access_token(unchanged: Play) -> None:
    delivery = unchanged.generate("ci", by_password(unchanged, "member@alder.example"))["delivery"]
    keys = {name: delivery[name] for name in ("apiKey", "apiSecret")}
    login = unchanged.nobody.do("login", "accessToken", **keys)
    for token in (login["accessToken"], *keys.values()):
        assert is_refused(unchanged, token)


@pytest.mark.parametrize(
    "garbage",
    [
        "garbage",
        ".",
        "..",
        "...",
        "a.b.c",
        "e30.e30.",
        "e30.e30.e30",
        "W10.W10.W10",
        "bnVsbA.bnVsbA.bnVsbA",
        encoded({"alg": "RS256"}) + ".e30.e30",
        encoded({"alg": ["RS256"]}) + ".e30.e30",
        encoded({"alg": "RS256", "kid": {}}) + ".e30.e30",
        encoded({"alg": "RS256", "typ": 7}) + ".e30.e30",
        encoded({"alg": "dir", "enc": "A256GCM"}) + ".e30.e30.e30.e30",
        encoded(b"[" * 300) + ".e30.e30",
        encoded(b"\xff\xfe") + ".e30.e30",
        "\u00ff.\u00ff.\u00ff",
        "." * 60_000,
        "a" * 60_000,
    ],
    ids=lambda text: text[:20],
)
def test_garbage(unchanged: Play, garbage: str) -> None:
    response = httpx.post(
        f"{unchanged.server.url}/graphql",
        json={"query": VIEWER},
        verify=False,
        headers={b"Authorization": f"Bearer {garbage}".encode("latin-1")},
    )
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(
    st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "b64", "x5c", "enc", "zip"]), json_values | st.just("RS256")
    )
)
def test_any_header_at_all(unchanged: Play, claims: dict[str, Any], header: dict[str, Any]) -> None:
    assert is_refused(unchanged, forged(header, claims, by_mallory))


def test_nothing_of_a_token_is_in_the_log(
    unchanged: Play, provider: Provider, claims: dict[str, Any], true_token: str, capfd: pytest.CaptureFixture[str]
) -> None:
    refused = [
        forged({"alg": "none"}, claims, lambda _: b""),
        forged({"alg": "RS256", "kid": "mallory-1"}, claims, by_mallory),
        provider.token("carol", client_id="another", **MEMBER_OF_ALDER),
        provider.token("carol", **changed({"sealkey_account": "Yew"})),
        true_token[:-8] + "AAAAAAAA",
        "garbage." * 3,
    ]
    capfd.readouterr()
    for token in refused:
        assert is_refused(unchanged, token)
    written = "".join(capfd.readouterr())
    assert len(re.findall("openid_refused", written)) == len(refused)
    for token in refused:
        for part in filter(None, token.split(".")):
            assert part not in written
    assert CAROL not in written
    assert "Yew" not in written
