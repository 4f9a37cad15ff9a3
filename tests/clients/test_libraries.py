"""OAuth and JWT libraries that are not ours get along with the server, each doing what it does by itself."""

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from tests.plugins.database import Databases
from tests.support.command import Serving
from tests.support.deployed import Deployed


@pytest.fixture(scope="module")
def deployed(
    databases: Databases, names: Iterator[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    """One server, which is its own issuer."""
    name, data_dir = next(names), tmp_path_factory.mktemp("data")
    url = databases.create_database(name)
    with Serving(data_dir, database_url=url) as server:
        server.wait()
        yield Deployed(data_dir, url, [server])
    databases.drop_database(name)


def discovered(deployed: Deployed) -> dict[str, Any]:
    url = deployed.servers[0].url
    found: dict[str, Any] = httpx.get(f"{url}/.well-known/oauth-authorization-server").json()
    assert found["issuer"] == url
    return found


def client(deployed: Deployed, method: str = "client_secret_basic") -> OAuth2Session:
    keys = deployed.keys
    return OAuth2Session(keys["apiKey"], keys["apiSecret"], token_endpoint_auth_method=method)


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_authlib_fetches_a_token_asks_about_it_and_revokes_it(deployed: Deployed, method: str) -> None:
    server = discovered(deployed)
    assert method in server["token_endpoint_auth_methods_supported"]
    assert method in server["revocation_endpoint_auth_methods_supported"]
    with client(deployed, method) as ours:
        token = ours.fetch_token(server["token_endpoint"], grant_type="client_credentials", scope="certificates")
        assert (token["token_type"], token["scope"], token["expires_in"]) == ("Bearer", "certificates", 600)

        with OAuth2Session(token={"access_token": deployed.gateway, "token_type": "Bearer"}) as gateway:
            asked = {"token": token["access_token"], "token_type_hint": "access_token", "auth": gateway.token_auth}
            found = gateway.introspect_token(server["introspection_endpoint"], **asked).json()
            assert (found["active"], found["client_id"]) == (True, deployed.keys["apiKey"])
            assert found["iss"] == server["issuer"]
            revoked = ours.revoke_token(server["revocation_endpoint"], token["access_token"])
            assert revoked.status_code == 200
            assert gateway.introspect_token(server["introspection_endpoint"], **asked).json() == {"active": False}


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_authlib_is_told_what_is_wrong(deployed: Deployed, method: str) -> None:
    server = discovered(deployed)
    with client(deployed, method) as ours, pytest.raises(OAuthError) as refused:
        ours.fetch_token(server["token_endpoint"], grant_type="client_credentials", scope="everything")
    assert refused.value.error == "invalid_scope"
    wrong = OAuth2Session(deployed.keys["apiKey"], "wrong", token_endpoint_auth_method=method)
    with wrong, pytest.raises(OAuthError) as refused:
        wrong.fetch_token(server["token_endpoint"], grant_type="client_credentials")
    assert refused.value.error == "invalid_client"


def test_authlib_gets_a_new_token_by_itself_when_the_old_one_has_expired(deployed: Deployed) -> None:
    server = discovered(deployed)
    keys = deployed.keys
    with OAuth2Session(
        keys["apiKey"],
        keys["apiSecret"],
        token_endpoint=server["token_endpoint"],
        grant_type="client_credentials",
        token={"access_token": "an old one", "token_type": "Bearer", "expires_at": 1},
    ) as ours:
        ours.get(f"{server['issuer']}/healthz")
        assert jwt.get_unverified_header(ours.token["access_token"])["typ"] == "at+jwt"


def decoded(deployed: Deployed, keys: jwt.PyJWKClient, token: str) -> dict[str, Any]:
    server = discovered(deployed)
    claims: dict[str, Any] = jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token),
        algorithms=["ES256"],
        issuer=server["issuer"],
        audience=server["issuer"],
        options={"require": ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]},
    )
    return claims


def test_pyjwt_checks_tokens_offline_also_after_a_rotation(deployed: Deployed) -> None:
    server = deployed.servers[0]
    # By itself it waits for 30 seconds between two looks, and a new key is published 15 minutes before it signs.
    keys = jwt.PyJWKClient(discovered(deployed)["jwks_uri"], cooldown_duration=2)
    before = deployed.login(server)
    claims = decoded(deployed, keys, before)
    assert (claims["client_id"], claims["scope"]) == (deployed.keys["apiKey"], "certificates")
    deployed.rotate("--lead", "5")
    after = deployed.token_of_the_new_key(server)
    # The same client, which has kept the keys of before: it sees one that it does not know, and asks again.
    assert decoded(deployed, keys, after)["jti"] != claims["jti"]
    assert decoded(deployed, keys, before) == claims
    header, content, signature = after.split(".")
    for forged in (f"{header}.{claims_of(everything=True)}.{signature}", f"{header}.{content}.{signature[:-4]}AAAA"):
        with pytest.raises(jwt.InvalidSignatureError):
            decoded(deployed, keys, forged)


def claims_of(**claims: Any) -> str:
    return b64encode(json.dumps(claims).encode()).decode().rstrip("=").replace("+", "-").replace("/", "_")
