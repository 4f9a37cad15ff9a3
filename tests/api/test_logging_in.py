"""Key and secret for an access token."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest
from jwcrypto.jwk import JWK
from jwcrypto.jws import InvalidJWSSignature
from jwcrypto.jwt import JWT

from auth.crypto.keyring import Keyring
from auth.crypto.secret import Secret
from auth.crypto.secret_hash import secret_matches
from tests.auth.crypto.keys import base64url
from tests.plugins.play import Theatre
from tests.support.audit import deployment_events, events, recorded
from tests.support.rows import LOG
from tests.support.server import START
from tests.support.world import Play

ANSWER = "accessToken tokenType expiresIn scope"


def login(play: Play, keys: dict[str, str]) -> Any:
    return play.nobody.do("login", ANSWER, **keys)


def server_public_key(play: Play) -> JWK:
    """The public half of what the server's key file holds for tokens."""
    held = json.loads((play.server.data_dir / "server-keys.json").read_text())["keys"]
    (key,) = [key for key in held if key["kid"].startswith("token-signing-")]
    return JWK(**{name: value for name, value in key.items() if name != "d"})


def verified(play: Play, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token whose signature is right, by a library that the server does not use."""
    # The clock of the play is behind, so whether it has expired is not asked.
    jwt = JWT(jwt=token, key=server_public_key(play), algs=["ES256"], check_claims={})
    return json.loads(jwt.header), json.loads(jwt.claims)


# ---------------------------------------------------------------- the token


def test_the_token_is_a_jwt_in_the_profile_of_rfc_9068(theatre: Theatre) -> None:
    issuer = "https://keys.provider.example/sealkey"
    with theatre.new(issuer=issuer) as play:
        keys = play.keys("ci")
        header, claims = verified(play, login(play, keys)["accessToken"])
    assert header == {"alg": "ES256", "typ": "at+jwt", "kid": "token-signing-1"}
    assert len(claims.pop("jti")) == 32
    issued_at = int(START.timestamp())
    assert claims == {
        "iss": issuer,
        "aud": issuer,
        "sub": keys["apiKey"],
        "client_id": keys["apiKey"],
        "iat": issued_at,
        "exp": issued_at + 600,
        "scope": "certificates",
    }


def test_a_token_that_was_altered_is_not_the_servers(play: Play) -> None:
    token = login(play, play.keys())["accessToken"]
    header, claims, signature = token.split(".")
    forged = base64url(json.dumps({**json.loads(from_base64url(claims)), "scope": "everything"}).encode())
    verified(play, token)
    with pytest.raises(InvalidJWSSignature):
        verified(play, f"{header}.{forged}.{signature}")


def from_base64url(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_answer_tells_what_the_token_is_for_and_how_long(play: Play) -> None:
    answer = login(play, play.keys())
    assert (answer["tokenType"], answer["expiresIn"], answer["scope"]) == ("Bearer", 600, "certificates")


def test_the_deployment_says_how_long_a_token_lasts(theatre: Theatre) -> None:
    with theatre.new(access_token_seconds=30) as play:
        assert login(play, play.keys())["expiresIn"] == 30


def test_every_token_is_another_one(play: Play) -> None:
    keys = play.keys()
    tokens = {login(play, keys)["accessToken"] for _ in range(3)}
    assert len(tokens) == 3


def test_the_token_holds_nothing_of_the_secret(play: Play) -> None:
    keys = play.keys()
    header, claims, _ = login(play, keys)["accessToken"].split(".")
    told = (from_base64url(header) + from_base64url(claims)).decode()
    secret = keys["apiSecret"].removeprefix("sealkey_secret_")
    assert not [piece for piece in (secret[at : at + 8] for at in range(42)) if piece in told]


def test_logging_in_changes_nothing(play: Play) -> None:
    keys = play.keys()
    with play.rows.unchanged():
        login(play, keys)


# ---------------------------------------------------------------- wrong keys and secrets


def wrong_keys(right: dict[str, str], others: dict[str, str]) -> dict[str, dict[str, str]]:
    key, secret = right["apiKey"], right["apiSecret"]
    flipped = "a" if secret[-7] != "a" else "b"
    return {
        "an unknown key": {"apiKey": f"sealkey_key_{'a' * 16}", "apiSecret": secret},
        "another's secret": {"apiKey": key, "apiSecret": others["apiSecret"]},
        "another's key": {"apiKey": others["apiKey"], "apiSecret": secret},
        "key and secret exchanged": {"apiKey": secret, "apiSecret": key},
        "a secret with a typo": {"apiKey": key, "apiSecret": f"{secret[:-7]}{flipped}{secret[-6:]}"},
        "a secret cut short": {"apiKey": key, "apiSecret": secret[:-1]},
        "a secret with more after it": {"apiKey": key, "apiSecret": f"{secret} "},
        "a secret in capitals": {"apiKey": key, "apiSecret": secret.upper()},
        "a key in capitals": {"apiKey": key.upper(), "apiSecret": secret},
        "nothing": {"apiKey": "", "apiSecret": ""},
    }


def test_a_wrong_key_and_a_wrong_secret_are_answered_alike(play: Play) -> None:
    right, others = play.keys("right"), play.keys("other")
    with play.rows.unchanged(without=LOG):
        answers = {
            name: play.nobody.mutate("login", ANSWER, **keys) for name, keys in wrong_keys(right, others).items()
        }
    refused = {"code": "INVALID_CREDENTIALS", "field": None, "message": "The API key or the API secret is not right."}
    nothing = dict.fromkeys(ANSWER.split())
    assert answers == {name: {**nothing, "userErrors": [refused]} for name in answers}
    assert login(play, right)["scope"] == "certificates"


def test_a_secret_is_compared_for_an_unknown_key_too(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the time of an answer would tell which keys there are."""
    compared: list[bytes | None] = []

    def watched(keyring: Keyring, hashing_key_id: str | None, kept: bytes | None, api_key: str, secret: Secret) -> bool:
        compared.append(kept)
        return secret_matches(keyring, hashing_key_id, kept, api_key, secret)

    monkeypatch.setattr("resolvers.check_credential.secret_matches", watched)
    keys = play.keys()
    play.nobody.mutate("login", ANSWER, apiKey=f"sealkey_key_{'a' * 16}", apiSecret=keys["apiSecret"])
    assert compared == [None]


def test_the_hash_of_one_credential_is_worthless_for_another(play: Play) -> None:
    """Whoever can write to the database can't make one key open by another's secret."""
    one, other = play.keys("one"), play.keys("other")
    (kept,) = play.rows.execute("SELECT secret_hash FROM credentials WHERE name = 'other'")
    on = " ON credentials" if play.rows.engine == "postgres" else ""
    play.rows.execute(f"DROP TRIGGER credentials_are_hashed_anew_under_another_key{on}")
    play.rows.execute(f"UPDATE credentials SET secret_hash = '{kept[0]}' WHERE name = 'one'")
    mixed = {"apiKey": one["apiKey"], "apiSecret": other["apiSecret"]}
    assert play.nobody.refusals("login", ANSWER, **mixed) == [("INVALID_CREDENTIALS", None)]


def test_a_refused_login_is_told_to_the_account_whose_key_it_was(play: Play) -> None:
    generated = play.generate("ci")
    key, credential = generated["delivery"]["apiKey"], generated["credential"]["id"]
    with recorded(play, play.alder.id, ("login.denied", None, credential, "A login with credential ci was refused")):
        play.nobody.mutate("login", ANSWER, apiKey=key, apiSecret="wrong")


def test_a_refused_login_with_an_unknown_key_is_told_to_the_provider_without_the_key(play: Play) -> None:
    before = events(play, play.alder.id)
    play.nobody.mutate("login", ANSWER, apiKey=f"sealkey_key_{'a' * 16}", apiSecret="wrong")
    told = ("login.denied", None, None, "A login with an unknown API key was refused")
    assert deployment_events(play)[-1] == told
    assert events(play, play.alder.id) == before


# ---------------------------------------------------------------- the right secret, and why not

Block = Callable[[Play], None]


def certificates(play: Play) -> str:
    return play.alder.services["certificates"]


def user(assignment: str) -> Block:
    return lambda play: play.rows.set("users", play.alder.users["member"], assignment)


def identity(step: str) -> Block:
    return lambda play: play.operator.do(step, "identity { id }", identityId=play.alder.identities["active"])


def service(step: str) -> Block:
    return lambda play: play.operator.do(step, "service { id }", serviceId=certificates(play))


def revoke(play: Play) -> None:
    (node,) = play.member.data("{ credentials { nodes { id } } }")["nodes"]
    play.member.do("revokeCredential", "credential { id }", credentialId=node["id"])


def suspend_account(play: Play) -> None:
    play.rows.set("accounts", play.alder.id, "status = 'SUSPENDED'")


def expire(play: Play) -> None:
    play.stay_signed_in()
    play.clock.advance(days=365)


def expire_identity(play: Play) -> None:
    end = play.clock().isoformat(" ")
    play.rows.set("identities", play.alder.identities["active"], f"valid_until = '{end}'")


def expire_service(play: Play) -> None:
    end = play.clock().isoformat(" ")
    play.rows.set("services", certificates(play), f"starts_at = '2025-01-01 00:00:00+00:00', expires_at = '{end}'")


def unstart_service(play: Play) -> None:
    start = (play.clock() + timedelta(milliseconds=1)).isoformat(" ")
    play.rows.set("services", certificates(play), f"starts_at = '{start}'")


REFUSED: dict[str, tuple[Block, str]] = {
    "revoked": (revoke, "CREDENTIAL_NOT_ACTIVE"),
    "expired": (expire, "CREDENTIAL_NOT_ACTIVE"),
    "access removed": (user("api_access = false"), "API_ACCESS_REMOVED"),
    "owner deactivated": (user("status = 'DEACTIVATED'"), "OWNER_DEACTIVATED"),
    "account suspended": (suspend_account, "ACCOUNT_SUSPENDED"),
    "identity suspended": (identity("suspendIdentity"), "IDENTITY_NOT_ACTIVE"),
    "identity expired": (expire_identity, "IDENTITY_NOT_ACTIVE"),
}
SERVICE_MAY_NOT_BE_USED: dict[str, Block] = {
    "not started": unstart_service,
    "expired": expire_service,
    "suspended": service("suspendService"),
    "cancelled": service("cancelService"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_with_the_right_secret_the_true_reason_is_told_and_with_a_wrong_one_nothing(play: Play, why: str) -> None:
    block, code = REFUSED[why]
    keys = play.keys()
    block(play)
    with play.rows.unchanged(without=LOG):
        assert play.nobody.refusals("login", ANSWER, **keys) == [(code, None)]
        wrong = {**keys, "apiSecret": keys["apiSecret"][:-1]}
        assert play.nobody.refusals("login", ANSWER, **wrong) == [("INVALID_CREDENTIALS", None)]
    newest = play.rows.execute("SELECT type, summary FROM audit_events ORDER BY sequence DESC LIMIT 2")
    assert newest == [("login.denied", "A login with credential ci was refused")] * 2


@pytest.mark.parametrize("why", SERVICE_MAY_NOT_BE_USED)
def test_while_the_service_may_not_be_used_the_token_has_an_empty_scope(play: Play, why: str) -> None:
    keys = play.keys()
    SERVICE_MAY_NOT_BE_USED[why](play)
    answer = login(play, keys)
    assert answer["scope"] == ""
    _, claims = verified(play, answer["accessToken"])
    assert claims["scope"] == ""


def test_a_renewal_brings_the_scope_back_with_the_same_key_and_secret(play: Play) -> None:
    keys = play.keys()
    expire_service(play)
    assert login(play, keys)["scope"] == ""
    end = play.clock.in_(days=1)
    play.operator.do("renewService", "service { id }", serviceId=certificates(play), expiresAt=end)
    assert login(play, keys)["scope"] == "certificates"


def test_lifting_a_cause_lifts_the_refusal(play: Play) -> None:
    keys = play.keys()
    for block, lift in (
        (user("api_access = false"), user("api_access = true")),
        (user("status = 'DEACTIVATED'"), user("status = 'ACTIVE'")),
        (identity("suspendIdentity"), identity("reinstateIdentity")),
    ):
        block(play)
        assert play.nobody.refusals("login", ANSWER, **keys)
        lift(play)
        assert login(play, keys)["scope"] == "certificates"


def test_a_credential_expires_to_the_millisecond(play: Play) -> None:
    keys = play.keys(expiry={"at": play.clock.in_(hours=1)})
    play.clock.advance(minutes=59, seconds=59, milliseconds=999)
    assert login(play, keys)["scope"] == "certificates"
    play.clock.advance(milliseconds=1)
    assert play.nobody.refusals("login", ANSWER, **keys) == [("CREDENTIAL_NOT_ACTIVE", None)]


def test_an_access_token_is_no_session_token(play: Play) -> None:
    token = login(play, play.keys())["accessToken"]
    assert play.server.client(token).error_code("{ viewer { role } }") == "UNAUTHENTICATED"


def test_who_is_signed_in_logs_in_like_anybody_else(play: Play) -> None:
    keys = play.keys()
    assert play.auditor.do("login", ANSWER, **keys)["scope"] == "certificates"


def test_a_token_that_is_revoked_many_times_at_once_is_revoked_once_and_everybody_is_told_so(play: Play) -> None:
    keys = play.keys()
    client = (keys["apiKey"], keys["apiSecret"])
    for _ in range(5):
        token = play.nobody.do("login", "accessToken", **keys)["accessToken"]
        with ThreadPoolExecutor(8) as threads:
            revoked = [
                threads.submit(
                    httpx.post, f"{play.server.url}/oauth/revoke", auth=client, data={"token": token}, verify=False
                )
                for _ in range(8)
            ]
        assert [each.result().status_code for each in revoked] == [200] * 8
    recorded = play.operator.data('{ auditEvents(filter: {types: ["access_token.revoked"]}) { totalCount } }')
    assert recorded == {"totalCount": 5}
