"""What gateways and API clients send, and what they get."""

import httpx

from tests.support.world import Play


def test_a_gateway_is_told_whom_to_let_in(play: Play) -> None:
    delivery = play.generate("ci")["delivery"]
    client = (delivery["apiKey"], delivery["apiSecret"])
    token = play.operator.do("createGatewayToken", "token", name="edge", expiresAt="2026-06-01T00:00:00Z")["token"]
    gateway = {"X-Sealkey-Gateway-Token": token}
    url = play.server.url

    let_in = httpx.get(f"{url}/verify", auth=client, headers=gateway)
    assert (let_in.status_code, let_in.headers["x-sealkey-code"]) == (200, "OK")
    assert let_in.headers["x-sealkey-service"] == "certificates"
    wrong = httpx.get(f"{url}/verify", auth=(client[0], client[1] + "x"), headers=gateway)
    assert (wrong.status_code, wrong.headers["x-sealkey-code"]) == (401, "INVALID_CREDENTIALS")
    assert httpx.get(f"{url}/verify", auth=client).status_code == 403

    granted = httpx.post(f"{url}/oauth/token", auth=client, data={"grant_type": "client_credentials"}).json()
    assert granted["scope"] == "certificates"
    bearer = {**gateway, "Authorization": f"Bearer {granted['access_token']}"}
    assert httpx.get(f"{url}/verify", headers=bearer).status_code == 200

    by_gateway = {"Authorization": f"Bearer {token}"}
    body = {"token": granted["access_token"]}
    assert httpx.post(f"{url}/oauth/introspect", data=body, headers=by_gateway).json()["active"] is True
    assert httpx.post(f"{url}/oauth/revoke", auth=client, data=body).status_code == 200
    assert httpx.post(f"{url}/oauth/introspect", data=body, headers=by_gateway).json() == {"active": False}
    assert httpx.get(f"{url}/verify", headers=bearer).status_code == 401


def test_an_atlas_client_logs_in(play: Play) -> None:
    delivery = play.generate("ci")["delivery"]
    body = {"api_key": delivery["apiKey"], "api_secret": delivery["apiSecret"]}
    for path in ("/v2/login", "/v2/login/"):
        answer = httpx.post(f"{play.server.url}{path}", json=body)
        assert list(answer.json()) == ["access_token"]
    body["api_secret"] += "x"
    refused = httpx.post(f"{play.server.url}/v2/login", json=body)
    assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")
