"""Sessions of browsers: a cookie that no script can read, and that counts only for pages of this server."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.plugins.play import StartPlay
from tests.support.used import USED
from tests.support.world import PASSWORD, Play

pytestmark = pytest.mark.usefixtures("quick_passwords")

MEMBER = "member@alder.example"
PUBLIC = "sealkey.example"
VIEWER = "{ viewer { user { email } } }"
SIGN_IN = "mutation ($input: SignInInput!) { signIn(input: $input) { sessionToken expiresAt viewer { role } } }"
CSRF = {"X-Sealkey-CSRF": "1"}


class Browser:
    """Keeps cookies as RFC 6265 would have it, whatever the host is called that it believes to speak with."""

    def __init__(self, play: Play, host: str) -> None:
        self.http = httpx.Client(base_url=play.server.url, verify=False, headers={"Host": host})
        self.cookies: dict[str, str] = {}

    def send(self, document: str, input_: Any = None, headers: dict[str, str] | None = None) -> httpx.Response:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {**(headers or {}), **({"Cookie": cookie} if cookie else {})}
        self.http.cookies.clear()
        variables = {"input": input_}
        response = self.http.post("/graphql", json={"query": document, "variables": variables}, headers=sent)
        if response.is_success:
            USED.record(document, variables, response.json().get("data"))
        for line in response.headers.get_list("set-cookie"):
            name, value = line.partition(";")[0].split("=", 1)
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return response

    def sign_in(self, password: str = PASSWORD) -> httpx.Response:
        return self.send(SIGN_IN, {"email": MEMBER, "password": password, "cookie": True})

    def sees(self, headers: dict[str, str] | None = None) -> str | None:
        """The address of whom the server takes this browser's user for."""
        answer = self.send(VIEWER, headers=headers).json()
        if "errors" in answer:
            assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
            return None
        email: str = answer["data"]["viewer"]["user"]["email"]
        return email


@pytest.fixture
def browser(play: Play) -> Iterator[Browser]:
    browser = Browser(play, PUBLIC)
    with browser.http:
        yield browser


@pytest.fixture
def browser_here(play: Play) -> Iterator[Browser]:
    browser = Browser(play, "localhost:8000")
    with browser.http:
        yield browser


def attributes(response: httpx.Response) -> tuple[str, set[str]]:
    """The name of the only cookie, and its attributes."""
    (line,) = response.headers.get_list("set-cookie")
    pair, *others = line.split("; ")
    return pair.partition("=")[0], set(others)


def test_the_cookie_is_for_this_host_alone_and_for_no_script(browser: Browser) -> None:
    name, others = attributes(browser.sign_in())
    assert name == "__Host-sealkey_session"
    assert others == {"Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict", "Secure"}


def test_on_this_machine_it_works_without_tls(browser_here: Browser) -> None:
    name, others = attributes(browser_here.sign_in())
    assert name == "sealkey_session"
    assert others == {"Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict"}
    assert browser_here.sees(CSRF) == MEMBER


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000"])
def test_a_proxy_that_calls_the_server_by_a_local_name_does_not_make_the_cookie_less_secure(
    start_play: StartPlay, host: str
) -> None:
    browser = Browser(start_play(issuer="https://sealkey.example"), host)
    with browser.http:
        name, others = attributes(browser.sign_in())
        assert name == "__Host-sealkey_session"
        assert "Secure" in others
        assert browser.sees(CSRF) == MEMBER


def test_the_token_is_in_the_cookie_and_not_in_the_answer(browser: Browser) -> None:
    response = browser.sign_in()
    (token,) = browser.cookies.values()
    assert re.fullmatch(r"sealkey_session_[\w-]{43}", token)
    assert token not in response.text
    assert response.json()["data"]["signIn"] == {
        "sessionToken": None,
        "expiresAt": "2026-01-16T00:00:00Z",
        "viewer": {"role": "MEMBER"},
    }
    assert response.headers["Cache-Control"] == "no-store"


def test_who_accepts_an_invitation_in_a_browser_is_signed_in_by_a_cookie_too(play: Play, browser: Browser) -> None:
    new = {"email": "new@alder.example", "displayName": "New", "role": "AUDITOR"}
    made = play.administrator.do("createUser", "invitationToken", **new)
    accept = """mutation ($input: AcceptInvitationInput!) {
        acceptInvitation(input: $input) { sessionToken expiresAt viewer { role } }
    }"""
    response = browser.send(accept, {"invitationToken": made["invitationToken"], "password": PASSWORD, "cookie": True})
    assert attributes(response)[0] == "__Host-sealkey_session"
    assert response.json()["data"]["acceptInvitation"] == {
        "sessionToken": None,
        "expiresAt": "2026-01-16T00:00:00Z",
        "viewer": {"role": "AUDITOR"},
    }
    assert browser.sees(CSRF) == "new@alder.example"


def test_without_being_asked_for_there_is_no_cookie(browser: Browser) -> None:
    response = browser.send(SIGN_IN, {"email": MEMBER, "password": PASSWORD})
    assert "set-cookie" not in response.headers
    assert response.json()["data"]["signIn"]["sessionToken"]


def test_a_wrong_password_sets_none(browser: Browser) -> None:
    assert "set-cookie" not in browser.sign_in("wrong").headers


def test_the_cookie_counts_beside_the_header_alone(browser: Browser) -> None:
    browser.sign_in()
    assert browser.sees(CSRF) == MEMBER
    assert browser.sees() is None
    assert browser.sees({"X-Sealkey-CSRF": ""}) == MEMBER


def test_who_is_nobody_is_told_why(browser: Browser) -> None:
    def told(headers: dict[str, str] | None = None) -> str:
        message: str = browser.send(VIEWER, headers=headers).json()["errors"][0]["message"]
        return message

    ended = "The token that you sent has ended, or is none of ours: sign in again."
    assert told() == "Sign in first: send the session token as Authorization: Bearer <token>."
    assert told({"Authorization": "Bearer sealkey_session_none"}) == ended
    browser.sign_in()
    assert told() == "The session cookie counts only beside the header X-Sealkey-CSRF, which is missing."
    kept = dict(browser.cookies)
    browser.send("mutation { signOut { userErrors { code } } }", headers=CSRF)
    browser.cookies = kept
    assert told(CSRF) == ended


def test_the_cookie_counts_from_pages_of_this_server(browser: Browser) -> None:
    browser.sign_in()
    assert browser.sees({**CSRF, "Sec-Fetch-Site": "same-origin"}) == MEMBER
    assert browser.sees({**CSRF, "Sec-Fetch-Site": "none"}) == MEMBER


def test_the_cookie_does_not_count_from_pages_of_others_whatever_they_send(browser: Browser) -> None:
    browser.sign_in()
    for site in ("cross-site", "same-site", "", "something new"):
        assert browser.sees({**CSRF, "Sec-Fetch-Site": site}) is None


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_what_a_form_of_another_page_can_send_signs_nobody_in(browser: Browser, content_type: str) -> None:
    body = json.dumps(
        {"query": SIGN_IN, "variables": {"input": {"email": MEMBER, "password": PASSWORD, "cookie": True}}}
    )
    response = browser.http.post("/graphql", content=body, headers={"Content-Type": content_type})
    assert response.status_code == 415
    assert "set-cookie" not in response.headers


def test_no_other_origin_is_allowed_to_ask(browser: Browser) -> None:
    preflight = {"Origin": "https://attacker.example", "Access-Control-Request-Method": "POST"}
    response = browser.http.options(
        "/graphql", headers={**preflight, "Access-Control-Request-Headers": "x-sealkey-csrf"}
    )
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("mutation", ["signOut", "signOutEverywhere"])
def test_signing_out_ends_the_session_and_clears_the_cookie(browser: Browser, mutation: str) -> None:
    browser.sign_in()
    kept = dict(browser.cookies)
    response = browser.send(f"mutation {{ {mutation} {{ userErrors {{ code }} }} }}", headers=CSRF)
    name, others = attributes(response)
    assert name == "__Host-sealkey_session"
    assert others == {"Path=/", "Max-Age=0", "HttpOnly", "SameSite=Strict", "Secure"}
    assert browser.cookies == {}
    browser.cookies = kept
    assert browser.sees(CSRF) is None


def test_a_new_password_clears_the_cookie_too(browser: Browser) -> None:
    browser.sign_in()
    change = "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { userErrors { code } } }"
    browser.send(change, {"currentPassword": PASSWORD, "newPassword": "a long enough one"}, CSRF)
    assert browser.cookies == {}


def test_signing_out_without_the_header_does_nothing(browser: Browser) -> None:
    browser.sign_in()
    response = browser.send("mutation { signOut { userErrors { code } } }")
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert browser.sees(CSRF) == MEMBER


def test_a_bearer_token_counts_before_the_cookie_even_one_that_is_not_good(browser: Browser, play: Play) -> None:
    browser.sign_in()
    assert browser.sees({**CSRF, "Authorization": f"Bearer {play.auditor.token}"}) == "auditor@alder.example"
    assert browser.sees({**CSRF, "Authorization": "Bearer no longer good"}) is None


def test_the_name_for_this_machine_does_not_count_elsewhere(browser: Browser, browser_here: Browser) -> None:
    # Without the prefix a neighbouring host could have set it.
    browser_here.sign_in()
    browser.cookies = dict(browser_here.cookies)
    assert browser.sees(CSRF) is None
