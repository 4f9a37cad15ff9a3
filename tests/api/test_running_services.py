"""The life of a service: opened, renewed, suspended, resumed and cancelled by the provider, and its identities."""

import itertools
from typing import Any

import pytest

from tests.support.audit import recorded, user_id
from tests.support.server import Client
from tests.support.world import Play

SERVICE = "service { id name code status startsAt expiresAt account { id } identities { nodes { id } } }"
BY = " (by the provider)"
STEPS = {
    "renewService": "renewed",
    "suspendService": "suspended",
    "resumeService": "resumed",
    "cancelService": "cancelled",
}
# From each status, where each step leads; what is missing is refused.
TRANSITIONS = {
    "SCHEDULED": {"renewService": "SCHEDULED", "suspendService": "SUSPENDED", "cancelService": "CANCELLED"},
    "ACTIVE": {"renewService": "ACTIVE", "suspendService": "SUSPENDED", "cancelService": "CANCELLED"},
    "EXPIRED": {"renewService": "ACTIVE", "suspendService": "SUSPENDED", "cancelService": "CANCELLED"},
    "SUSPENDED": {"renewService": "SUSPENDED", "resumeService": "ACTIVE", "cancelService": "CANCELLED"},
    "CANCELLED": {},
}

_BUT_FOR_SERVICES = frozenset({"audit_events", "audit_chains", "services", "check_epoch", "check_changes"})


CODES = (f"scans{number}" for number in itertools.count())


def create(play: Play, **fields: Any) -> Any:
    wanted = {"accountId": play.alder.id, "name": "Scans", "code": next(CODES), **fields}
    return play.operator.do("createService", SERVICE, **wanted)["service"]


def service_in(play: Play, status: str) -> str:
    """A new service that has come to that status."""
    start = play.clock.in_(hours=1) if status == "SCHEDULED" else None
    end = play.clock.in_(milliseconds=1) if status == "EXPIRED" else None
    id_: str = create(play, startsAt=start, expiresAt=end)["id"]
    if status in {"SUSPENDED", "CANCELLED"}:
        play.operator.do(f"{'suspend' if status == 'SUSPENDED' else 'cancel'}Service", SERVICE, serviceId=id_)
    if status == "EXPIRED":
        play.clock.advance(milliseconds=1)
    return id_


def more(step: str) -> dict[str, str]:
    return {"expiresAt": "2030-01-01T00:00:00Z"} if step == "renewService" else {}


def status_of(client: Client, service_id: str) -> str:
    status: str = client.data("query ($id: ID!) { node(id: $id) { ... on Service { status } } }", id=service_id)[
        "status"
    ]
    return status


# ---------------------------------------------------------------- opening


def test_a_service_begins_now_and_lasts_unless_told_otherwise(play: Play) -> None:
    service = create(play, code="scans")
    service_id = service.pop("id")
    assert service == {
        "name": "Scans",
        "code": "scans",
        "status": "ACTIVE",
        "startsAt": "2026-01-15T12:00:00Z",
        "expiresAt": None,
        "account": {"id": play.alder.id},
        "identities": {"nodes": []},
    }
    assert status_of(play.auditor, service_id) == "ACTIVE"


def test_opening_a_service_is_one_event_however_many_identities_it_begins_with(play: Play) -> None:
    before = {row[0] for row in play.rows.execute("SELECT id FROM services")}
    ids = [play.alder.identities[name] for name in ("active", "pending", "active")]
    operator = user_id(play)
    newest = play.rows.execute("SELECT max(sequence) FROM audit_events WHERE type = 'service.created'")
    service = create(play, identityIds=ids)
    assert {node["id"] for node in service["identities"]["nodes"]} == set(ids)
    assert len(before) + 1 == len(play.rows.execute("SELECT id FROM services"))
    added = play.rows.execute(
        "SELECT type, subject_id, summary, actor_id FROM audit_events "
        f"WHERE sequence > {newest[0][0]} AND subject_id = '{service['id']}'"
    )
    assert [event[:3] for event in added] == [("service.created", service["id"], f"Service Scans was created{BY}")]
    assert str(added[0][3]).replace("-", "") == operator.removeprefix("user_")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": ""}, [("REQUIRED", ["name"])]),
        ({"name": "x" * 201}, [("INVALID", ["name"])]),
        ({"code": ""}, [("INVALID", ["code"])]),
        ({"code": "Scans"}, [("INVALID", ["code"])]),
        ({"code": "two words"}, [("INVALID", ["code"])]),
        ({"code": "-scans"}, [("INVALID", ["code"])]),
        ({"code": "scans."}, [("INVALID", ["code"])]),
        ({"code": "s" * 65}, [("INVALID", ["code"])]),
        ({"code": "scans\n"}, [("INVALID", ["code"])]),
        ({"code": "\u0131"}, [("INVALID", ["code"])]),
        ({"code": "certificates"}, [("TAKEN", ["code"])]),
        ({"name": " ", "code": "!"}, [("REQUIRED", ["name"]), ("INVALID", ["code"])]),
        ({"accountId": "nobodys"}, [("NOT_FOUND", ["accountId"])]),
        ({"identityIds": ["nobodys"]}, [("NOT_FOUND", ["identityIds"])]),
        ({"expiresAt": "2026-01-15T12:00:00Z"}, [("INVALID", ["expiresAt"])]),
        ({"expiresAt": "2025-01-15T12:00:00Z"}, [("INVALID", ["expiresAt"])]),
        ({"startsAt": "2025-01-01T00:00:00Z", "expiresAt": "2025-02-01T00:00:00Z"}, [("INVALID", ["expiresAt"])]),
        ({"startsAt": "2027-01-01T00:00:00Z", "expiresAt": "2027-01-01T00:00:00Z"}, [("INVALID", ["expiresAt"])]),
    ],
)
def test_a_service_with_something_wrong_is_refused(
    shared_play: Play, fields: dict[str, Any], expected: list[tuple[str, list[str]]]
) -> None:
    wanted = {"accountId": shared_play.alder.id, "name": "Scans", "code": "scans", **fields}
    with shared_play.rows.unchanged():
        assert shared_play.operator.refusals("createService", SERVICE, **wanted) == expected


def test_a_service_does_not_begin_with_identities_of_another_account(shared_play: Play) -> None:
    ids = [shared_play.alder.identities["active"], shared_play.birch.identities["active"]]
    wanted = {"accountId": shared_play.alder.id, "name": "Scans", "code": "scans", "identityIds": ids}
    with shared_play.rows.unchanged():
        refusals = shared_play.operator.refusals("createService", SERVICE, **wanted)
    assert refusals == [("NOT_FOUND", ["identityIds"])]


@pytest.mark.parametrize("code", ["s", "0", "a.b_c-d", "s" * 64])
def test_every_slug_is_a_code(play: Play, code: str) -> None:
    assert create(play, code=code)["code"] == code


def test_a_code_is_free_in_other_accounts_and_once_its_service_is_cancelled(play: Play) -> None:
    first = create(play, code="scans")
    create(play, code="scans", accountId=play.birch.id)
    play.operator.do("suspendService", SERVICE, serviceId=first["id"])
    again = {"accountId": play.alder.id, "name": "Scans", "code": "scans"}
    assert play.operator.refusals("createService", SERVICE, **again) == [("TAKEN", ["code"])]
    play.operator.do("cancelService", SERVICE, serviceId=first["id"])
    create(play, code="scans")


# ---------------------------------------------------------------- by the clock


def test_a_service_begins_and_ends_to_the_millisecond(play: Play) -> None:
    service = create(play, startsAt="2026-01-15T13:00:00Z", expiresAt="2026-01-15T13:00:01Z")
    seen = [service["status"]]
    for step in ({"hours": 1, "milliseconds": -1}, {"milliseconds": 1}, {"milliseconds": 999}, {"milliseconds": 1}):
        play.clock.advance(**step)
        seen.append(status_of(play.operator, service["id"]))
    assert seen == ["SCHEDULED", "SCHEDULED", "ACTIVE", "ACTIVE", "EXPIRED"]


@pytest.mark.parametrize("at", [0, 2, 4], ids=["before it begins", "while it runs", "after it ended"])
def test_a_suspension_is_seen_whatever_the_dates_say_and_lifting_it_shows_what_they_say(play: Play, at: int) -> None:
    service = create(play, startsAt="2026-01-15T13:00:00Z", expiresAt="2026-01-15T15:00:00Z")["id"]
    play.clock.advance(hours=at)
    shown = status_of(play.operator, service)
    play.operator.do("suspendService", SERVICE, serviceId=service)
    assert status_of(play.operator, service) == "SUSPENDED"
    play.operator.do("resumeService", SERVICE, serviceId=service)
    assert status_of(play.operator, service) == shown == {0: "SCHEDULED", 2: "ACTIVE", 4: "EXPIRED"}[at]


# ---------------------------------------------------------------- steps


@pytest.mark.parametrize("status", TRANSITIONS)
def test_from_each_status_only_some_steps_can_be_taken(play: Play, status: str) -> None:
    operator = user_id(play)
    assert status_of(play.operator, service_in(play, status)) == status
    for step, done in STEPS.items():
        service_id = service_in(play, status)
        if leads_to := TRANSITIONS[status].get(step):
            expected = [(f"service.{done}", operator, service_id, f"Service Scans was {done}{BY}")]
            if (status, step) == ("EXPIRED", "renewService"):
                told = f"Service Scans had expired and is open again{BY}"
                expected.append(("service.reopened", operator, service_id, told))
            with recorded(play, play.alder.id, *expected):
                changed = play.operator.do(step, SERVICE, serviceId=service_id, **more(step))["service"]
            assert changed["status"] == leads_to == status_of(play.member, service_id)
        else:
            with play.rows.unchanged():
                refusals = play.operator.refusals(step, SERVICE, serviceId=service_id, **more(step))
            assert refusals == [("CONFLICT", ["serviceId"])]


@pytest.mark.parametrize("step", STEPS)
def test_what_is_no_service_is_not_found(shared_play: Play, step: str) -> None:
    identity = shared_play.alder.identities["active"]
    with shared_play.rows.unchanged():
        for id_ in ("nobodys", "", "svc_" + "0" * 32, identity, identity.replace("idty", "svc")):
            refusals = shared_play.operator.refusals(step, SERVICE, serviceId=id_, **more(step))
            assert refusals == [("NOT_FOUND", ["serviceId"])]


@pytest.mark.parametrize("step", ["suspendService", "resumeService", "cancelService"])
def test_a_reason_that_can_not_be_recorded_is_refused(shared_play: Play, step: str) -> None:
    id_ = shared_play.alder.services["certificates"]
    with shared_play.rows.unchanged():
        for reason, code in ((" ", "REQUIRED"), ("x" * 201, "INVALID"), ("a\0b", "INVALID")):
            refusals = shared_play.operator.refusals(step, SERVICE, serviceId=id_, reason=reason)
            assert refusals == [(code, ["reason"])]


def test_a_reason_is_recorded(play: Play) -> None:
    service = create(play)["id"]
    told = f"Service Scans was suspended: Invoice not paid{BY}"
    with recorded(play, play.alder.id, ("service.suspended", user_id(play), service, told)):
        play.operator.do("suspendService", SERVICE, serviceId=service, reason="Invoice not paid")


@pytest.mark.parametrize("end", ["2026-01-15T12:00:00Z", "2026-01-15T11:59:59Z"])
def test_a_renewal_ends_in_the_future(shared_play: Play, end: str) -> None:
    id_ = shared_play.alder.services["certificates"]
    with shared_play.rows.unchanged():
        refusals = shared_play.operator.refusals("renewService", SERVICE, serviceId=id_, expiresAt=end)
    assert refusals == [("INVALID", ["expiresAt"])]


def test_a_service_that_has_not_begun_is_not_renewed_to_end_before_it_does(play: Play) -> None:
    service = create(play, startsAt="2026-02-01T00:00:00Z")["id"]
    with play.rows.unchanged():
        refusals = play.operator.refusals("renewService", SERVICE, serviceId=service, expiresAt="2026-02-01T00:00:00Z")
    assert refusals == [("INVALID", ["expiresAt"])]


def test_a_renewal_changes_the_end_and_nothing_else(play: Play) -> None:
    service = play.alder.services["certificates"]
    before = play.rows.dump(without=_BUT_FOR_SERVICES)
    row = play.rows.execute("SELECT id, name, code, starts_at, suspended_at, cancelled_at FROM services ORDER BY id")
    renewed = play.operator.do("renewService", SERVICE, serviceId=service, expiresAt="2026-01-15T13:00:00Z")
    assert renewed["service"]["expiresAt"] == "2026-01-15T13:00:00Z"
    assert play.rows.dump(without=_BUT_FOR_SERVICES) == before
    after = play.rows.execute("SELECT id, name, code, starts_at, suspended_at, cancelled_at FROM services ORDER BY id")
    assert after == row


# ---------------------------------------------------------------- links


def test_an_identity_is_linked_and_unlinked(play: Play) -> None:
    service, identity = play.alder.services["certificates"], play.alder.identities["pending"]
    operator = user_id(play)
    ids = {"serviceId": service, "identityId": identity}
    for step, event, done, linked in (
        ("linkIdentityToService", "service.identity_linked", "linked to", True),
        ("unlinkIdentityFromService", "service.identity_unlinked", "unlinked from", False),
    ):
        told = f"Service alder certificates was {done} identity alder pending{BY}"
        with recorded(play, play.alder.id, (event, operator, service, told)):
            nodes = play.operator.do(step, SERVICE, **ids)["service"]["identities"]["nodes"]
        assert ({"id": identity} in nodes) is linked
        with play.rows.unchanged():
            assert play.operator.refusals(step, SERVICE, **ids) == [("CONFLICT", ["identityId"])]


@pytest.mark.parametrize("step", ["linkIdentityToService", "unlinkIdentityFromService"])
def test_a_link_needs_a_service_and_an_identity_of_one_account(shared_play: Play, step: str) -> None:
    alder, birch = shared_play.alder, shared_play.birch
    service, identity = alder.services["certificates"], alder.identities["active"]
    for service_id, identity_id, field in (
        ("nobodys", identity, "serviceId"),
        (service, "nobodys", "identityId"),
        (service, birch.identities["active"], "identityId"),
        (identity, service, "serviceId"),
    ):
        with shared_play.rows.unchanged():
            refusals = shared_play.operator.refusals(step, SERVICE, serviceId=service_id, identityId=identity_id)
        assert refusals == [("NOT_FOUND", [field])]


def test_a_credential_of_an_unlinked_pair_works_on(play: Play) -> None:
    keys = play.keys()
    ids = {"serviceId": play.alder.services["certificates"], "identityId": play.alder.identities["active"]}
    play.operator.do("unlinkIdentityFromService", SERVICE, **ids)
    assert play.operator.do("verifyCredential", "code", **keys)["code"] == "OK"
