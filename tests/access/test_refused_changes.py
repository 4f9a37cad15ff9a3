"""What nobody may do to a user, whoever they are: it is refused with its reason, and changes nothing."""

from typing import Any

import pytest

from tests.access.stage import Stage
from tests.access.tables import Tables, changes
from tests.support.server import Client

CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("setUserRole", {"role": "AUDITOR"}),
    ("grantApiAccess", {}),
    ("removeApiAccess", {}),
    ("deactivateUser", {}),
    ("reactivateUser", {}),
]
ENDING_AN_ADMINISTRATOR = [CHANGES[0], CHANGES[3]]
Refusals = list[tuple[str, list[str] | None]]


@pytest.fixture
def refused(stage: Stage, tables: Tables) -> Any:
    """The refusals of a mutation that must not change anything."""

    def refused(client: Client, mutation: str, /, **given: Any) -> Refusals:
        before = tables.dump()
        refusals = client.refusals(mutation, "user { id }", **given)
        assert changes(before, tables.dump()) == {}
        return refusals

    return refused


@pytest.mark.parametrize("caller", ["administrator", "operator"])
@pytest.mark.parametrize(("mutation", "given"), CHANGES)
def test_nobody_changes_themselves(
    stage: Stage, refused: Any, caller: str, mutation: str, given: dict[str, Any]
) -> None:
    client = stage.clients[caller]
    myself = client.data("{ viewer { user { id } } }")["user"]["id"]

    assert refused(client, mutation, userId=myself, **given) == [("CONFLICT", ["userId"])]


@pytest.mark.parametrize("caller", ["administrator", "operator"])
@pytest.mark.parametrize("role", ["OPERATOR", "GATEWAY"])
def test_nobody_is_raised_to_operator_or_made_a_gateway(stage: Stage, refused: Any, caller: str, role: str) -> None:
    somebody = stage.mine.ids["User"]

    assert refused(stage.clients[caller], "setUserRole", userId=somebody, role=role) == [("INVALID", ["role"])]


def test_an_operator_is_made_nothing_else_and_has_no_api_access_to_give_or_take(stage: Stage, refused: Any) -> None:
    another = stage.newcomer(None, "OPERATOR").id

    for role in ("ADMINISTRATOR", "MEMBER", "AUDITOR"):
        assert refused(stage.operator, "setUserRole", userId=another, role=role) == [("INVALID", ["role"])]
    assert refused(stage.operator, "grantApiAccess", userId=another) == [("INVALID", ["userId"])]
    assert refused(stage.operator, "removeApiAccess", userId=another) == [("INVALID", ["userId"])]


@pytest.mark.parametrize(("mutation", "given"), ENDING_AN_ADMINISTRATOR)
def test_the_last_active_administrator_of_an_account_stays_one(
    stage: Stage, refused: Any, mutation: str, given: dict[str, Any]
) -> None:
    theirs = stage.play.birch
    last = theirs.users["administrator"]
    deactivated = stage.newcomer(theirs, "ADMINISTRATOR").id
    stage.operator.do("deactivateUser", "user { id }", userId=deactivated)

    assert refused(stage.operator, mutation, userId=last, **given) == [("CONFLICT", ["userId"])]


def test_an_administrator_adds_nobody_who_would_be_more_than_the_account_s(stage: Stage, refused: Any) -> None:
    new = {"email": "new@alder.example", "displayName": "New"}
    administrator = stage.clients["administrator"]

    assert refused(administrator, "createUser", **new, role="OPERATOR") == [("INVALID", ["role"])]
    assert refused(administrator, "createUser", **new, role="GATEWAY") == [("INVALID", ["role"])]


def test_an_operator_says_whose_a_new_user_is_and_operators_are_nobody_s(stage: Stage, refused: Any) -> None:
    new = {"email": "new@alder.example", "displayName": "New"}
    mine = stage.mine.ids["Account"]

    assert refused(stage.operator, "createUser", **new, role="MEMBER") == [("REQUIRED", ["accountId"])]
    assert refused(stage.operator, "createUser", **new, role="OPERATOR", accountId=mine) == [("INVALID", ["accountId"])]
    assert refused(stage.operator, "createUser", **new, role="GATEWAY", accountId=mine) == [("INVALID", ["role"])]


@pytest.mark.parametrize("email", ["auditor@alder.example", " AUDITOR@Alder.Example ", "auditor@birch.example"])
def test_an_address_belongs_to_one_user_however_it_is_written(stage: Stage, refused: Any, email: str) -> None:
    new = {"email": email, "displayName": "New", "role": "MEMBER"}

    assert refused(stage.clients["administrator"], "createUser", **new) == [("TAKEN", ["email"])]


def test_all_that_is_wrong_with_a_new_user_is_told_at_once(stage: Stage, refused: Any) -> None:
    new = {"email": "no address", "displayName": " ", "role": "MEMBER"}

    assert refused(stage.clients["administrator"], "createUser", **new) == [
        ("INVALID", ["email"]),
        ("REQUIRED", ["displayName"]),
    ]


def test_what_is_so_already_is_a_conflict(stage: Stage, refused: Any) -> None:
    administrator, somebody = stage.clients["administrator"], stage.invite("MEMBER", account=stage.play.alder)
    user = {"userId": somebody["user"]["id"]}

    assert refused(administrator, "setUserRole", **user, role="MEMBER") == [("CONFLICT", ["role"])]
    assert refused(administrator, "removeApiAccess", **user) == [("CONFLICT", ["userId"])]
    assert refused(administrator, "reactivateUser", **user) == [("CONFLICT", ["userId"])]
    administrator.do("grantApiAccess", "user { id }", **user)
    assert refused(administrator, "grantApiAccess", **user) == [("CONFLICT", ["userId"])]
    administrator.do("deactivateUser", "user { id }", **user)
    assert refused(administrator, "deactivateUser", **user) == [("CONFLICT", ["userId"])]
