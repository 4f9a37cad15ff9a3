"""Who may do what is documented as it is."""

import pytest

from auth.permissions import NEED_API_ACCESS, ROLE_PERMISSIONS, Permission
from models.user import Role
from tests.docs.markdown import in_code, page, rows, section
from tests.support.operations import Operation, Writer, schema_of
from tests.support.server import Client
from tests.support.world import Play

PERMISSIONS = page("docs/permissions.md")
REFUSED = {"FORBIDDEN", "API_ACCESS_REMOVED"}
# What takes a session at most, or a secret of its own.
WITHOUT_PERMISSION = {"signIn", "acceptInvitation", "login", "viewer", "accounts", "node", "nodes"} | {
    "signOut",
    "signOutEverywhere",
    "changePassword",
    "createPersonalAccessToken",
    "revokePersonalAccessToken",
    "accessTokens",
}


def allowed(permission: Permission, role: Role) -> str:
    if permission not in ROLE_PERMISSIONS[role]:
        return ""
    return "with API access" if role is Role.MEMBER and permission in NEED_API_ACCESS else "yes"


def test_the_roles_have_the_permissions_that_are_documented() -> None:
    table = rows(section(PERMISSIONS, "## Roles"), "permission", *Role)
    assert table == [[permission, *(allowed(permission, role) for role in Role)] for permission in Permission]


def documented() -> dict[str, set[str]]:
    """The permissions of which one is taken, by field."""
    table = rows(section(PERMISSIONS, "## Mutations"), "mutation", "takes")
    table += rows(section(PERMISSIONS, "## Queries"), "query", "takes")
    return {in_code(field)[0]: set(takes.split(" or ")) for field, takes in table}


def operations(play: Play) -> list[Operation]:
    writer = Writer(schema_of(play.nobody), {})
    return [*writer.mutations(), *writer.queries()]


def test_every_field_is_documented(play: Play) -> None:
    assert sorted(operation.field for operation in operations(play)) == sorted(documented())


@pytest.mark.parametrize("who", ["operator", "administrator", "member", "member_without_access", "auditor"])
def test_a_field_takes_the_permission_that_is_documented(play: Play, who: str) -> None:
    client: Client = getattr(play, who)
    held = set(client.data("{ viewer { permissions } }")["permissions"])
    taken = {field: takes for field, takes in documented().items() if field not in WITHOUT_PERMISSION}
    assert set().union(*taken.values()) <= set(Permission)
    refused = {each.field for each in operations(play) if each.field in taken and REFUSED & set(each.errors(client))}
    assert refused == {field for field, takes in taken.items() if not takes & held}
