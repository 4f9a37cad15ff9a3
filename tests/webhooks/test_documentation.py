"""docs/webhooks.md: its operation, its messages and its receiver are what they are here."""

import json
import re
from datetime import timedelta
from typing import Any

from resolvers import webhook_delivery
from resolvers.webhook_events import WebhookEventType
from resolvers.webhooks import MOST_ENDPOINTS
from server.settings import Settings
from tests.docs.examples import fits, run
from tests.docs.markdown import blocks, in_code, page, rows, section
from tests.support.receiver import at
from tests.webhooks.conftest import Hooks

PAGE = page("docs/webhooks.md")


def receive() -> Any:
    """The function that the page has for receivers."""
    (block,) = blocks(PAGE, "python")
    names: dict[str, Any] = {}
    exec(compile(block.text, "docs/webhooks.md", "exec"), names)
    return names["receive"]


def test_the_operation_the_messages_and_the_receiver_are_as_they_are_said_to_be(hooks: Hooks) -> None:
    secret = run(hooks.play, PAGE, url=hooks.receiver.url())["signingSecret"]
    service_id = hooks.play.alder.services["certificates"]
    hooks.play.operator.do("renewService", "service { id }", serviceId=service_id, expiresAt="2026-01-20T12:00:00Z")
    hooks.play.generate("ci")
    hooks.play.server.keep_house()
    messages = {message.type: message for message in hooks.receiver.take()}

    said = {json.loads(block.text)["type"]: block.text for block in blocks(section(PAGE, "## Events"), "json")}
    assert said.keys() == messages.keys()
    for type_, message in messages.items():
        assert fits(said[type_], json.loads(message.body))
        with at(hooks.play.clock.now):
            assert receive()(message.body, message.headers, secret) == json.loads(message.body)
            assert receive()(message.body + b" ", message.headers, secret) is None
        with at(hooks.play.clock.now + timedelta(minutes=6)):
            assert receive()(message.body, message.headers, secret) is None


def test_every_type_of_event_is_in_the_table() -> None:
    assert [type_.strip("`") for type_, _ in rows(PAGE, "type", "told when")] == list(WebhookEventType)


def test_pauses_limits_and_settings_are_those_of_the_code() -> None:
    retries = re.sub(r"\s+", " ", section(PAGE, "## Retries"))
    said = "5 seconds, 5 and 30 minutes, 2, 5, 10, 14, 20 and 24 hours"
    assert said in retries
    pauses = [pause.total_seconds() for pause in webhook_delivery._PAUSES]
    assert pauses == [5, 300, 1800, *(hours * 3600 for hours in (2, 5, 10, 14, 20, 24))]
    assert sum(pauses) // 86_400 == 3
    assert "Answer with any 2xx within 10 seconds" in section(PAGE, "## Receiving")
    assert webhook_delivery._TRY_SECONDS == 10
    assert timedelta(minutes=1) == webhook_delivery._LEASE
    assert "up to ten endpoints" in PAGE
    assert MOST_ENDPOINTS == 10
    named = {name.removeprefix("SEALKEY_").lower() for name in in_code(PAGE) if name.startswith("SEALKEY_")}
    assert named <= Settings.model_fields.keys()
