"""Ends are told of 30, 7 and 1 days before they come, once each."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from models.credential import Credential
from resolvers.webhook_events import describe
from tests.support.server import START
from tests.webhooks.conftest import Hooks

MOMENT = timedelta(milliseconds=1)


def days_told(hooks: Hooks) -> list[tuple[str, int]]:
    """What was told: of which end, how many days before."""
    return [(type_, data["days"]) for type_, data in hooks.told()]


def in_days(days: int) -> str:
    return (START + timedelta(days=days)).isoformat()


def renew(hooks: Hooks, days: int) -> None:
    service_id = hooks.play.alder.services["certificates"]
    hooks.sign_in("operator").do("renewService", "service { id }", serviceId=service_id, expiresAt=in_days(days))


def tell_each_day_before(hooks: Hooks, end: int) -> list[tuple[str, int]]:
    """What is told over the 40 days before an end and the day after, looked at a moment before each day and then."""
    told: list[tuple[str, int]] = []
    for before in (31, 30, 29, 8, 7, 6, 2, 1, 0, -1):
        instant = START + timedelta(days=end - before)
        for now in (instant - MOMENT, instant, instant):
            hooks.play.clock.now = now
            found = days_told(hooks)
            assert not found or (now == instant and before in {30, 7, 1}), f"told {now - instant} from {before} days"
            told += found
    return told


def test_the_end_of_a_credential_is_told_of_to_the_moment_and_once(hooks: Hooks) -> None:
    hooks.subscribe()
    hooks.play.generate("ci", expiry={"at": in_days(40)})
    hooks.forget()
    assert tell_each_day_before(hooks, 40) == [("credential.expiring", days) for days in (30, 7, 1)]


def test_the_end_of_a_service_is_told_of_to_the_moment_and_once_and_again_after_a_renewal(hooks: Hooks) -> None:
    hooks.subscribe("SERVICE_ENDING")
    renew(hooks, 40)
    assert tell_each_day_before(hooks, 40) == [("service.ending", days) for days in (30, 7, 1)]
    renew(hooks, 100)
    assert tell_each_day_before(hooks, 100) == [("service.ending", days) for days in (30, 7, 1)]


def test_a_notice_says_what_ends_and_when(hooks: Hooks) -> None:
    hooks.subscribe()
    renew(hooks, 20)
    credential = hooks.play.generate("ci", expiry={"at": in_days(5)})["credential"]
    told = dict(hooks.told())

    assert told["service.ending"] == {
        "serviceId": hooks.play.alder.services["certificates"],
        "name": "alder certificates",
        "code": "certificates",
        "expiresAt": "2026-02-04T12:00:00Z",
        "days": 30,
    }
    expiring = told["credential.expiring"]
    assert expiring.items() >= {"credentialId": credential["id"], "expiresAt": "2026-01-20T12:00:00Z"}.items()
    assert expiring["days"] == 7, "for the nearest of the days that have come, and for no other"


def test_what_does_not_end_by_itself_any_more_is_not_told_of(hooks: Hooks) -> None:
    hooks.subscribe("CREDENTIAL_EXPIRING", "SERVICE_ENDING")
    revoked = hooks.play.generate("revoked", expiry={"at": in_days(40)})["credential"]["id"]
    renew(hooks, 40)
    hooks.play.member.do("revokeCredential", "credential { id }", credentialId=revoked)
    service_id = hooks.play.alder.services["certificates"]
    hooks.play.operator.do("cancelService", "service { id }", serviceId=service_id)
    hooks.play.clock.advance(days=20)

    assert days_told(hooks) == []


def test_ends_are_told_to_those_who_asked_in_the_account_itself(hooks: Hooks) -> None:
    services = hooks.subscribe("SERVICE_ENDING")
    hooks.subscribe("CREDENTIAL_GENERATED")
    hooks.subscribe(client=hooks.play.other_administrator)
    renew(hooks, 20)

    assert [message.path for message in hooks.messages()] == [services.path]


def test_of_very_many_ends_some_are_told_now_and_the_rest_later(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resolvers.expiry_notices.MOST_AT_ONCE", 1)
    hooks.subscribe("CREDENTIAL_EXPIRING")
    for name in ("a", "b"):
        hooks.play.generate(name, expiry={"at": in_days(5)})
    told = [data["name"] for _ in range(3) for _, data in hooks.told()]
    assert sorted(told) == ["a", "b"]


def test_what_was_told_of_is_not_loaded_again_each_minute(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks.subscribe("CREDENTIAL_EXPIRING")
    loaded: list[str] = []

    def described(credential: Credential, now: datetime) -> dict[str, Any]:
        loaded.append(credential.name)
        return describe(credential, now)

    monkeypatch.setattr("resolvers.expiry_notices.describe", described)
    hooks.play.generate("ci", expiry={"at": in_days(5)})
    for _ in range(3):
        hooks.forget()
        hooks.play.clock.advance(minutes=1)
    assert loaded == ["ci"]


def test_what_was_told_is_forgotten_once_the_end_has_come(hooks: Hooks) -> None:
    hooks.subscribe("SERVICE_ENDING")
    renew(hooks, 20)
    assert days_told(hooks) == [("service.ending", 30)]
    assert len(hooks.rows.dump()["expiry_notices"]) == 1
    hooks.play.clock.advance(days=20)
    hooks.forget()

    assert hooks.rows.dump()["expiry_notices"] == []
