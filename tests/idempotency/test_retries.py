"""A retry with the same key gets the same answer; everything else is a new request or a conflict."""

from datetime import timedelta
from typing import Any

import pytest

from tests.idempotency.asking import (
    KEY,
    OTHER_KEY,
    ROTATED,
    SHOWN,
    count,
    generate,
    generation,
    refusals,
    rotate,
    rotation,
    sealed,
    verdict,
)
from tests.support.rows import Rows
from tests.support.world import GENERATED, PASSWORD, Play

TEN_MINUTES = timedelta(minutes=10)
A_MOMENT = timedelta(milliseconds=1)
DELIVERIES = [SHOWN, sealed("CMS"), sealed("JWE")]
IDS = ["shown", "CMS", "JWE"]


def kept(play: Play) -> int:
    """How many answers are kept."""
    return len(Rows(play.server.database_url).execute("SELECT key_hash FROM idempotent_answers"))


@pytest.mark.parametrize("delivery", DELIVERIES, ids=IDS)
def test_generating_again_gives_the_same_answer_and_makes_nothing(play: Play, delivery: dict[str, str]) -> None:
    first = generate(play, delivery=delivery)
    assert generate(play, delivery=delivery) == first
    assert count(play) == 1


@pytest.mark.parametrize("delivery", DELIVERIES, ids=IDS)
def test_rotating_again_gives_the_same_answer_and_makes_nothing(play: Play, delivery: dict[str, str]) -> None:
    credential_id = play.generate("ci")["credential"]["id"]
    first = rotate(play, credential_id, delivery=delivery)
    assert rotate(play, credential_id, delivery=delivery) == first
    assert count(play) == 2


def test_the_secret_of_a_retry_works(play: Play) -> None:
    generate(play)
    again = generate(play)
    assert verdict(play, again["delivery"]) == "OK"
    rotate(play, again["credential"]["id"], graceHours=0)
    rotated = rotate(play, again["credential"]["id"], graceHours=0)
    assert verdict(play, rotated["delivery"]) == "OK"


def test_without_a_key_each_request_is_a_new_one(play: Play) -> None:
    assert generate(play, name="a", idempotencyKey=None) != generate(play, name="b", idempotencyKey=None)
    assert refusals(play, name="a", idempotencyKey=None) == [("TAKEN", ["name"])]
    assert kept(play) == 0


def test_an_answer_is_kept_for_ten_minutes_to_the_moment(play: Play) -> None:
    first = generate(play)
    play.clock.now += TEN_MINUTES - A_MOMENT
    assert generate(play) == first
    play.clock.now += A_MOMENT
    assert refusals(play) == [("TAKEN", ["name"])]
    # So the key is free for whatever is asked now.
    second = generate(play, name="other")
    assert second["credential"]["id"] != first["credential"]["id"]
    assert generate(play, name="other") == second


def test_a_retry_does_not_lengthen_the_ten_minutes(play: Play) -> None:
    generate(play)
    play.clock.advance(minutes=9)
    generate(play)
    play.clock.advance(minutes=1)
    assert refusals(play) == [("TAKEN", ["name"])]


def test_a_rotation_after_ten_minutes_is_a_new_request(play: Play) -> None:
    credential_id = play.generate("ci")["credential"]["id"]
    first = rotate(play, credential_id)
    play.clock.now += TEN_MINUTES
    wanted = rotation(credential_id)
    assert play.member.refusals("rotateCredential", ROTATED, **wanted) == [("CREDENTIAL_NOT_ACTIVE", ["credentialId"])]
    successor_id = first["credential"]["id"]
    assert rotate(play, successor_id)["predecessor"]["id"] == successor_id


def test_answers_that_are_no_longer_given_are_removed(play: Play) -> None:
    generate(play)
    play.clock.now += TEN_MINUTES - A_MOMENT
    play.server.keep_house()
    assert kept(play) == 1
    play.clock.now += A_MOMENT
    play.server.keep_house()
    assert kept(play) == 0


def other_generations(play: Play) -> dict[str, dict[str, Any]]:
    """What makes another request of a generation."""
    alder = play.alder
    return {
        "name": {"name": "other"},
        "service": {"serviceId": alder.services["timestamps"]},
        "identity": {"identityId": alder.identities["other"]},
        "delivery": {"delivery": sealed()},
        "months": {"expiry": {"months": 12}},
        "instant": {"expiry": {"at": "2026-06-01T00:00:00Z"}},
        "never": {"expiry": {"never": True}},
        "networks": {"allowedNetworks": ["192.0.2.0/24"]},
        "what is wrong in itself": {"name": "NOT A NAME"},
    }


def test_the_same_key_with_other_input_is_a_conflict_and_makes_nothing(play: Play) -> None:
    first = generate(play)
    for what, but in other_generations(play).items():
        assert refusals(play, **but) == [("CONFLICT", ["idempotencyKey"])], what
    assert generate(play) == first
    assert count(play) == 1


def test_another_public_key_or_format_is_other_input(play: Play) -> None:
    generate(play, delivery=sealed("CMS"))
    for delivery in (sealed("JWE"), {**sealed("CMS"), "publicKey": sealed()["publicKey"] + "\n"}):
        assert refusals(play, delivery=delivery) == [("CONFLICT", ["idempotencyKey"])]


def test_the_same_key_with_another_rotation_is_a_conflict(play: Play) -> None:
    credential_id, other_id = play.generate("ci")["credential"]["id"], play.generate("other")["credential"]["id"]
    first = rotate(play, credential_id)
    others: list[dict[str, Any]] = [
        {"credentialId": other_id},
        {"graceHours": 23},
        {"delivery": sealed()},
        {"expiry": {"months": 1}},
    ]
    for but in others:
        told = play.member.refusals("rotateCredential", ROTATED, **{**rotation(credential_id), **but})
        assert told == [("CONFLICT", ["idempotencyKey"])], but
    assert rotate(play, credential_id) == first


def test_another_users_same_key_is_another_key(play: Play) -> None:
    first = generate(play)
    other = play.other_member.do("generateCredential", GENERATED, **generation(play.birch))
    assert other["delivery"] != first["delivery"]
    made = play.administrator.do(
        "createUser",
        "user { id } invitationToken",
        email="second@alder.example",
        displayName="Second",
        role="MEMBER",
        apiAccess=True,
    )
    accepted = play.nobody.do(
        "acceptInvitation", "sessionToken", invitationToken=made["invitationToken"], password=PASSWORD
    )
    # Not a conflict, and not the first one's secret: the name is taken in the account.
    second = play.server.client(accepted["sessionToken"])
    assert refusals(play, second) == [("TAKEN", ["name"])]
    assert generate(play, second, name="second")["delivery"]["apiSecret"] != first["delivery"]["apiSecret"]
    assert generate(play) == first


def test_the_same_key_for_the_other_mutation_is_another_key(play: Play) -> None:
    first = generate(play)
    rotated = rotate(play, first["credential"]["id"])
    assert rotated["delivery"]["apiSecret"] != first["delivery"]["apiSecret"]


def test_a_user_gets_the_answer_in_another_session_too(play: Play) -> None:
    first = generate(play)
    signed_in = play.nobody.do("signIn", "sessionToken", email="member@alder.example", password=PASSWORD)
    assert generate(play, play.server.client(signed_in["sessionToken"])) == first


def test_who_may_not_generate_any_more_does_not_get_the_answer_either(play: Play) -> None:
    generate(play)
    play.administrator.do("removeApiAccess", "user { id }", userId=play.alder.users["member"])
    assert refusals(play) == [("API_ACCESS_REMOVED", None)]
    play.administrator.do("deactivateUser", "user { id }", userId=play.alder.users["member"])
    wanted = generation(play.alder)
    document = "mutation ($input: GenerateCredentialInput!) { generateCredential(input: $input) { credential { id } } }"
    assert play.member.error_code(document, input=wanted) == "UNAUTHENTICATED"


def test_a_retry_shows_the_credential_as_it_is_now(play: Play) -> None:
    first = generate(play)
    play.member.do("revokeCredential", "credential { id }", credentialId=first["credential"]["id"])
    again = generate(play)
    assert again["delivery"] == first["delivery"]
    assert again["credential"]["status"] == "REVOKED"


def test_a_refused_request_keeps_nothing_and_may_be_made_again(play: Play) -> None:
    other = generate(play, name="ci", idempotencyKey=OTHER_KEY)
    assert refusals(play) == [("TAKEN", ["name"])]
    assert refusals(play, name="NOT A NAME") == [("INVALID", ["name"])]
    assert refusals(play, delivery={**sealed(), "publicKey": "nonsense"}) == [
        ("INVALID_PUBLIC_KEY", ["delivery", "publicKey"])
    ]
    assert kept(play) == 1

    # The same request succeeds once nothing speaks against it.
    play.member.do("revokeCredential", "credential { id }", credentialId=other["credential"]["id"])
    first = generate(play)
    assert first["credential"]["id"] != other["credential"]["id"]
    assert generate(play) == first


def test_a_request_that_fails_at_the_very_end_keeps_nothing(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr("resolvers.generate_credential.record", fail)
        with pytest.raises(AssertionError, match="INTERNAL_SERVER_ERROR"):
            generate(play)
    assert kept(play) == 0
    generate(play)
    assert count(play) == 1


def test_keys_have_22_to_255_characters(play: Play) -> None:
    for key in ("", "a" * 21, "a" * 256):
        assert refusals(play, idempotencyKey=key) == [("INVALID", ["idempotencyKey"])]
    for name, key in (("a", "a" * 22), ("b", "é" * 255)):
        first = generate(play, name=name, idempotencyKey=key)
        assert generate(play, name=name, idempotencyKey=key) == first
    assert count(play) == 2


def test_handing_over_a_secret_again_is_in_the_audit_log_each_time(play: Play) -> None:
    first = generate(play)
    generate(play)
    generate(play)
    query = """query ($filter: AuditEventFilter) {
        auditEvents(filter: $filter) { nodes { type actor { id } summary } }
    }"""
    events = play.auditor.data(query, filter={"subjectId": first["credential"]["id"]})["nodes"]
    assert sorted(event["type"] for event in events) == [
        "credential.delivered_again",
        "credential.delivered_again",
        "credential.generated",
    ]
    assert {event["actor"]["id"] for event in events} == {play.alder.users["member"]}
    assert KEY not in str(events)
