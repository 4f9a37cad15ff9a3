"""What callers are told they may do is what they may do."""

import pytest

from auth.permissions import ROLE_PERMISSIONS, Permission
from models.user import Role
from tests.access.api import all_fields
from tests.access.matrix import read_matrix
from tests.access.outcomes import ALLOW, ask, outcome
from tests.access.rehearsal import Performer, prepared
from tests.access.stage import COLUMNS, Stage

MATRIX = read_matrix()
# Who is given a token with a permission: the first of these that has it.
_HOLDERS = (Role.ADMINISTRATOR, Role.MEMBER, Role.OPERATOR)


def test_each_permission_is_what_some_field_needs() -> None:
    assert set(Permission) <= {need for row in MATRIX.values() for need in row.needs}


@pytest.mark.parametrize("column", [*(column for column, person in COLUMNS.items() if person), "token"])
def test_the_viewers_permissions_say_what_the_matrix_allows(stage: Stage, column: str) -> None:
    viewer = stage.clients[column].data("{ viewer { role permissions } }")

    told = {
        field
        for field, row in MATRIX.items()
        if row.is_enough(viewer["permissions"], role=viewer["role"], by_token=column == "token")
    }
    assert told == {field for field, row in MATRIX.items() if column in row.allowed}


@pytest.mark.parametrize("column", ["gateway", "gateway-all"])
def test_a_gateways_token_lists_the_one_permission_that_the_matrix_allows_it(stage: Stage, column: str) -> None:
    tokens = stage.operator.data("{ accessTokens { nodes { kind permissions } } }")["nodes"]

    assert {tuple(token["permissions"]) for token in tokens if token["kind"] == "GATEWAY"} == {("VERIFY_CREDENTIALS",)}
    needs = [row.needs for row in MATRIX.values() if column in row.allowed]
    assert set().union(*needs) == {"VERIFY_CREDENTIALS", "-"}


@pytest.mark.parametrize("permission", Permission)
def test_a_token_with_one_permission_does_what_that_is_for_and_nothing_else(
    stage: Stage, permission: Permission
) -> None:
    role = next(role for role in _HOLDERS if permission in ROLE_PERMISSIONS[role])
    holder = stage.person(role, api_access=role is Role.MEMBER)
    client = stage.play.server.client(stage.token(holder, [permission])["token"])
    performer = Performer(client, holder if role is Role.MEMBER else None)

    expected, found = set(), set()
    for field in all_fields():
        enough = MATRIX[str(field)].is_enough({permission}, role=role, by_token=True)
        given = prepared(stage, field, performer) if field.is_mutation and enough else None
        expected |= {str(field)} if enough else set()
        found |= {str(field)} if outcome(ask(stage, client, field, given)) == ALLOW else set()
    assert found == expected
