"""Who is asking."""

from auth.policy import require_user
from auth.principal import Principal
from schema.objects import Viewer


def viewer_of(principal: Principal | None) -> Viewer:
    """Raises Denied."""
    user = require_user(principal)
    assert principal is not None  # noqa: S101  (it has a user)
    return Viewer(principal, user)
