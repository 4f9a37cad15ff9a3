"""Who is asking."""

from auth.permissions import Permission
from auth.policy import require_user
from auth.principal import Principal
from schema.objects import User, Viewer


def viewer_of(principal: Principal | None) -> Viewer:
    """Raises Denied."""
    row = require_user(principal)
    assert principal is not None  # noqa: S101  (it has a user)
    user = User.with_account(row)
    held = [permission for permission in Permission if permission in principal.permissions]
    return Viewer(user=user, account=user.account, role=principal.role, permissions=held)
