"""An OpenID provider that is not ours, in a process of its own."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.processes import free_port, running_process

CLIENT_ID = "sealkey-portal"
_REDIRECT = "http://127.0.0.1/signed-in"
# The claims that a user here needs to be made on first sight.
MEMBER_OF_ALDER: Mapping[str, Any] = {
    "email": "carol@alder.example",
    "email_verified": True,
    "name": "Carol Alder",
    "sealkey_account": "Alder",
    "sealkey_role": "MEMBER",
    "sealkey_api_access": True,
}

NOT_GIVEN = object()


def changed(claims: Mapping[str, Any]) -> dict[str, Any]:
    """The claims of a member of Alder with these instead."""
    return {name: value for name, value in {**MEMBER_OF_ALDER, **claims}.items() if value is not NOT_GIVEN}


@dataclass(frozen=True)
class Provider:
    """A running provider. It signs whatever claims a user is given, also those that make no sense."""

    url: str

    def token(self, subject: str = "carol", /, client_id: str = CLIENT_ID, **claims: Any) -> str:
        """The ID token of a user with these claims, by the authorization code flow (OpenID Connect Core 1.0, 3.1)."""
        self._http("PUT", f"/users/{subject}", json=claims)
        configuration = self._http("GET", "/.well-known/openid-configuration").json()
        asked = {"client_id": client_id, "redirect_uri": _REDIRECT, "scope": "openid email profile"}
        consented = self._http(
            "POST",
            configuration["authorization_endpoint"],
            params={**asked, "response_type": "code"},
            data={"sub": subject},
        )
        code = httpx.URL(consented.headers["location"]).params["code"]
        exchanged = self._http(
            "POST",
            configuration["token_endpoint"],
            data={"grant_type": "authorization_code", "code": code, "redirect_uri": _REDIRECT},
            auth=(client_id, "any"),
        )
        token: str = exchanged.json()["id_token"]
        return token

    def public_key(self) -> dict[str, str]:
        """Its only key, as it is published."""
        (key,) = self._http("GET", "/jwks").json()["keys"]
        return dict(key)

    def _http(self, method: str, path: str, **request: Any) -> httpx.Response:
        with httpx.Client(base_url=self.url, verify=False) as client:
            response = client.request(method, path, **request)
        assert response.status_code < 400, response.text
        return response


@contextmanager
def running_provider(port: int | None = None) -> Iterator[Provider]:
    """A provider with a key of its own, made this moment."""
    port = port or free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--host", "127.0.0.1", "--port", str(port)]
    with running_process(command, {}, "Uvicorn running on"):
        yield Provider(f"http://127.0.0.1:{port}")
