"""Each proxy, set up as the documentation has it, lets in whom Sealkey lets in and nobody else."""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from tests.gateways.edge import Edge, Headers, by_basic, by_bearer, by_headers, keys
from tests.gateways.proxies import Kind, running_proxy

ABOUT = ("credential", "credential-name", "account", "owner", "identity", "service")
CHALLENGE = 'Basic realm="Sealkey", charset="UTF-8", Bearer realm="Sealkey"'
FORGED = {f"X-Sealkey-{name}": "forged" for name in (*ABOUT, "decision", "code")}


def right_ways(edge: Edge) -> tuple[dict[str, str], dict[str, Headers]]:
    """What a new credential is, and the headers that each way of showing it has."""
    generated = edge.generate()
    key, secret = keys(generated).values()
    about = {
        "credential": generated["credential"]["id"],
        "credential-name": generated["credential"]["name"],
        "account": edge.play.alder.id,
        "owner": edge.play.alder.users["member"],
        "identity": edge.play.alder.identities["active"],
        "service": "certificates",
    }
    ways = {
        "basic": by_basic(key, secret),
        "headers": by_headers(key, secret),
        "bearer": by_bearer(edge.access_token(generated)),
    }
    return about, ways


def test_who_shows_a_right_secret_or_token_is_let_in_and_the_api_is_told_who_it_is(edge: Edge) -> None:
    about, ways = right_ways(edge)
    for headers in ways.values():
        asked = edge.let_in(headers=headers)
        assert {name: asked.header(f"x-sealkey-{name}") for name in ABOUT} == about
        assert (asked.method, asked.path) == ("GET", "/orders/7")


def test_secrets_and_tokens_do_not_reach_the_api(edge: Edge) -> None:
    generated = edge.generate()
    key, secret = keys(generated).values()
    token = edge.access_token(generated)
    for headers in (by_basic(key, secret), by_headers(key, secret), by_bearer(token)):
        asked = edge.let_in(headers=headers)
        received = "\n".join(value for _, value in asked.headers)
        hidden = {
            "the secret": secret,
            "the token": token,
            "the pair": b64encode(f"{key}:{secret}".encode()).decode(),
            "the gateway's token": edge.gateway_token,
        }
        assert [name for name, text in hidden.items() if text in received] == []


def test_who_shows_something_wrong_or_nothing_is_asked_who_it_is(edge: Edge) -> None:
    generated, other = edge.generate(), edge.generate()
    key, secret = keys(generated).values()
    wrong = {
        "nothing": {},
        "another's secret": by_basic(key, keys(other)["apiSecret"]),
        "another's secret in headers": by_headers(key, keys(other)["apiSecret"]),
        "a key alone": {"X-API-Key": key},
        "an unknown key": by_basic(f"sealkey_key_{'a' * 16}", secret),
        "no token": by_bearer("whatever"),
        "a token cut short": by_bearer(edge.access_token(generated)[:-2]),
        "the gateway's own token": by_bearer(edge.gateway_token),
        "a session's token": by_bearer(edge.play.operator.token or ""),
    }
    for name, headers in wrong.items():
        answer = edge.kept_out(headers=headers)
        assert (name, answer.status_code) == (name, 401)
        assert answer.headers.get_list("www-authenticate") == [CHALLENGE]


def test_a_credential_of_another_service_is_kept_out(edge: Edge) -> None:
    generated = edge.generate(serviceId=edge.play.alder.services["timestamps"])
    for headers in (by_basic(*keys(generated).values()), by_bearer(edge.access_token(generated))):
        assert edge.kept_out(headers=headers).status_code == 403


@pytest.mark.parametrize("query", ["?service=timestamps", "?service=timestamps&service=certificates", "?service="])
def test_the_query_of_a_client_chooses_no_service(edge: Edge, query: str) -> None:
    fits, other = edge.generate(), edge.generate(serviceId=edge.play.alder.services["timestamps"])
    asked = edge.let_in(f"/{query}", headers=by_basic(*keys(fits).values()))
    assert asked.path == f"/{query}"
    assert edge.kept_out(f"/{query}", headers=by_basic(*keys(other).values())).status_code == 403
    forged = {"X-Sealkey-Service-Required": "timestamps"}
    assert edge.kept_out(headers={**by_basic(*keys(other).values()), **forged}).status_code == 403


@pytest.mark.parametrize("path", ["/verify", "/../oauth/token", "//", "/%2e%2e/healthz", "/a%3Fservice=b", "/a/../b"])
def test_whatever_the_path_nobody_gets_past(edge: Edge, path: str) -> None:
    assert edge.kept_out(path).status_code in {400, 401}


def test_a_revoked_credential_is_kept_out_at_once(edge: Edge) -> None:
    generated = edge.generate()
    ways = (by_basic(*keys(generated).values()), by_bearer(edge.access_token(generated)))
    for headers in ways:
        edge.let_in(headers=headers)
    edge.revoke(generated)
    for headers in ways:
        assert edge.kept_out(headers=headers).status_code == 401


def test_a_service_that_ends_keeps_its_credentials_out_and_back_in_once_it_is_resumed(edge: Edge) -> None:
    generated, service = edge.generate(), {"serviceId": edge.play.alder.services["certificates"]}
    headers = by_basic(*keys(generated).values())
    edge.play.operator.do("suspendService", "service { id }", **service)
    assert edge.kept_out(headers=headers).status_code == 403
    edge.play.operator.do("resumeService", "service { id }", **service)
    edge.let_in(headers=headers)


# ---------------------------------------------------------------- what a client makes up


def test_what_a_client_writes_into_our_headers_does_not_reach_the_api(edge: Edge) -> None:
    about, ways = right_ways(edge)
    ours = {**FORGED, "X-Sealkey-Gateway-Token": "forged", "X-Sealkey-Client-Address": "forged"}
    spellings = [ours, {name.lower(): value for name, value in ours.items()}]
    for headers in spellings:
        asked = edge.let_in(headers={**ways["basic"], **headers})
        assert {name: asked.header(f"x-sealkey-{name}") for name in ABOUT} == about
        of_ours = {name for name, value in asked.headers if name.startswith("x-sealkey-") and "forged" in value}
        # nginx leaves alone what it isn't told of, and nothing is said by these two to an API.
        assert of_ours <= {"x-sealkey-decision", "x-sealkey-code"} if edge.kind.program == "nginx" else not of_ours


def test_a_header_given_twice_does_not_reach_the_api_either(edge: Edge) -> None:
    about, ways = right_ways(edge)
    twice = [*ways["basic"].items(), *[("X-Sealkey-Credential", "forged")] * 2, ("X-Sealkey-Account", "forged")]
    asked = edge.let_in(headers=twice)
    assert {name: asked.header(f"x-sealkey-{name}") for name in ABOUT} == about


@pytest.mark.parametrize("name", ["X-Sealkey-Gateway-Token", "X-Sealkey-Client-Address", "X-Sealkey-Service-Required"])
def test_a_client_can_not_speak_for_the_gateway(edge: Edge, name: str) -> None:
    generated = edge.generate(allowedNetworks=["192.0.2.0/24"])
    forged = [(name, value) for value in ("192.0.2.7", edge.gateway_token, "certificates")]
    for headers in ([each] for each in forged):
        right = [*by_basic(*keys(generated).values()).items(), *headers]
        assert edge.kept_out(headers=right).status_code == 403
        assert edge.kept_out(headers=headers).status_code == 401
    assert edge.kept_out(headers=[*by_basic(*keys(generated).values()).items(), *forged]).status_code >= 400


def test_headers_that_a_client_has_dropped_are_forged_by_nobody(edge: Edge) -> None:
    """Headers that Connection names are for the next machine alone, and a proxy may drop them on the way."""
    about, ways = right_ways(edge)
    confined = edge.generate(allowedNetworks=["192.0.2.0/24"])
    names = ", ".join([*FORGED, "X-Sealkey-Gateway-Token", "X-Sealkey-Client-Address", "X-Sealkey-Service-Required"])
    drop = {"Connection": f"close, {names}"}
    before = len(edge.api.asked)
    edge.ask(headers={**ways["basic"], **FORGED, **drop})
    for asked in edge.api.asked[before:]:
        assert {name: asked.header(f"x-sealkey-{name}") for name in ABOUT} in (about, dict.fromkeys(ABOUT))
    for generated, given in (
        (confined, {"X-Sealkey-Client-Address": "192.0.2.7"}),
        (edge.generate(serviceId=edge.play.alder.services["timestamps"]), {}),
    ):
        headers = {**by_basic(*keys(generated).values()), **given, **drop}
        assert edge.kept_out(headers=headers).status_code >= 400


@pytest.mark.parametrize("claim", ["X-Forwarded-For", "X-Real-IP", "Forwarded"])
def test_a_credential_kept_to_networks_is_judged_by_the_address_that_the_proxy_sees(edge: Edge, claim: str) -> None:
    here, elsewhere = edge.generate(allowedNetworks=["127.0.0.0/8"]), edge.generate(allowedNetworks=["192.0.2.0/24"])
    pretends = {claim: "for=192.0.2.7" if claim == "Forwarded" else "192.0.2.7"}
    for headers in ({}, pretends):
        from_here = {**by_basic(*keys(here).values()), **headers}
        if edge.kind.tells_address:
            edge.let_in(headers=from_here)
        else:
            assert edge.kept_out(headers=from_here).status_code == 403
        assert edge.kept_out(headers={**by_basic(*keys(elsewhere).values()), **headers}).status_code == 403


# ---------------------------------------------------------------- bodies


@pytest.mark.parametrize("chunked", [False, True], ids=["of known length", "in chunks"])
def test_a_large_body_goes_to_the_api_and_not_to_sealkey(edge: Edge, chunked: bool) -> None:
    line = b"the body of a request, and no business of Sealkey's\n"
    body = line * (4 * 1024 * 1024 // len(line))
    content = (body[at : at + 65536] for at in range(0, len(body), 65536)) if chunked else body
    headers = by_basic(*keys(edge.generate()).values())
    already = len(edge.wire.sent)
    asked = edge.let_in("/upload", "POST", content=content, headers=headers)
    assert (asked.method, asked.body_sha256) == ("POST", sha256(body).hexdigest())
    sent = bytes(edge.wire.sent[already:])
    assert b"/verify" in sent
    assert b"no business" not in sent
    assert len(sent) < 10_000


def test_a_body_of_somebody_who_is_kept_out_goes_nowhere(edge: Edge) -> None:
    already = len(edge.wire.sent)
    edge.kept_out("/upload", "POST", content=b"whatever " * 100)
    assert b"whatever" not in edge.wire.sent[already:]


@pytest.mark.parametrize("token", ["sealkey_gateway_wrong", "whatever"])
def test_a_gateway_with_a_wrong_token_lets_nobody_in(edge: Edge, kind: Kind, tmp_path: Path, token: str) -> None:
    headers = by_basic(*keys(edge.generate()).values())
    with running_proxy(kind, tmp_path, sealkey=edge.wire.port, api=edge.api.port, token=token) as url:
        mistaken = Edge(kind, url, edge.play, edge.api, edge.wire, token)
        assert mistaken.kept_out(headers=headers).status_code == 403
