"""Looking up who a session token stands for."""

from datetime import datetime

from auth.crypto.secret import Secret
from auth.opaque_token import hash_token
from auth.principal import Principal
from models.account import AccountStatus
from models.user import Session, UserStatus


async def find_principal(token: Secret, now: datetime) -> Principal | None:
    """The principal of a live session of an active user whose account is not suspended, else None. One statement."""
    session = await Session.get_or_none(
        token_hash=hash_token(token), ended_at__isnull=True, expires_at__gt=now
    ).select_related("user__account")
    if session is None or session.user.status is not UserStatus.ACTIVE:
        return None
    account = session.user.account
    if account is not None and account.status is not AccountStatus.ACTIVE:
        return None
    return Principal(user=session.user, session_id=session.id)
