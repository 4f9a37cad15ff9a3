"""The OAuth endpoints, word for word as their RFCs have it: each request with the status and the body it is answered
with. In the requests {key}, {secret} and so on stand for what a play has."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import jwt
import pytest

from tests.plugins.play import Theatre
from tests.support.world import Play

FORM = "application/x-www-form-urlencoded"
GRANT = "grant_type=client_credentials"
POST = "client_id={key}&client_secret={secret}"

MISSING = "{} is missing."
TWICE = "A parameter is given more than once."
TWO_WAYS = "Send the client's credentials in the header or in the body, not in both."
NO_GRANT = "grant_type must be client_credentials."
NO_FORM = f"The body must be {FORM}."
WRONG = "The API key or the API secret is not right."
NOT_FOR = "This credential is not for that scope."
NO_GATEWAY = "Introspection takes a gateway's token."
BASIC = 'Basic realm="Sealkey"'


@dataclass(frozen=True)
class Case:
    """A request, and its answer: the error's code and description, or the members of a success."""

    path: str
    body: str = ""
    status: int = 400
    error: str = ""
    description: str = ""
    auth: str | None = None
    """The value of Authorization."""
    headers: dict[str, str] = field(default_factory=dict)
    challenge: str | None = None


def token(body: str, status: int = 400, error: str = "", description: str = "", **more: Any) -> Case:
    return Case("/oauth/token", body, status, error, description, **more)


def revoke(body: str, status: int = 400, error: str = "", description: str = "", **more: Any) -> Case:
    return Case("/oauth/revoke", body, status, error, description, **more)


def ask(body: str, status: int = 400, error: str = "", description: str = "", **more: Any) -> Case:
    more = {"auth": "Bearer {gateway}", **more}
    return Case("/oauth/introspect", body, status, error, description, **more)


def invalid_client(case: str, **more: Any) -> Case:
    return token(case, 401, "invalid_client", WRONG, challenge=BASIC, **more)


CASES: dict[str, Case] = {
    # ------------------------------------------------ RFC 6749, 4.4: the token endpoint
    "the credentials in the body": token(f"{GRANT}&{POST}", 200),
    "the credentials in the header": token(GRANT, 200, auth="Basic {pair}"),
    "the header's credentials form-encoded (2.3.1)": token(GRANT, 200, auth="Basic {encoded}"),
    "the scheme in another case": token(GRANT, 200, auth="bAsIc {pair}"),
    "parameters that nobody knows (3.2)": token(f"{GRANT}&{POST}&audience=x&audience2=y", 200),
    "a parameter without a value is none (3.2)": token(f"{GRANT}&{POST}&scope=&resource", 200),
    "empty credentials in the body beside the header are none": token(
        f"{GRANT}&client_id=&client_secret=", 200, auth="Basic {pair}"
    ),
    "percent-encoded names": token(f"grant%5Ftype=client%5Fcredentials&{POST}", 200),
    "the parameters in another order": token(f"{POST}&{GRANT}", 200),
    "a charset": token(f"{GRANT}&{POST}", 200, headers={"Content-Type": f"{FORM}; charset=UTF-8"}),
    "the type in another case": token(f"{GRANT}&{POST}", 200, headers={"Content-Type": FORM.upper()}),
    "the service as scope": token(f"{GRANT}&{POST}&scope=certificates", 200),
    "the service as scope twice": token(f"{GRANT}&{POST}&scope=certificates+certificates", 200),
    "credentials in the address count for nothing (2.3.1)": Case(
        "/oauth/token?client_id={key}&client_secret={secret}",
        GRANT,
        401,
        "invalid_client",
        WRONG,
        challenge=BASIC,
    ),
    "a grant in the address counts for nothing": Case(f"/oauth/token?{GRANT}", POST, 400, "invalid_request", NO_GRANT),
    # 5.2: invalid_request
    "nothing": token("", 400, "invalid_request", NO_GRANT),
    "no grant": token(POST, 400, "invalid_request", NO_GRANT),
    "a grant without a value": token(f"grant_type=&{POST}", 400, "invalid_request", NO_GRANT),
    "a grant twice": token(f"{GRANT}&{GRANT}&{POST}", 400, "invalid_request", TWICE),
    "a scope twice": token(f"{GRANT}&{POST}&scope=certificates&scope=certificates", 400, "invalid_request", TWICE),
    "a scope twice, once without a value": token(f"{GRANT}&{POST}&scope=&scope=x", 400, "invalid_request", TWICE),
    "a name twice, once percent-encoded": token(f"{GRANT}&grant%5ftype=x&{POST}", 400, "invalid_request", TWICE),
    "an unknown parameter twice": token(f"{GRANT}&{POST}&x=1&x=2", 400, "invalid_request", TWICE),
    "the client twice": token(f"{GRANT}&{POST}&client_id={{key}}", 400, "invalid_request", TWICE),
    "credentials in two ways (2.3)": token(f"{GRANT}&{POST}", 400, "invalid_request", TWO_WAYS, auth="Basic {pair}"),
    "a secret in the body beside the header": token(
        f"{GRANT}&client_secret={{secret}}", 400, "invalid_request", TWO_WAYS, auth="Basic {pair}"
    ),
    "too many parameters": token(
        "&".join(f"p{number}=x" for number in range(21)), 400, "invalid_request", "There are too many parameters."
    ),
    "JSON": token(
        '{{"grant_type": "client_credentials"}}',
        415,
        "invalid_request",
        NO_FORM,
        headers={"Content-Type": "application/json"},
    ),
    "no type": token(f"{GRANT}&{POST}", 415, "invalid_request", NO_FORM, headers={"Content-Type": ""}),
    "a form in parts": token("", 415, "invalid_request", NO_FORM, headers={"Content-Type": "multipart/form-data"}),
    "a body too large": token(f"{GRANT}&x={'x' * 16384}", 413, "invalid_request", "The body is too large."),
    # 5.2: unsupported_grant_type
    **{
        f"the grant {grant}": token(f"grant_type={quote_plus(grant)}&{POST}", 400, "unsupported_grant_type", NO_GRANT)
        for grant in (
            "password",
            "authorization_code",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "CLIENT_CREDENTIALS",
            "client_credentials ",
        )
    },
    # 5.2: invalid_scope
    **{
        f"the scope {scope!r}": token(f"{GRANT}&{POST}&scope={quote(scope)}", 400, "invalid_scope", NOT_FOR)
        for scope in ("timestamps", "certificates timestamps", "CERTIFICATES", '"', "\t", "certificates\n", "\x00")
    },
    # 5.2: invalid_client
    "no credentials": invalid_client(GRANT),
    "a key alone": invalid_client(f"{GRANT}&client_id={{key}}"),
    "a secret alone": invalid_client(f"{GRANT}&client_secret={{secret}}"),
    "another's secret": invalid_client(f"{GRANT}&client_id={{key}}&client_secret={{other_secret}}"),
    "another's secret in the header": invalid_client(GRANT, auth="Basic {wrong_pair}"),
    "an empty header": invalid_client(GRANT, auth="Basic"),
    "a header that is not base64": invalid_client(GRANT, auth="Basic ***"),
    "a header without a colon": invalid_client(GRANT, auth="Basic c2VhbGtleQ=="),
    "a header that is not UTF-8": invalid_client(GRANT, auth="Basic //86/w=="),
    "a header of a scheme that there is not": invalid_client(GRANT, auth='Digest username="x"'),
    "a gateway's token": invalid_client(GRANT, auth="Bearer {gateway}"),
    "a zero byte": invalid_client(f"{GRANT}&client_id=%00&client_secret=%00"),
    "half a character": invalid_client(f"{GRANT}&client_id=%ff&client_secret=%c3"),
    # ------------------------------------------------ RFC 7009: the revocation endpoint
    "a token of the client's is revoked": revoke(f"token={{token}}&{POST}", 200),
    "so it is with the header": revoke("token={token}", 200, auth="Basic {pair}"),
    "a text that is no token (2.2)": revoke(f"token=whatever&{POST}", 200),
    "a zero byte is no token": revoke(f"token=%00&{POST}", 200),
    "a token of another's": revoke(f"token={{other_token}}&{POST}", 200),
    "a hint": revoke(f"token={{token}}&token_type_hint=access_token&{POST}", 200),
    "a hint at what there is not (2.1)": revoke(f"token={{token}}&token_type_hint=refresh_token&{POST}", 200),
    "a hint that nobody knows (2.2.1)": revoke(f"token={{token}}&token_type_hint=x&{POST}", 200),
    "no token to revoke": revoke(POST, 400, "invalid_request", MISSING.format("token")),
    "an empty token to revoke": revoke(f"token=&{POST}", 400, "invalid_request", MISSING.format("token")),
    "a token twice": revoke(f"token=a&token=a&{POST}", 400, "invalid_request", TWICE),
    "a revocation by nobody": revoke("token={token}", 401, "invalid_client", WRONG, challenge=BASIC),
    "a revocation with a wrong secret": revoke(
        "token={token}", 401, "invalid_client", WRONG, auth="Basic {wrong_pair}", challenge=BASIC
    ),
    "a revocation by a gateway": revoke(
        "token={token}", 401, "invalid_client", WRONG, auth="Bearer {gateway}", challenge=BASIC
    ),
    "a revocation in two ways": revoke(
        f"token={{token}}&{POST}", 400, "invalid_request", TWO_WAYS, auth="Basic {pair}"
    ),
    "a revocation as JSON": revoke(
        "{{}}", 415, "invalid_request", NO_FORM, headers={"Content-Type": "application/json"}
    ),
    # ------------------------------------------------ RFC 7662: the introspection endpoint
    "no token to ask about": ask("", 400, "invalid_request", MISSING.format("token")),
    "an empty token to ask about": ask("token=", 400, "invalid_request", MISSING.format("token")),
    "a token to ask about twice": ask("token=a&token=a", 400, "invalid_request", TWICE),
    "a question by nobody": ask(
        "token={token}", 401, "invalid_token", NO_GATEWAY, auth=None, challenge='Bearer realm="Sealkey"'
    ),
    **{
        f"a question by {who}": ask(
            "token={token}",
            401,
            "invalid_token",
            NO_GATEWAY,
            auth=auth,
            challenge='Bearer realm="Sealkey", error="invalid_token"',
        )
        for who, auth in {
            "who has made a token up": "Bearer sealkey_gateway_x",
            "the token itself": "Bearer {token}",
            "a member": "Bearer {member}",
        }.items()
    },
    "a question by a client": ask(
        "token={token}", 401, "invalid_token", NO_GATEWAY, auth="Basic {pair}", challenge='Bearer realm="Sealkey"'
    ),
    "a question as JSON": ask("{{}}", 415, "invalid_request", NO_FORM, headers={"Content-Type": "application/json"}),
}
# RFC 7662, 2.2: about what is not active nothing is said but that.
INACTIVE = {
    "a text": "token=whatever",
    "three parts": "token=a.b.c",
    "a token without its signature": "token={unsigned}",
    "a token cut short": "token={token_cut}",
    "a gateway's token": "token={gateway}",
    "a secret": "token={secret}",
    "a zero byte": "token=%00",
    "a letter of elsewhere": "token=%C3%A9",
    "a long text": f"token={'x' * 8000}",
    "a text with a hint": "token=whatever&token_type_hint=access_token",
}


@dataclass(frozen=True)
class Told:
    """What the requests are made of."""

    url: str
    values: dict[str, str]

    def send(self, case: Case) -> httpx.Response:
        headers = {"Content-Type": FORM, **case.headers}
        if case.auth is not None:
            headers["Authorization"] = case.auth.format(**self.values)
        path, body = case.path.format(**self.values), case.body.format(**self.values)
        return httpx.post(f"{self.url}{path}", content=body, headers=headers)


def base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def told(play: Play) -> Told:
    one, other = play.keys("one"), play.keys("other")
    key, secret, other_secret = one["apiKey"], one["apiSecret"], other["apiSecret"]
    made = {"name": "edge", "expiresAt": play.clock.in_(days=1)}
    issued = play.nobody.do("login", "accessToken", **one)["accessToken"]
    values = {
        "key": key,
        "secret": secret,
        "other_secret": other_secret,
        "pair": base64(f"{key}:{secret}"),
        "encoded": base64(f"{quote_plus(key).replace('_', '%5F')}:{quote_plus(secret).replace('_', '%5f')}"),
        "wrong_pair": base64(f"{key}:{other_secret}"),
        "gateway": play.operator.do("createGatewayToken", "token", **made)["token"],
        "member": play.alder.tokens["member"],
        "token": issued,
        "other_token": play.nobody.do("login", "accessToken", **other)["accessToken"],
        "token_cut": issued[:-3],
        "unsigned": ".".join([base64('{"alg":"none","typ":"at+jwt"}').rstrip("="), issued.split(".")[1], ""]),
    }
    return Told(play.server.url, values)


def test_every_request_is_answered_as_the_rfcs_have_it(play: Play) -> None:
    told_ = told(play)
    wrong: dict[str, tuple[Any, Any]] = {}
    for name, case in CASES.items():
        answer = told_.send(case)
        shown = seen(answer)
        expected = (case.status, case.error, case.description, case.challenge)
        if shown != expected:
            wrong[name] = (shown, expected)
    assert wrong == {}
    assert len(CASES) >= 50


def seen(answer: httpx.Response) -> tuple[int, str, str, str | None]:
    """Status, error, description and challenge; and that everything else is as it always is."""
    challenge = answer.headers.get("www-authenticate")
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    if not answer.content:
        return answer.status_code, "", "", challenge
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    if answer.status_code == 200:
        assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
        assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 600, "certificates")
        return 200, "", "", challenge
    assert set(body) == {"error", "error_description"}
    # RFC 6749, 5.2: what the two may be written with.
    for text in body.values():
        assert all(" " <= letter <= "~" and letter not in '"\\' for letter in text)
    return answer.status_code, body["error"], body["error_description"], challenge


@pytest.fixture
def told_once(play: Play) -> Told:
    return told(play)


def test_of_what_is_not_active_nothing_else_is_said(told_once: Told) -> None:
    for name, body in INACTIVE.items():
        answer = told_once.send(ask(body))
        assert (name, answer.status_code, answer.json()) == (name, 200, {"active": False})
        assert answer.headers["cache-control"] == "no-store"


def test_of_an_active_token_all_is_said_whatever_the_hint(play: Play) -> None:
    told_ = told(play)
    claims = jwt.decode(told_.values["token"], options={"verify_signature": False})
    expected = {"active": True, "token_type": "Bearer", **claims}
    for hint in ("", "&token_type_hint=access_token", "&token_type_hint=refresh_token", "&token_type_hint=x"):
        assert told_.send(ask(f"token={{token}}{hint}")).json() == expected


def test_a_token_that_was_not_the_clients_is_active_still(told_once: Told) -> None:
    told_once.send(CASES["a token of another's"])
    assert told_once.send(ask("token={other_token}")).json()["active"] is True
    told_once.send(CASES["a token of the client's is revoked"])
    assert told_once.send(ask("token={token}")).json() == {"active": False}


METHODS = {
    "POST": ["/oauth/token", "/oauth/introspect", "/oauth/revoke", "/v2/login", "/v2/login/"],
    "GET, HEAD": ["/.well-known/oauth-authorization-server", "/.well-known/jwks.json"],
}


@pytest.mark.parametrize("allowed", METHODS)
def test_another_method_is_told_which_there_are(shared_play: Play, allowed: str) -> None:
    for path in METHODS[allowed]:
        for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - set(allowed.split(", ")):
            answer = httpx.request(method, f"{shared_play.server.url}{path}")
            assert (method, answer.status_code) == (method, 405)
            assert sorted(answer.headers["allow"].split(", ")) == allowed.split(", ")


# ---------------------------------------------------------------- RFC 8414 and 9068


@pytest.mark.parametrize("issuer", ["https://keys.example", "https://keys.example:8443/sealkey/v1"])
def test_the_metadata_have_what_is_required(theatre: Theatre, issuer: str) -> None:
    with theatre.new(issuer=issuer) as play:
        answer = httpx.get(f"{play.server.url}/.well-known/oauth-authorization-server")
    assert answer.headers["content-type"] == "application/json"
    methods = ["client_secret_basic", "client_secret_post"]
    assert answer.json() == {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/oauth/token",
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": ["Bearer"],
    }


def test_the_path_of_an_issuer_comes_after_the_well_known_one(theatre: Theatre) -> None:
    with theatre.new(issuer="https://keys.example/sealkey") as play:
        where = f"{play.server.url}/.well-known/oauth-authorization-server"
        assert httpx.get(f"{where}/sealkey").json() == httpx.get(where).json()
        for path in ("/other", "/sealkey/", "/sealkey/x", "/"):
            assert httpx.get(f"{where}{path}").status_code == 404


def test_a_token_has_what_is_required_of_it(told_once: Told) -> None:
    issued = told_once.send(CASES["the credentials in the body"]).json()["access_token"]
    assert jwt.get_unverified_header(issued) == {"alg": "ES256", "typ": "at+jwt", "kid": "token-signing-1"}
    claims = jwt.decode(issued, options={"verify_signature": False})
    assert set(claims) == {"iss", "exp", "aud", "sub", "client_id", "iat", "jti", "scope"}
    assert claims["sub"] == claims["client_id"] == told_once.values["key"]
    assert all(isinstance(claims[name], int) for name in ("exp", "iat"))


@pytest.mark.parametrize(
    ("left", "expires_in"),
    [(601_000, 600), (600_000, 600), (599_999, 600), (599_000, 599), (1_000, 1), (999, 1)],
    ids=str,
)
def test_a_token_does_not_outlive_its_credential(play: Play, left: int, expires_in: int) -> None:
    keys = play.keys(expiry={"at": play.clock.in_(days=1)})
    ends_at = (play.clock.now + timedelta(days=1)).timestamp()
    play.clock.advance(days=1, milliseconds=-left)
    form = {"grant_type": "client_credentials", "client_id": keys["apiKey"], "client_secret": keys["apiSecret"]}
    granted = httpx.post(f"{play.server.url}/oauth/token", data=form).json()
    assert granted["expires_in"] == expires_in
    claims = jwt.decode(granted["access_token"], options={"verify_signature": False, "verify_exp": False})
    assert claims["exp"] - claims["iat"] == expires_in
    assert claims["exp"] <= ends_at


def test_neither_does_one_of_a_credential_that_retires(play: Play) -> None:
    generated = play.generate()
    keys = {name: generated["delivery"][name] for name in ("apiKey", "apiSecret")}
    rotate(play, generated, graceHours=1)
    assert play.nobody.do("login", "expiresIn", **keys)["expiresIn"] == 600
    play.clock.advance(minutes=55)
    assert play.nobody.do("login", "expiresIn", **keys)["expiresIn"] == 300


# ---------------------------------------------------------------- what ends a token at once

Change = Callable[[Play, Any], None]


def rotate(play: Play, generated: Any, **fields: Any) -> None:
    wanted = {"credentialId": generated["credential"]["id"], "delivery": {"method": "VIEW_AND_COPY"}, **fields}
    play.member.do("rotateCredential", "credential { id }", **wanted)


def reassociate(play: Play, generated: Any) -> None:
    wanted = {"credentialId": generated["credential"]["id"], "serviceId": play.alder.services["timestamps"]}
    play.member.do("reassociateCredential", "credential { id }", **wanted)


def of_identity(step: str) -> Change:
    return lambda play, _: play.operator.do(step, "identity { id }", identityId=play.alder.identities["active"])


def of_service(step: str) -> Change:
    return lambda play, _: play.operator.do(step, "service { id }", serviceId=play.alder.services["certificates"])


def of_member(step: str) -> Change:
    return lambda play, _: play.administrator.do(step, "user { id }", userId=play.alder.users["member"])


def of_account(step: str) -> Change:
    return lambda play, _: play.operator.do(step, "account { id }", accountId=play.alder.id)


def revoke_credential(play: Play, generated: Any) -> None:
    play.member.do("revokeCredential", "credential { id }", credentialId=generated["credential"]["id"])


ENDS: dict[str, Change] = {
    "revoked": revoke_credential,
    "moved to another service": reassociate,
    "rotated without grace": lambda play, generated: rotate(play, generated, graceHours=0),
    "owner deactivated": of_member("deactivateUser"),
    "access removed": of_member("removeApiAccess"),
    "account suspended": of_account("suspendAccount"),
    "identity suspended": of_identity("suspendIdentity"),
    "service suspended": of_service("suspendService"),
    "service cancelled": of_service("cancelService"),
}
LIFTED_BY: dict[str, Change] = {
    "owner deactivated": of_member("reactivateUser"),
    "access removed": of_member("grantApiAccess"),
    "account suspended": of_account("reinstateAccount"),
    "identity suspended": of_identity("reinstateIdentity"),
    "service suspended": of_service("resumeService"),
}


@pytest.mark.parametrize("why", ENDS)
def test_a_token_is_inactive_from_the_moment_its_credential_is_not_to_be_used(play: Play, why: str) -> None:
    generated = play.generate()
    keys = {name: generated["delivery"][name] for name in ("apiKey", "apiSecret")}
    issued = play.nobody.do("login", "accessToken", **keys)["accessToken"]
    made = {"name": "edge", "expiresAt": play.clock.in_(days=1)}
    told_ = Told(play.server.url, {"gateway": play.operator.do("createGatewayToken", "token", **made)["token"]})
    question = ask(f"token={issued}")
    assert told_.send(question).json()["active"] is True
    ENDS[why](play, generated)
    assert told_.send(question).json() == {"active": False}
    if why in LIFTED_BY:
        LIFTED_BY[why](play, generated)
        assert told_.send(question).json()["active"] is True


@pytest.mark.parametrize("what", ["credential", "service", "identity"])
def test_a_token_ends_by_the_clock_alone_with_what_it_is_for(play: Play, what: str) -> None:
    ends = play.clock.in_(minutes=5)
    keys = play.keys(expiry={"at": ends} if what == "credential" else {"months": 1})
    issued = play.nobody.do("login", "accessToken", **keys)["accessToken"]
    if what == "service":
        service = play.alder.services["certificates"]
        play.operator.do("renewService", "service { id }", serviceId=service, expiresAt=ends)
    if what == "identity":
        identity = play.alder.identities["active"]
        play.rows.set("identities", identity, f"valid_until = '{datetime.fromisoformat(ends).isoformat(' ')}'")
    made = {"name": "edge", "expiresAt": play.clock.in_(days=1)}
    told_ = Told(play.server.url, {"gateway": play.operator.do("createGatewayToken", "token", **made)["token"]})
    play.clock.advance(minutes=4, seconds=59, milliseconds=999)
    assert told_.send(ask(f"token={issued}")).json()["active"] is True
    play.clock.advance(milliseconds=1)
    assert told_.send(ask(f"token={issued}")).json() == {"active": False}
