"""Setting somebody's password without the old one: from the command line only."""

from auth.crypto.secret import Secret
from auth.passwords import hash_password
from models.database import locked, transaction
from models.ids import Kind
from models.user import Invitation, Session, User
from resolvers.audit import EventType, record
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, refuse
from resolvers.validation import check_password, normal_email, refuse_if_any


async def set_password(caller: Caller, *, email: str, password: Secret) -> User:
    """Gives a user a new password and ends their sessions. Raises Refused (NOT_FOUND, INVALID)."""
    refuse_if_any(check_password(password.reveal()))
    password_hash = await hash_password(password)
    async with transaction():
        user = await locked(User.filter(email=normal_email(email))).get_or_none()
        if user is None:
            raise refuse(ErrorCode.NOT_FOUND, "There is no user with this address.", "email")
        user.password_hash = password_hash
        await user.save(update_fields=["password_hash"])
        await Session.filter(user_id=user.id, ended_at__isnull=True).update(ended_at=caller.now)
        # An invitation still open would let whoever has it set another password.
        await Invitation.filter(user_id=user.id, accepted_at__isnull=True).update(accepted_at=caller.now)
        await record(
            caller,
            EventType.PASSWORD_SET,
            f"{user.email} was given a new password from the command line",
            account_id=user.account_id,
            subject=(Kind.USER, user.id),
        )
    return user
