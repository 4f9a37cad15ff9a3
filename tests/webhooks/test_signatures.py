"""Whoever has the secret can tell our messages from all others."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from standardwebhooks import WebhookVerificationError

from tests.support.receiver import Message
from tests.webhooks.conftest import Hooks


def flipped(text: str) -> str:
    """A signature with one bit that is not right."""
    version, signature = text.split(",")
    data = bytearray(b64decode(signature))
    data[0] ^= 1
    return f"{version},{b64encode(data).decode()}"


TAMPERED: dict[str, Callable[[Message], Message]] = {
    "body": lambda message: replace(message, body=message.body.replace(b"ci", b"cd")),
    "longer body": lambda message: replace(message, body=message.body + b" "),
    "id": lambda message: message.but(webhook_id=message.id[:-1] + ("0" if message.id[-1] != "0" else "1")),
    "timestamp": lambda message: message.but(webhook_timestamp=str(int(message.headers["webhook-timestamp"]) + 1)),
    "signature": lambda message: message.but(webhook_signature=flipped(message.headers["webhook-signature"])),
}


def test_the_public_library_takes_our_messages_and_no_altered_ones(hooks: Hooks) -> None:
    endpoint, other = hooks.subscribe(), hooks.subscribe()
    hooks.play.generate("ci")
    (message,) = [message for message in hooks.messages() if message.path == endpoint.path]
    now = hooks.play.clock.now

    assert message.verify(endpoint.secret, now)["type"] == "credential.generated"
    for tampered in (tamper(message) for tamper in TAMPERED.values()):
        assert tampered != message
        with pytest.raises(WebhookVerificationError, match="No matching signature"):
            tampered.verify(endpoint.secret, now)
    with pytest.raises(WebhookVerificationError):
        message.verify(other.secret, now)
    with pytest.raises(WebhookVerificationError, match="too old"):
        message.verify(endpoint.secret, now + timedelta(minutes=6))


def test_a_retry_has_the_same_id_and_body_and_a_signature_of_its_own_time(hooks: Hooks) -> None:
    hooks.subscribe()
    hooks.receiver.answer = lambda _: 500
    hooks.play.generate("ci")
    (first,) = hooks.messages()
    hooks.play.clock.advance(minutes=10)  # By now the first signature is too old.
    (second,) = hooks.messages()

    assert (first.id, first.body) == (second.id, second.body)
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 600


def test_each_endpoint_gets_its_own_message_under_its_own_secret(hooks: Hooks) -> None:
    endpoints = [hooks.subscribe(), hooks.subscribe()]
    hooks.play.generate("ci")
    messages = hooks.messages()

    assert len({endpoint.secret for endpoint in endpoints}) == 2
    assert sorted(message.path for message in messages) == [endpoint.path for endpoint in endpoints]
    assert len({message.id for message in messages}) == 2


def test_a_message_is_json_and_says_no_more_of_its_sender_than_the_name(hooks: Hooks) -> None:
    hooks.subscribe()
    hooks.play.generate("ci")
    (message,) = hooks.messages()

    assert message.headers["content-type"] == "application/json"
    assert message.headers["user-agent"] == "Sealkey"
    assert message.headers["host"] == f"127.0.0.1:{hooks.receiver.port}"
    assert "authorization" not in message.headers
