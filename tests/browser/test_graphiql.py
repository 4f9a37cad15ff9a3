"""GraphiQL in a real Chromium, on a running server: it does the main job and leaves no trace of a secret."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Response, expect, sync_playwright

from tests.support.world import PASSWORD, Play

ROOT = Path(__file__).parents[2]
BUILT_PAGE = ROOT / "graphiql/dist/index.html"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.skipif(not BUILT_PAGE.is_file(), reason="GraphiQL is not built: run make graphiql"),
]

FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Chromium's sandbox cannot be set up by root, who runs the tests in many containers.
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]

# As from the clipboard: to what is typed, the editor adds closing quotes and brackets of its own.
PASTE = """(text) => {
  const clipboardData = new DataTransfer();
  clipboardData.setData("text/plain", text);
  document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
}"""


class LiveServer(Protocol):
    """A running server with a member who may generate credentials."""

    url: str
    member_email: str
    member_password: str


@dataclass
class Witness:
    """What the browser was seen to do: every address it asked for, and every complaint it made."""

    addresses: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self, browser: BrowserContext) -> None:
        browser.on("request", lambda request: self.addresses.append(request.url))
        browser.on("console", self.hear)
        browser.on("weberror", lambda failure: self.complaints.append(str(failure.error)))

    def hear(self, message: ConsoleMessage) -> None:
        # Breaches of the Content-Security-Policy, a worker's too, are reported as errors.
        if message.type == "error":
            self.complaints.append(message.text)


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
def browser(tmp_path: Path, witness: Witness) -> Iterator[BrowserContext]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            tmp_path / "profile", executable_path=CHROMIUM, args=FLAGS, accept_downloads=True
        )
        witness.watch(browser)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: BrowserContext, live_server: LiveServer) -> Page:
    page = browser.pages[0]
    page.goto(f"{live_server.url}/graphiql")
    expect(page.get_by_role("tab", name="SignIn")).to_be_visible()
    return page


def sign_in(page: Page, email: str, password: str) -> None:
    form = page.get_by_role("form", name="Sign in")
    form.get_by_label("Email").fill(email)
    form.get_by_label("Password").fill(password)
    form.get_by_role("button", name="Sign in").click()


def run(page: Page, operation: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
    """Runs the example of that name, with these variables in place of its own, and returns its data."""
    page.get_by_role("tablist").get_by_text(operation, exact=True).click()
    # GraphiQL reads the operation's name from the editor a tenth of a second after the tab has changed.
    page.wait_for_timeout(500)
    if variables is not None:
        page.get_by_role("region", name="Variables").locator(".monaco-editor").click()
        page.keyboard.press("ControlOrMeta+A")
        page.evaluate(PASTE, json.dumps(variables))

    def answers(response: Response) -> bool:
        request = response.request
        return request.method == "POST" and f'"operationName":"{operation}"' in (request.post_data or "")

    with page.expect_response(answers) as response:
        page.get_by_role("button", name="Execute query").click()
    answer: dict[str, Any] = response.value.json()
    assert "errors" not in answer
    data: dict[str, Any] = answer["data"]
    return data


def shown(page: Page) -> str:
    """The text of the response pane, without the places where its lines happen to be broken."""
    return re.sub(r"\s", "", page.locator(".result-window .view-lines").inner_text())


def token_of(page: Page) -> str:
    return page.get_by_label("Session token").input_value()


def generate(page: Page, name: str) -> dict[str, Any]:
    """Chooses a service and an identity, and returns generateCredential's payload."""
    services = run(page, "ChooseServiceAndIdentity")["services"]["nodes"]
    service, identity = next(
        (service, identity)
        for service in services
        for identity in service["identities"]["nodes"]
        if identity["status"] == "ACTIVE"
    )
    choice = {"name": name, "serviceId": service["id"], "identityId": identity["id"]}
    payload: dict[str, Any] = run(page, "GenerateViewAndCopy", choice)["generateCredential"]
    assert payload["userErrors"] == []
    return payload


def test_a_member_generates_a_credential_and_sees_its_secret_once(page: Page, live_server: LiveServer) -> None:
    sign_in(page, live_server.member_email, live_server.member_password)
    expect(page.get_by_text(f"Signed in as {live_server.member_email} (MEMBER)")).to_be_visible()
    payload = generate(page, "from_graphiql")
    key, secret = payload["delivery"]["apiKey"], payload["delivery"]["apiSecret"]

    expect(page.get_by_role("button", name="Download from_graphiql.csv")).to_be_visible()
    assert shown(page).count(secret) == 1
    with page.expect_download() as download:
        page.get_by_role("button", name="Download from_graphiql.csv").click()
    assert download.value.suggested_filename == "from_graphiql.csv"
    assert f"{key},{secret}" in download.value.path().read_text()

    revoked = run(page, "Revoke", {"credentialId": payload["credential"]["id"]})["revokeCredential"]
    assert revoked["credential"]["status"] == "REVOKED"
    assert secret not in shown(page)


def test_the_page_asks_only_its_own_server_and_breaks_no_policy(
    page: Page, witness: Witness, live_server: LiveServer
) -> None:
    sign_in(page, live_server.member_email, live_server.member_password)
    expect(page.get_by_text("Signed in as")).to_be_visible()
    run(page, "Viewer", {"a mistake": "that the editor underlines"})
    page.get_by_role("button", name="Show Documentation Explorer").click()
    # Nothing but a wait would show a request that comes late, from a worker for instance.
    page.wait_for_timeout(1500)

    elsewhere = [url for url in witness.addresses if urlsplit(url)[:2] != urlsplit(live_server.url)[:2]]
    assert elsewhere == []
    assert any("worker" in url for url in witness.addresses), "workers are watched as well"
    assert witness.complaints == []


def test_no_secret_stays_in_the_browser_or_reaches_an_address(
    page: Page, browser: BrowserContext, witness: Witness, live_server: LiveServer
) -> None:
    by_hand = {"email": live_server.member_email, "password": live_server.member_password}
    run(page, "SignIn", by_hand)
    expect(page.get_by_text(f"Signed in as {live_server.member_email} (MEMBER)")).to_be_visible()
    delivery = generate(page, "without_a_trace")["delivery"]
    # GraphiQL would write its tabs half a second after the last change.
    page.wait_for_timeout(1000)

    secrets = [live_server.member_password, token_of(page), delivery["apiSecret"]]
    assert all(secrets)
    addresses = "\n".join([page.url, *witness.addresses])
    assert [secret for secret in secrets if secret in addresses] == []
    assert page.evaluate("[{...localStorage}, {...sessionStorage}]") == [{}, {}]
    assert page.evaluate("indexedDB.databases()") == []
    assert browser.cookies() == []
    page.reload()
    expect(page.get_by_text("Not signed in")).to_be_visible()


def watch(page: Page) -> None:
    page.get_by_role("tablist").get_by_text("WatchCredentials", exact=True).click()
    page.wait_for_timeout(500)
    with page.expect_response(lambda answer: "text/event-stream" in answer.headers.get("content-type", "")):
        page.get_by_role("button", name="Execute query").click()


def test_what_is_watched_is_shown_as_it_happens_until_it_is_stopped(page: Page, play: Play) -> None:
    sign_in(page, "member@alder.example", PASSWORD)
    expect(page.get_by_text("Signed in as")).to_be_visible()
    watch(page)
    credential = play.generate("watched")["credential"]
    result = page.locator(".result-window .view-lines")
    expect(result).to_contain_text("credential.generated")
    play.member.do("revokeCredential", "credential { id }", credentialId=credential["id"])
    expect(result).to_contain_text("credential.revoked")
    page.get_by_role("button", name="Stop query").click()
    expect(page.get_by_role("button", name="Execute query")).to_be_visible()


def test_what_is_watched_ends_with_the_session_and_the_page_says_so(page: Page, play: Play) -> None:
    sign_in(page, "member@alder.example", PASSWORD)
    expect(page.get_by_text("Signed in as")).to_be_visible()
    watch(page)
    play.server.client(token_of(page)).data("mutation { signOut { userErrors { code } } }")
    expect(page.get_by_text("Not signed in: ")).to_be_visible()


def test_the_schema_can_be_saved(page: Page) -> None:
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the schema (SDL)").click()
    assert download.value.suggested_filename == "schema.graphql"
    assert download.value.path().read_text() == (ROOT / "schema/schema.graphql").read_text().rstrip("\n")


def test_every_type_is_documented_in_the_explorer(page: Page) -> None:
    page.get_by_role("button", name="Show Documentation Explorer").click()
    for name, expected in [("Subscription", "credentialChanged"), ("CredentialChange", "eventType")]:
        page.get_by_role("link", name=name, exact=True).first.click()
        expect(page.locator(".graphiql-doc-explorer-content")).to_contain_text(expected)


def test_signing_out_ends_the_session_on_the_server(page: Page, live_server: LiveServer) -> None:
    sign_in(page, live_server.member_email, live_server.member_password)
    expect(page.get_by_text("Signed in as")).to_be_visible()
    token = token_of(page)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("Not signed in")).to_be_visible()
    assert token_of(page) == ""

    page.get_by_label("Session token").fill(token)
    expect(page.get_by_text("Not signed in: ")).to_be_visible()


def test_a_refused_sign_in_says_why(page: Page, live_server: LiveServer) -> None:
    sign_in(page, live_server.member_email, "not the password")
    expect(page.get_by_role("banner").get_by_role("alert")).not_to_be_empty()
    expect(page.get_by_text("Not signed in")).to_be_visible()
    assert token_of(page) == ""
