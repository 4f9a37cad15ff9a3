"""What an account's own servers are told of while servers are killed: an endpoint of each account is there all the
time, others come and go."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from standardwebhooks import WebhookVerificationError

from tests.support.receiver import Message, Receiver
from tests.support.rows import Rows
from tests.support.server import Client
from torture.afterwards import _global
from torture.campaign import CampaignFailed
from torture.stage import Customer

TOLD_OF = ("CREDENTIAL_GENERATED", "CREDENTIAL_ROTATED", "CREDENTIAL_REASSOCIATED", "CREDENTIAL_REVOKED")
_BLOCKS = ("CREDENTIAL_BLOCKED", "CREDENTIAL_UNBLOCKED")
_REFUSED = 0.1
"""How often an endpoint does not take a message the first time."""
_SENT_WITHIN = 40  # seconds


@dataclass
class Messages:
    """What came to a receiver, and the signing secrets of its endpoints, by path, as far as somebody was told them."""

    receiver: Receiver
    random: Random
    secrets: dict[str, str] = field(default_factory=dict)
    lasting: dict[str, str] = field(default_factory=dict)
    """Ids of the endpoints that stay, by path."""
    came: dict[str, Message] = field(default_factory=dict)
    """Each message as it came last, by its path and id."""
    taken: Counter[str] = field(default_factory=Counter)
    """How often."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.receiver.answer = self._answer

    def _answer(self, message: Message) -> int:
        with self._lock:
            key = _key(message)
            is_new, self.came[key] = key not in self.came, message
            if is_new and self.random.random() < _REFUSED:
                return 503
            self.taken[key] += 1
            return 204

    def be_told(self, url: str, customers: Sequence[Customer]) -> None:
        """Makes an endpoint for each account, through a server."""
        for account, administrator in {each.account: each.administrator for each in customers}.items():
            path = f"/{account}"
            hook = {"url": self.receiver.url(path), "eventTypes": [*TOLD_OF, *_BLOCKS]}
            made = Client(url, administrator).do("createWebhookEndpoint", "endpoint { id } signingSecret", **hook)
            self.secrets[path], self.lasting[path] = made["signingSecret"], made["endpoint"]["id"]


def _key(message: Message) -> str:
    return f"{message.path} {message.id}"


def wait_until_sent(rows: Rows) -> None:
    """Raises CampaignFailed."""
    give_up_at = time.monotonic() + _SENT_WITHIN
    while waiting := rows.execute("SELECT count(*) FROM webhook_deliveries")[0][0]:
        if time.monotonic() > give_up_at:
            raise CampaignFailed(f"{waiting} messages were not sent within {_SENT_WITHIN} s")
        time.sleep(0.1)


def check_messages(rows: Rows, messages: Messages) -> int:
    """Where nothing waits to be sent: of each change of a credential that is there one message came, at least once, to
    the endpoint of its account, and of nothing else; all are signed rightly, and written down. How many there are.
    Raises CampaignFailed."""
    accounts = {_global("cred", id_): _global("acct", account) for id_, account in _credentials(rows)}
    told: Counter[tuple[str, str]] = Counter()
    for message in messages.came.values():
        _check_signature(message, messages.secrets)
        if message.path in messages.lasting:
            about = str(message.data["credentialId"])
            if message.path != f"/{accounts.get(about)}":
                raise CampaignFailed(f"{message.path} was told of {about}, which is of {accounts.get(about)}")
            told[message.type, about] += 1
    _compare(rows, told)
    _check_written_down(rows, messages)
    return told.total()


def _credentials(rows: Rows) -> list[tuple[object, object]]:
    return [(id_, account) for id_, account in rows.execute("SELECT id, account_id FROM credentials")]


def _check_signature(message: Message, secrets: dict[str, str]) -> None:
    """Of an endpoint whose secret nobody was told, nobody can say."""
    if message.path in secrets:
        sent_at = datetime.fromtimestamp(int(message.headers["webhook-timestamp"]), UTC)
        try:
            message.verify(secrets[message.path], sent_at)
        except WebhookVerificationError as error:
            raise CampaignFailed(f"a message is not signed rightly: {error}") from None


def _compare(rows: Rows, told: Counter[tuple[str, str]]) -> None:
    types = {f"credential.{name.rpartition('_')[2].lower()}" for name in TOLD_OF}
    happened = Counter(
        (type_, subject)
        for type_, subject in rows.execute("SELECT type, subject_id FROM audit_events WHERE subject_id IS NOT NULL")
        if type_ in types
    )
    sent = Counter({key: number for key, number in told.items() if key[0] in types})
    if happened != sent:
        raise CampaignFailed(f"not told of: {dict(happened - sent)}; told of, but not there: {dict(sent - happened)}")


def _check_written_down(rows: Rows, messages: Messages) -> None:
    """Once for each message that was taken, and no more often than it was."""
    written = Counter(
        subject for (subject,) in rows.execute("SELECT subject_id FROM audit_events WHERE type = 'webhook.delivered'")
    )
    for path, endpoint in messages.lasting.items():
        taken = [number for key, number in messages.taken.items() if key.startswith(f"{path} ")]
        if not len(taken) <= written[endpoint] <= sum(taken):
            raise CampaignFailed(f"{written[endpoint]} deliveries written down, {len(taken)} to {sum(taken)} taken")
