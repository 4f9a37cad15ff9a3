"""What ends at an instant is there until the second before it, and not from that instant on."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.life.scene import ROTATED, Scene, instant
from tests.plugins.play import StartPlay
from tests.support.server import FakeClock

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def around(scene: Scene, moment: datetime) -> Iterator[str]:
    """The second before an instant, and the instant itself."""
    for name, at in (("before", moment - SECOND), ("at", moment)):
        scene.at(at)
        yield name


def test_a_credential_works_until_the_second_before_its_end(scene: Scene) -> None:
    end = scene.clock() + timedelta(days=3, seconds=7)
    generated = scene.generate(expiry={"at": end.isoformat()})
    assert instant(generated["credential"]["expiresAt"]) == end
    seen = {when: (*scene.check(generated), scene.login(generated)) for when in around(scene, end)}
    assert seen == {
        "before": ("OK", "ACTIVE", "scope: certificates"),
        "at": ("EXPIRED", "EXPIRED", "CREDENTIAL_NOT_ACTIVE"),
    }


def test_a_rotated_credential_works_until_the_second_before_its_grace_ends(scene: Scene) -> None:
    old = scene.generate()
    end = scene.clock() + 2 * HOUR
    new = scene.rotate(old, graceHours=2)
    assert instant(new["predecessor"]["expiresAt"]) == end
    seen = {when: (*scene.check(old), scene.login(old), scene.check(new)) for when in around(scene, end)}
    assert seen == {
        "before": ("OK", "RETIRING", "scope: certificates", ("OK", "ACTIVE")),
        "at": ("EXPIRED", "EXPIRED", "CREDENTIAL_NOT_ACTIVE", ("OK", "ACTIVE")),
    }


def test_no_grace_ends_the_old_one_at_once(scene: Scene) -> None:
    old = scene.generate()
    new = scene.rotate(old, graceHours=0)
    assert new["predecessor"]["status"] == "EXPIRED"
    assert (scene.check(old), scene.check(new)) == (("EXPIRED", "EXPIRED"), ("OK", "ACTIVE"))


@pytest.mark.parametrize("left", [timedelta(minutes=59), HOUR, timedelta(minutes=61)])
def test_grace_never_lengthens_a_life(scene: Scene, left: timedelta) -> None:
    own_end = scene.clock() + left
    old = scene.generate(expiry={"at": own_end.isoformat()})
    rotated = scene.rotate(old, graceHours=1)
    assert instant(rotated["predecessor"]["expiresAt"]) == min(own_end, scene.clock() + HOUR)


def test_a_credential_without_end_ends_with_its_grace(scene: Scene) -> None:
    scene.operator.do("updateCredentialPolicy", "account { id }", accountId=scene.alder.id, neverExpiresAllowed=True)
    old = scene.generate(expiry={"never": True})
    assert old["credential"]["expiresAt"] is None
    rotated = scene.rotate(old, graceHours=720)
    assert instant(rotated["predecessor"]["expiresAt"]) == scene.clock() + timedelta(days=30)


def test_a_service_is_there_from_its_start_to_the_second_before_its_end(scene: Scene) -> None:
    start, end = scene.clock() + HOUR, scene.clock() + 2 * HOUR
    made = scene.operator.do(
        "createService",
        "service { id status }",
        accountId=scene.alder.id,
        name="Later",
        code="later",
        startsAt=start.isoformat(),
        expiresAt=end.isoformat(),
        identityIds=[scene.alder.identities["active"]],
    )["service"]
    wanted = {"serviceId": made["id"], "identityId": scene.alder.identities["active"]}
    delivery = {"method": "VIEW_AND_COPY"}

    def refusals(name: str) -> Any:
        return scene.member.refusals("generateCredential", "credential { id }", name=name, delivery=delivery, **wanted)

    scene.at(start - SECOND)
    assert refusals("early") == [("SERVICE_NOT_ACTIVE", ["serviceId"])]
    scene.at(start)
    generated = scene.generate("punctual", **wanted)
    seen = {when: (*scene.check(generated), scene.login(generated)) for when in around(scene, end)}
    assert seen == {"before": ("OK", "ACTIVE", "scope: later"), "at": ("SERVICE_EXPIRED", "ACTIVE", "scope: ")}
    assert refusals("late") == [("SERVICE_NOT_ACTIVE", ["serviceId"])]


def test_a_credential_waits_for_a_service_that_has_not_started(scene: Scene) -> None:
    """Nobody can have one for such a service: its start lies in the past once it could be made."""
    generated = scene.generate()
    start = scene.clock()
    scene.at(start - SECOND)
    assert scene.check(generated) == ("SERVICE_NOT_STARTED", "ACTIVE")
    assert scene.login(generated) == "scope: "
    scene.at(start)
    assert scene.check(generated) == ("OK", "ACTIVE")


def test_a_renewal_brings_the_same_key_and_secret_back(scene: Scene) -> None:
    service = {"serviceId": scene.alder.services["certificates"]}
    generated = scene.generate()
    end = scene.clock() + HOUR
    scene.operator.do("renewService", "service { id }", **service, expiresAt=end.isoformat())
    scene.at(end)
    assert scene.check(generated) == ("SERVICE_EXPIRED", "ACTIVE")
    renewed = scene.operator.do(
        "renewService", "service { status expiresAt }", **service, expiresAt=(end + SECOND).isoformat()
    )
    assert renewed["service"]["status"] == "ACTIVE"
    seen = [scene.check(generated)[0] for _ in around(scene, end + SECOND)]
    assert seen == ["OK", "SERVICE_EXPIRED"]


def test_an_identity_is_good_until_the_second_before_its_validity_ends(scene: Scene) -> None:
    end = scene.clock() + HOUR
    pending = {"identityId": scene.alder.identities["pending"]}
    scene.operator.do("approveIdentity", "identity { id }", **pending, validUntil=end.isoformat())
    linked = {"serviceId": scene.alder.services["certificates"], **pending}
    scene.operator.do("linkIdentityToService", "service { id }", **linked)
    generated = scene.generate(**linked)
    seen = {when: (*scene.check(generated), scene.login(generated)) for when in around(scene, end)}
    assert seen == {
        "before": ("OK", "ACTIVE", "scope: certificates"),
        "at": ("IDENTITY_NOT_ACTIVE", "ACTIVE", "IDENTITY_NOT_ACTIVE"),
    }


@pytest.mark.parametrize("verb", ["generateCredential", "rotateCredential"])
def test_an_answer_is_given_again_until_the_second_before_ten_minutes_are_over(scene: Scene, verb: str) -> None:
    old = scene.generate("old")
    request: dict[str, Any] = {"delivery": {"method": "VIEW_AND_COPY"}, "idempotencyKey": "k" * 22}
    if verb == "rotateCredential":
        request |= {"credentialId": old["credential"]["id"], "graceHours": 24}
        too_late = [("CREDENTIAL_NOT_ACTIVE", ["credentialId"])]
    else:
        parties = {"serviceId": scene.alder.services["certificates"], "identityId": scene.alder.identities["active"]}
        request |= {"name": "new", **parties}
        too_late = [("TAKEN", ["name"])]
    first = scene.member.do(
        verb, ROTATED if verb == "rotateCredential" else "credential { id } delivery { __typename }", **request
    )
    end = scene.clock() + timedelta(minutes=10)
    scene.at(end - SECOND)
    again = scene.member.do(verb, "credential { id }", **request)
    assert again["credential"]["id"] == first["credential"]["id"]
    scene.at(end)
    assert scene.member.refusals(verb, "credential { id }", **request) == too_late


def test_a_credential_made_on_the_31st_ends_at_the_second_on_a_leap_day(start_play: StartPlay) -> None:
    scene = Scene(start_play(FakeClock(datetime(2028, 1, 31, 9, 30, 15, tzinfo=UTC))))
    generated = scene.generate(expiry={"months": 1})
    seen = [scene.check(generated)[0] for _ in around(scene, datetime(2028, 2, 29, 9, 30, 15, tzinfo=UTC))]
    assert seen == ["OK", "EXPIRED"]
