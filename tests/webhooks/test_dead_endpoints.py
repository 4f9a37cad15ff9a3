"""An endpoint that is dead is found to be, and nothing more is sent there; one that is tired is left alone."""

from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tests.webhooks.conftest import Endpoint, Hooks
from tests.webhooks.test_retries import A_MOMENT, PAUSES

LISTED = "{ webhookEndpoints { nodes { id lastDeliveredAt disabledAt } } }"


def listed(hooks: Hooks) -> dict[str, dict[str, Any]]:
    """When each endpoint last took a message, and was disabled."""
    return {node.pop("id"): node for node in hooks.sign_in().data(LISTED)["nodes"]}


def disabled(hooks: Hooks, endpoint: Endpoint) -> list[str]:
    return hooks.audit(endpoint, "webhook.disabled")


def test_an_endpoint_that_is_gone_is_sent_nothing_more(hooks: Hooks) -> None:
    gone, there = hooks.subscribe(), hooks.subscribe()
    hooks.receiver.answer = lambda message: 500 if message.path == gone.path else 204
    hooks.play.generate("ci")
    hooks.forget()
    assert hooks.waiting() == 1
    hooks.receiver.answer = lambda message: 410 if message.path == gone.path else 204
    hooks.play.generate("more")

    assert {message.path for message in hooks.messages()} == {gone.path, there.path}
    assert hooks.waiting() == 0, "what was to be sent again is dropped too"
    assert listed(hooks) == {
        gone.id: {"lastDeliveredAt": None, "disabledAt": "2026-01-15T12:00:00Z"},
        there.id: {"lastDeliveredAt": "2026-01-15T12:00:00Z", "disabledAt": None},
    }
    assert disabled(hooks, gone) == ["The webhook endpoint 127.0.0.1 was disabled: it is gone"]
    failed = hooks.audit(gone, "webhook.failed")
    assert failed[-1] == "credential.generated to 127.0.0.1, attempt 1: answered 410, given up"

    hooks.receiver.answer = lambda _: 204
    hooks.play.clock.advance(days=1)
    hooks.sign_in("operator").do("suspendAccount", "account { id }", accountId=hooks.play.alder.id)
    assert {message.path for message in hooks.messages()} == {there.path}


def fail_to_the_end(hooks: Hooks) -> None:
    """Until the message that is waiting is given up."""
    for pause in PAUSES:
        hooks.forget()
        hooks.play.clock.now += pause
    hooks.forget()


def test_an_endpoint_that_took_nothing_for_as_long_as_a_message_was_tried_is_disabled(hooks: Hooks) -> None:
    endpoint = hooks.subscribe()
    hooks.play.generate("taken")
    hooks.forget()
    hooks.play.clock.advance(hours=1)
    hooks.receiver.answer = lambda _: 500
    hooks.play.generate("ci")
    fail_to_the_end(hooks)

    told = "The webhook endpoint 127.0.0.1 was disabled: it took nothing since 2026-01-15T13:00:00Z"
    assert disabled(hooks, endpoint) == [told]
    assert listed(hooks)[endpoint.id]["lastDeliveredAt"] == "2026-01-15T12:00:00Z"
    hooks.play.operator = hooks.sign_in("operator")
    hooks.play.operator.do("suspendAccount", "account { id }", accountId=hooks.play.alder.id)
    assert hooks.waiting() == 0


def test_an_endpoint_that_refuses_one_message_and_takes_others_stays(hooks: Hooks) -> None:
    endpoint = hooks.subscribe()
    hooks.receiver.answer = lambda message: 500 if message.data["name"] == "poison" else 204
    hooks.play.generate("poison")
    hooks.forget()
    hooks.play.clock.advance(seconds=1)
    hooks.play.generate("ci")
    fail_to_the_end(hooks)

    assert hooks.waiting() == 0
    assert disabled(hooks, endpoint) == []
    assert listed(hooks)[endpoint.id] == {"lastDeliveredAt": "2026-01-15T12:00:01Z", "disabledAt": None}


def test_a_disabled_endpoint_can_be_removed_and_takes_one_of_the_ten_places_until_then(hooks: Hooks) -> None:
    endpoint = hooks.subscribe()
    for _ in range(9):
        hooks.subscribe()
    hooks.receiver.answer = lambda message: 410 if message.path == endpoint.path else 204
    hooks.play.generate("ci")
    hooks.forget()
    fields = {"url": "https://hooks.example/", "eventTypes": ["CREDENTIAL_REVOKED"]}
    refused = hooks.play.administrator.refusals("createWebhookEndpoint", "signingSecret", **fields)
    assert refused == [("LIMIT_REACHED", None)]
    hooks.play.administrator.do("removeWebhookEndpoint", "", endpointId=endpoint.id)
    hooks.subscribe()


def test_a_message_written_in_the_moment_in_which_its_endpoint_was_disabled_is_not_sent(hooks: Hooks) -> None:
    endpoint = hooks.subscribe()
    hooks.play.generate("ci")
    hooks.rows.set("webhook_endpoints", endpoint.id, "disabled_at = created_at")

    assert hooks.messages() == []
    assert hooks.waiting() == 0


def test_of_ends_an_endpoint_that_is_disabled_is_not_told(hooks: Hooks) -> None:
    endpoint = hooks.subscribe("CREDENTIAL_EXPIRING")
    hooks.rows.set("webhook_endpoints", endpoint.id, "disabled_at = created_at")
    hooks.play.generate("ci", expiry={"at": (hooks.play.clock() + timedelta(days=5)).isoformat()})

    assert hooks.messages() == []
    assert hooks.rows.dump()["expiry_notices"] == []


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("as_date", [False, True])
def test_an_endpoint_is_left_alone_for_as_long_as_it_wants(hooks: Hooks, status: int, as_date: bool) -> None:
    hooks.subscribe()
    hooks.receiver.answer = lambda _: status
    until = hooks.play.clock() + timedelta(hours=3)
    hooks.receiver.more_headers["Retry-After"] = format_datetime(until, usegmt=True) if as_date else "10800"
    hooks.play.generate("ci")
    assert len(hooks.messages()) == 1
    hooks.receiver.answer = lambda _: 204
    hooks.play.clock.now = until - A_MOMENT
    assert hooks.messages() == []
    hooks.play.clock.now = until
    assert len(hooks.messages()) == 1


def test_all_that_waits_for_an_endpoint_waits_as_long_as_it_wants(hooks: Hooks) -> None:
    tired, other = hooks.subscribe(), hooks.subscribe()
    hooks.receiver.answer = lambda message: 503 if message.path == tired.path else 204
    hooks.play.generate("ci")
    assert len(hooks.messages()) == 2
    hooks.receiver.more_headers["Retry-After"] = "60"
    hooks.play.generate("more")
    assert len(hooks.messages()) == 2
    hooks.play.clock.advance(seconds=59)
    assert hooks.messages() == [], "the first would have been sent again after five seconds"
    hooks.play.clock.advance(seconds=1)
    assert [message.path for message in hooks.messages()] == [tired.path] * 2
    assert listed(hooks)[other.id]["disabledAt"] is None


@pytest.mark.parametrize(
    "text", ["", "soon", "-1", "1.5", "0", "Wed, 21 Oct 2015 07:28:00 GMT", "9" * 5000, "5, 5", "²"]
)
def test_a_wish_that_makes_no_sense_changes_nothing(hooks: Hooks, text: str) -> None:
    hooks.subscribe()
    hooks.receiver.answer = lambda _: 503
    hooks.receiver.more_headers["Retry-After"] = text
    hooks.play.generate("ci")
    assert len(hooks.messages()) == 1
    hooks.play.clock.now += PAUSES[0]
    assert len(hooks.messages()) == 1


def test_no_wish_lasts_longer_than_a_day(hooks: Hooks) -> None:
    hooks.subscribe()
    hooks.receiver.answer = lambda _: 503
    hooks.receiver.more_headers["Retry-After"] = "99999999999999"
    hooks.play.generate("ci")
    assert len(hooks.messages()) == 1
    hooks.play.clock.advance(hours=24)
    assert len(hooks.messages()) == 1
