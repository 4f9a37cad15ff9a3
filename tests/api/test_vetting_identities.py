"""The life of an identity: submitted, vetted by the provider, suspended, expired."""

from typing import Any

import pytest

from tests.support.audit import recorded, user_id
from tests.support.server import Client
from tests.support.world import Play

IDENTITY = "identity { id name kind status validUntil account { id } createdAt }"
STEPS = {
    "approveIdentity": "approved",
    "rejectIdentity": "rejected",
    "suspendIdentity": "suspended",
    "reinstateIdentity": "reinstated",
}
# From each status, where each step leads; what is missing is refused.
TRANSITIONS = {
    "PENDING_VETTING": {"approveIdentity": "ACTIVE", "rejectIdentity": "REJECTED"},
    "ACTIVE": {"suspendIdentity": "SUSPENDED"},
    "REJECTED": {},
    "SUSPENDED": {"reinstateIdentity": "ACTIVE"},
    "EXPIRED": {"approveIdentity": "ACTIVE"},
}


def submit(client: Client, **fields: Any) -> Any:
    return client.do("submitIdentity", IDENTITY, **{"name": "Acme", "kind": "ORGANIZATION", **fields})["identity"]


def identity_in(play: Play, status: str) -> str:
    """A new identity that has come to that status."""
    id_: str = submit(play.administrator)["id"]
    if status == "REJECTED":
        play.operator.do("rejectIdentity", IDENTITY, identityId=id_)
    elif status != "PENDING_VETTING":
        end = play.clock.in_(seconds=1) if status == "EXPIRED" else None
        play.operator.do("approveIdentity", IDENTITY, identityId=id_, validUntil=end)
    if status == "SUSPENDED":
        play.operator.do("suspendIdentity", IDENTITY, identityId=id_)
    if status == "EXPIRED":
        play.clock.advance(seconds=1)
    return id_


def status_of(client: Client, identity_id: str) -> str:
    status: str = client.data("query ($id: ID!) { node(id: $id) { ... on Identity { status } } }", id=identity_id)[
        "status"
    ]
    return status


@pytest.mark.parametrize("who", ["administrator", "member", "member_without_access"])
def test_people_of_an_account_submit_identities_of_theirs(play: Play, who: str) -> None:
    submitted = submit(getattr(play, who), kind="DOMAIN")
    identity_id = submitted.pop("id")
    assert submitted == {
        "name": "Acme",
        "kind": "DOMAIN",
        "status": "PENDING_VETTING",
        "validUntil": None,
        "account": {"id": play.alder.id},
        "createdAt": "2026-01-15T12:00:00Z",
    }
    assert status_of(play.operator, identity_id) == "PENDING_VETTING"


def test_an_identity_is_of_one_of_three_kinds(shared_play: Play) -> None:
    for kind in ("ORGANIZATION", "INDIVIDUAL", "DOMAIN"):
        assert submit(shared_play.member, kind=kind)["kind"] == kind


def test_a_submission_is_recorded(play: Play) -> None:
    document = "SELECT id FROM identities WHERE name = 'Acme'"
    submit(play.member)
    made = "idty_" + str(play.rows.execute(document)[0][0]).replace("-", "")
    actor = play.alder.users["member"]
    with recorded(play, play.alder.id, ("identity.approved", user_id(play), made, "Identity Acme was approved" + BY)):
        play.operator.do("approveIdentity", IDENTITY, identityId=made)
    (event,) = play.rows.execute(
        f"SELECT actor_id, summary FROM audit_events WHERE type = 'identity.submitted' AND subject_id = '{made}'"
    )
    assert (str(event[0]).replace("-", ""), event[1]) == (actor.removeprefix("user_"), "Identity Acme was submitted")


BY = " (by the provider)"


def test_an_operator_submits_for_the_account_that_is_named(play: Play) -> None:
    assert submit(play.operator, accountId=play.birch.id)["account"] == {"id": play.birch.id}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": ""}, ("REQUIRED", ["name"])),
        ({"name": " "}, ("REQUIRED", ["name"])),
        ({"name": "x" * 201}, ("INVALID", ["name"])),
        ({"name": "a\tb"}, ("INVALID", ["name"])),
        ({"accountId": "nobodys"}, ("NOT_FOUND", ["accountId"])),
    ],
)
def test_a_wrong_submission_is_refused(
    shared_play: Play, fields: dict[str, Any], expected: tuple[str, list[str]]
) -> None:
    wanted = {"name": "Acme", "kind": "DOMAIN", **fields}
    with shared_play.rows.unchanged():
        assert shared_play.member.refusals("submitIdentity", IDENTITY, **wanted) == [expected]


def test_a_submission_for_another_account_is_refused_and_an_operator_says_which(shared_play: Play) -> None:
    with shared_play.rows.unchanged():
        other = shared_play.birch.id
        assert shared_play.member.refusals("submitIdentity", IDENTITY, accountId=other, name="Acme", kind="DOMAIN") == [
            ("NOT_FOUND", ["accountId"])
        ]
        assert shared_play.operator.refusals("submitIdentity", IDENTITY, name="Acme", kind="DOMAIN") == [
            ("REQUIRED", ["accountId"])
        ]


@pytest.mark.parametrize("status", TRANSITIONS)
def test_from_each_status_only_some_steps_can_be_taken(play: Play, status: str) -> None:
    assert status_of(play.operator, identity_in(play, status)) == status
    for step, done in STEPS.items():
        identity_id = identity_in(play, status)
        if leads_to := TRANSITIONS[status].get(step):
            expected = (f"identity.{done}", user_id(play), identity_id, f"Identity Acme was {done}{BY}")
            with recorded(play, play.alder.id, expected):
                changed = play.operator.do(step, IDENTITY, identityId=identity_id)["identity"]
            assert changed["status"] == leads_to == status_of(play.member, identity_id)
        else:
            with play.rows.unchanged():
                refusals = play.operator.refusals(step, IDENTITY, identityId=identity_id)
            assert refusals == [("CONFLICT", ["identityId"])]


@pytest.mark.parametrize("step", STEPS)
def test_what_is_no_identity_is_not_found(shared_play: Play, step: str) -> None:
    service = shared_play.alder.services["certificates"]
    with shared_play.rows.unchanged():
        for id_ in ("nobodys", "", "idty_" + "0" * 32, service, service.replace("svc", "idty")):
            assert shared_play.operator.refusals(step, IDENTITY, identityId=id_) == [("NOT_FOUND", ["identityId"])]


@pytest.mark.parametrize("step", ["rejectIdentity", "suspendIdentity", "reinstateIdentity"])
def test_a_reason_that_can_not_be_recorded_is_refused(shared_play: Play, step: str) -> None:
    id_ = shared_play.alder.identities["active"]
    with shared_play.rows.unchanged():
        for reason, code in ((" ", "REQUIRED"), ("x" * 201, "INVALID"), ("a\0b", "INVALID")):
            refusals = shared_play.operator.refusals(step, IDENTITY, identityId=id_, reason=reason)
            assert refusals == [(code, ["reason"])]


def test_a_reason_is_recorded(play: Play) -> None:
    id_, operator = identity_in(play, "ACTIVE"), user_id(play)
    told = f"Identity Acme was suspended: Papers missing{BY}"
    with recorded(play, play.alder.id, ("identity.suspended", operator, id_, told)):
        play.operator.do("suspendIdentity", IDENTITY, identityId=id_, reason="Papers missing")


def test_the_longest_name_and_reason_are_recorded_whole(play: Play) -> None:
    name, reason = "\U0001f511" * 200, "\u00e9" * 200
    id_ = submit(play.administrator, name=name)["id"]
    told = f"Identity {name} was rejected: {reason}{BY}"
    with recorded(play, play.alder.id, ("identity.rejected", user_id(play), id_, told)):
        play.operator.do("rejectIdentity", IDENTITY, identityId=id_, reason=reason)


def test_an_approval_without_end_lasts(play: Play) -> None:
    id_ = identity_in(play, "ACTIVE")
    play.clock.now = play.clock.now.replace(year=9998)
    play.stay_signed_in()
    assert status_of(play.operator, id_) == "ACTIVE"


def test_an_identity_expires_at_the_very_millisecond_and_is_renewed_by_a_new_approval(play: Play) -> None:
    id_ = submit(play.administrator)["id"]
    approved = play.operator.do("approveIdentity", IDENTITY, identityId=id_, validUntil="2026-01-15T14:00:00.500+01:00")
    assert (approved["identity"]["status"], approved["identity"]["validUntil"]) == (
        "ACTIVE",
        "2026-01-15T13:00:00.500Z",
    )
    play.clock.advance(hours=1, milliseconds=499)
    assert status_of(play.operator, id_) == "ACTIVE"
    play.clock.advance(milliseconds=1)
    assert status_of(play.operator, id_) == "EXPIRED"
    renewed = play.operator.do("approveIdentity", IDENTITY, identityId=id_, validUntil="2027-01-01T00:00:00Z")
    assert (renewed["identity"]["status"], renewed["identity"]["validUntil"]) == ("ACTIVE", "2027-01-01T00:00:00Z")


def test_a_suspended_identity_expires_too_and_can_then_not_be_reinstated(play: Play) -> None:
    id_ = submit(play.administrator)["id"]
    play.operator.do("approveIdentity", IDENTITY, identityId=id_, validUntil="2026-01-15T13:00:00Z")
    play.operator.do("suspendIdentity", IDENTITY, identityId=id_)
    play.clock.advance(hours=1)
    assert status_of(play.operator, id_) == "EXPIRED"
    with play.rows.unchanged():
        refusals = play.operator.refusals("reinstateIdentity", IDENTITY, identityId=id_)
    assert refusals == [("CONFLICT", ["identityId"])]


def test_a_rejected_identity_stays_rejected(play: Play) -> None:
    id_ = identity_in(play, "REJECTED")
    play.clock.advance(hours=11)
    assert status_of(play.operator, id_) == "REJECTED"


@pytest.mark.parametrize("end", ["2026-01-15T12:00:00Z", "2026-01-15T11:59:59.999Z", "1970-01-01T00:00:00Z"])
def test_an_approval_that_ends_before_it_begins_is_refused(shared_play: Play, end: str) -> None:
    pending = shared_play.alder.identities["pending"]
    with shared_play.rows.unchanged():
        refusals = shared_play.operator.refusals("approveIdentity", IDENTITY, identityId=pending, validUntil=end)
    assert refusals == [("INVALID", ["validUntil"])]


def test_an_approval_may_end_a_millisecond_from_now(play: Play) -> None:
    pending = play.alder.identities["pending"]
    play.operator.do("approveIdentity", IDENTITY, identityId=pending, validUntil="2026-01-15T12:00:00.001Z")
