"""Who is asking."""

from auth.permissions import Permission
from auth.principal import Principal
from schema.objects import User, Viewer


def viewer_of(principal: Principal) -> Viewer:
    user = User.with_account(principal.user)
    held = [permission for permission in Permission if permission in principal.permissions]
    return Viewer(user=user, account=user.account, role=principal.role, permissions=held)
