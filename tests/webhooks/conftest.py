"""`hooks`: a server that may send to this machine, a receiver on it, and nothing sent but when the test says so."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.plugins.play import StartPlay
from tests.support.logs import recorded_logs
from tests.support.receiver import Message, Receiver, running_receiver
from tests.support.rows import Rows
from tests.support.server import Client
from tests.support.world import PASSWORD, Play

EVERY_TYPE = [
    "CREDENTIAL_GENERATED",
    "CREDENTIAL_ROTATED",
    "CREDENTIAL_REASSOCIATED",
    "CREDENTIAL_REVOKED",
    "CREDENTIAL_BLOCKED",
    "CREDENTIAL_UNBLOCKED",
    "CREDENTIAL_EXPIRING",
    "SERVICE_ENDING",
]
ALLOWED: dict[str, Any] = {"webhook_allowed_networks": ("127.0.0.0/8",)}
_HOUR = 3600


@dataclass(frozen=True)
class Endpoint:
    """What is known of a webhook endpoint once it is made."""

    id: str
    path: str
    secret: str


class Hooks:
    """A play, a receiver, and the endpoints made there, each at a path of its own."""

    def __init__(self, play: Play, receiver: Receiver) -> None:
        self.play, self.receiver = play, receiver
        self.rows = Rows(play.server.database_url)
        self._secrets: dict[str, str] = {}

    def subscribe(self, *types: str, client: Client | None = None, **fields: Any) -> Endpoint:
        """An endpoint of the Alder account's for these types of events, or for all."""
        path = f"/{len(self._secrets)}"
        wanted = {"url": self.receiver.url(path), "eventTypes": types or EVERY_TYPE, **fields}
        made = (client or self.play.administrator).do(
            "createWebhookEndpoint", "endpoint { id } signingSecret", **wanted
        )
        self._secrets[path] = made["signingSecret"]
        return Endpoint(made["endpoint"]["id"], path, made["signingSecret"])

    def messages(self) -> list[Message]:
        """What came since the last time, now that all is sent that is due; every one rightly signed."""
        self.play.server.keep_house()
        taken = self.receiver.take()
        for message in taken:
            message.verify(self._secrets[message.path], self.play.clock.now)
        return taken

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Type and data of what came, in the order of the types; of each type, of the names."""
        return sorted(
            ((message.type, message.data) for message in self.messages()), key=lambda told: (told[0], told[1]["name"])
        )

    def types(self) -> list[str]:
        """The types of what came."""
        return [type_ for type_, _ in self.told()]

    def forget(self) -> None:
        """What was told until now is of no interest."""
        self.messages()

    def waiting(self) -> int:
        """How many messages are still to be sent."""
        return len(self.rows.execute("SELECT id FROM webhook_deliveries"))

    def sign_in(self, person: str = "administrator") -> Client:
        """Somebody of the Alder account, in a new session."""
        email = "operator@provider.example" if person == "operator" else f"{person}@alder.example"
        signed_in = self.play.nobody.do("signIn", "sessionToken", email=email, password=PASSWORD)
        return self.play.server.client(signed_in["sessionToken"])

    def audit(self, endpoint: Endpoint, *types: str) -> list[str]:
        """The summaries of what the audit log has about an endpoint."""
        query = "query ($filter: AuditEventFilter) { auditEvents(filter: $filter) { nodes { sequence summary } } }"
        filter_ = {"subjectId": endpoint.id, **({"types": types} if types else {})}
        events = self.sign_in().data(query, filter=filter_)["nodes"]
        return [event["summary"] for event in sorted(events, key=lambda event: event["sequence"])]


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers do beside the requests only what they are told to, by `keep_house`."""
    monkeypatch.setattr("server.housekeeping._SEND_EVERY", _HOUR)
    monkeypatch.setattr("server.housekeeping._TELL_OF_ENDS_EVERY", _HOUR)
    monkeypatch.setattr("server.housekeeping._CLEAN_UP_EVERY", _HOUR)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as receiver:
        yield receiver


@pytest.fixture
def hooks(by_hand: None, start_play: StartPlay, receiver: Receiver) -> Hooks:
    return Hooks(start_play(**ALLOWED), receiver)


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """What the server logs."""
    with recorded_logs() as logs:
        yield logs
