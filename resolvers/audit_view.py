"""What of an audit event is shown to whom, whichever way it is read."""

from typing import TypeVar

Account = TypeVar("Account")


def may_see_actor(viewer_account: Account | None, actor_account: Account | None) -> bool:
    """Customers do not see the provider's staff, nor from where they act. None is the provider's own account."""
    return viewer_account is None or viewer_account == actor_account
