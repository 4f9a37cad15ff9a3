"""What is not taken is sent again, with growing pauses, until there is no hope left."""

from datetime import timedelta

import pytest

from models.webhook import WebhookDelivery
from resolvers import webhook_delivery
from resolvers.caller import Caller
from tests.support.receiver import Message, running_receiver
from tests.webhooks.conftest import Hooks

# Those that Standard Webhooks suggests.
PAUSES = [
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
]
A_MOMENT = timedelta(milliseconds=1)


def test_ten_tries_with_growing_pauses_and_then_it_is_given_up(hooks: Hooks) -> None:
    endpoint = hooks.subscribe()
    hooks.receiver.answer = lambda _: 500
    hooks.play.generate("ci")
    (first,) = hooks.messages()
    assert hooks.messages() == []

    for pause in PAUSES:
        hooks.play.clock.now += pause - A_MOMENT
        assert hooks.messages() == [], f"before {pause} were over"
        hooks.play.clock.now += A_MOMENT
        assert [message.id for message in hooks.messages()] == [first.id], f"after {pause}"

    assert hooks.waiting() == 0
    hooks.play.clock.advance(days=100)
    assert hooks.messages() == []
    summaries = hooks.audit(endpoint, "webhook.failed", "webhook.delivered")
    told = [f"credential.generated to 127.0.0.1, attempt {number}: answered 500" for number in range(1, 11)]
    assert summaries == [*told[:-1], f"{told[-1]}, given up"]


def test_what_is_taken_at_last_is_not_sent_again_and_every_try_is_in_the_audit_log(hooks: Hooks) -> None:
    endpoint = hooks.subscribe()
    answers = iter([503, 404, 200])
    hooks.receiver.answer = lambda _: next(answers)
    hooks.play.generate("ci")
    for pause in PAUSES[:2]:
        assert len(hooks.messages()) == 1
        hooks.play.clock.now += pause
    assert len(hooks.messages()) == 1
    assert hooks.waiting() == 0

    assert hooks.audit(endpoint) == [
        "The webhook endpoint 127.0.0.1 was created",
        "credential.generated to 127.0.0.1, attempt 1: answered 503",
        "credential.generated to 127.0.0.1, attempt 2: answered 404",
        "credential.generated to 127.0.0.1, attempt 3: answered 200",
    ]


def test_what_was_taken_when_the_database_was_gone_for_the_next_is_sent_all_the_same(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = hooks.subscribe()
    for name in ("one", "two"):
        hooks.play.generate(name, expiry={"months": 6})
    take, asked = webhook_delivery._take, list[WebhookDelivery]()

    async def failing(delivery: WebhookDelivery, caller: Caller) -> bool:
        asked.append(delivery)
        if len(asked) == 2:
            raise OSError("the database is away")
        return await take(delivery, caller)

    monkeypatch.setattr(webhook_delivery, "_take", failing)
    assert len(hooks.messages()) == 2
    told = ["credential.generated to 127.0.0.1, attempt 1: answered 204"] * 2
    assert hooks.audit(endpoint, "webhook.delivered") == told


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_every_status_of_success_is_taken_for_one(hooks: Hooks, status: int) -> None:
    hooks.subscribe()
    hooks.receiver.answer = lambda _: status
    hooks.play.generate("ci")
    assert len(hooks.messages()) == 1
    assert hooks.waiting() == 0


def test_a_redirection_is_not_followed_and_counts_as_a_failure(hooks: Hooks) -> None:
    hooks.subscribe()
    with running_receiver() as elsewhere:
        hooks.receiver.more_headers["Location"] = elsewhere.url("/hook")
        hooks.play.generate("ci")
        for status, pause in zip((301, 302, 303, 307, 308), PAUSES, strict=False):
            hooks.receiver.answer = lambda _, status=status: status  # type: ignore[misc]
            assert len(hooks.messages()) == 1
            assert hooks.waiting() == 1
            hooks.play.clock.now += pause
        assert elsewhere.take() == []


def test_an_endpoint_that_is_not_there_is_tried_again(hooks: Hooks) -> None:
    with running_receiver() as gone:
        url = gone.url()
    endpoint = hooks.subscribe(url=url)
    hooks.play.generate("ci")
    hooks.play.server.keep_house()

    assert hooks.waiting() == 1
    failed = "credential.generated to 127.0.0.1, attempt 1: ConnectError"
    assert hooks.audit(endpoint, "webhook.failed") == [failed]


def test_what_failed_for_a_reason_nobody_thought_of_is_given_up_at_last_too(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr("resolvers.webhook_delivery.sign", fail)
    hooks.subscribe()
    hooks.play.generate("ci")
    for pause in [*PAUSES, timedelta(0)]:
        assert hooks.messages() == []
        assert hooks.waiting() == (0 if pause == timedelta(0) else 1)
        hooks.play.clock.now += pause


def test_a_removed_endpoint_is_sent_nothing_more_though_messages_were_waiting(hooks: Hooks) -> None:
    removed, kept = hooks.subscribe(), hooks.subscribe()
    hooks.receiver.answer = lambda _: 500
    hooks.play.generate("ci")
    assert len(hooks.messages()) == 2
    hooks.play.administrator.do("removeWebhookEndpoint", "", endpointId=removed.id)
    assert hooks.waiting() == 1
    hooks.play.generate("more")
    hooks.play.clock.advance(seconds=5)

    assert {message.path for message in hooks.messages()} == {kept.path}


def test_a_message_written_in_the_moment_of_the_removal_is_not_sent(hooks: Hooks) -> None:
    endpoint = hooks.subscribe()
    hooks.play.generate("ci")
    # As another transaction's removal leaves it, that did not see the message yet.
    hooks.rows.set("webhook_endpoints", endpoint.id, "removed_at = created_at")

    assert hooks.messages() == []
    assert hooks.waiting() == 0


def test_more_messages_than_are_sent_at_once_are_all_sent(hooks: Hooks) -> None:
    hooks.subscribe()
    credential_id = hooks.play.generate("ci")["credential"]["id"]
    services = hooks.play.alder.services
    for number in range(24):
        to = services["certificates" if number % 2 else "timestamps"]
        hooks.play.member.do("reassociateCredential", "credential { id }", credentialId=credential_id, serviceId=to)
    messages = hooks.messages()

    assert len(messages) == len({message.id for message in messages}) == 25


def test_an_answer_of_any_size_is_not_read(hooks: Hooks) -> None:
    hooks.subscribe()
    hooks.receiver.more_headers["X-Padding"] = "x" * 50_000

    def answer(_: Message) -> int:
        return 200

    hooks.receiver.answer = answer
    hooks.play.generate("ci")
    assert len(hooks.messages()) == 1
    assert hooks.waiting() == 0
