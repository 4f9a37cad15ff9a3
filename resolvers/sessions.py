"""Signing in and out."""

from dataclasses import dataclass, replace
from datetime import datetime

from auth.crypto.secret import Secret
from auth.opaque_token import generate_token, hash_token
from auth.passwords import MAXIMUM_LENGTH, hash_password, password_matches
from auth.policy import require_sign_in
from auth.principal import Principal
from models.account import AccountStatus
from models.database import locked, transaction
from models.ids import Kind, new_id
from models.user import Invitation, Session, User, UserStatus
from resolvers.audit import EventType, record
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, Refused, refuse
from resolvers.validation import check_email, check_password, normal_email, refuse_if_any


@dataclass(frozen=True)
class SignedIn:
    """A session token, handed over this once, and whom it signs in."""

    token: Secret
    expires_at: datetime
    principal: Principal


async def sign_in(caller: Caller, *, email: str, password: Secret) -> SignedIn:
    """Starts a session. Raises Refused (INVALID_CREDENTIALS), the same for whatever is wrong."""
    email = normal_email(email)
    can_be_known = not any(check_email(email))
    user = await User.get_or_none(email=email).select_related("account") if can_be_known else None
    acceptable = len(password.reveal()) <= MAXIMUM_LENGTH
    kept = user.password_hash if user else None
    matches = await password_matches(kept, password if acceptable else Secret(""))
    if user is None or not matches or not _may_sign_in(user):
        await _record_denied(caller, user)
        raise _invalid()
    async with transaction():
        # Checking takes a while: a password that was changed meanwhile, and somebody deactivated, start no session.
        now = await locked(User.filter(id=user.id)).get()
        if (now.password_hash, now.status) != (user.password_hash, user.status):
            raise _invalid()
        return await _start_session(caller, user)


async def sign_out(caller: Caller) -> None:
    """Ends the session that asks. Raises Unauthenticated."""
    principal = require_sign_in(caller.principal)
    async with transaction():
        ended = await Session.filter(id=principal.session_id, ended_at__isnull=True).update(ended_at=caller.now)
        if ended:
            await record(
                caller,
                EventType.SESSION_ENDED,
                "Signed out",
                account_id=principal.account_id,
                subject=(Kind.USER, principal.user.id),
            )


async def accept_invitation(caller: Caller, *, invitation_token: Secret, password: Secret) -> SignedIn:
    """Sets a new user's first password, once, and signs them in. Raises Refused (INVALID, NOT_FOUND)."""
    refuse_if_any(check_password(password.reveal()))
    password_hash = await hash_password(password)
    async with transaction():
        accepted = await Invitation.filter(
            token_hash=hash_token(invitation_token), accepted_at__isnull=True, expires_at__gt=caller.now
        ).update(accepted_at=caller.now)
        if not accepted:
            raise refuse(
                ErrorCode.NOT_FOUND,
                "This invitation does not exist, was used or has expired. Ask for a new one.",
                "invitation_token",
            )
        invitation = await Invitation.get(token_hash=hash_token(invitation_token))
        user = await User.get(id=invitation.user_id).select_related("account")
        if not _may_sign_in(user):
            raise _invalid()
        user.password_hash = password_hash
        await user.save(update_fields=["password_hash"])
        await record(
            caller,
            EventType.INVITATION_ACCEPTED,
            f"{user.email} accepted the invitation and set a password",
            account_id=user.account_id,
            subject=(Kind.USER, user.id),
            actor_id=user.id,
        )
        return await _start_session(caller, user)


def _may_sign_in(user: User) -> bool:
    account_is_active = user.account is None or user.account.status is AccountStatus.ACTIVE
    return user.status is UserStatus.ACTIVE and account_is_active


async def _start_session(caller: Caller, user: User) -> SignedIn:
    token = generate_token("session")
    expires_at = caller.now + caller.deployment.session_lifetime
    session = await Session.create(
        id=new_id(caller.now),
        user=user,
        token_hash=hash_token(token),
        created_at=caller.now,
        expires_at=expires_at,
    )
    principal = Principal(user=user, session_id=session.id)
    await record(
        replace(caller, principal=principal),
        EventType.SESSION_STARTED,
        "Signed in",
        account_id=user.account_id,
        subject=(Kind.USER, user.id),
    )
    return SignedIn(token, expires_at, principal)


async def _record_denied(caller: Caller, user: User | None) -> None:
    async with transaction():
        await record(
            replace(caller, principal=None),
            EventType.SIGN_IN_DENIED,
            "A sign-in was refused" if user else "A sign-in for an unknown address was refused",
            account_id=user.account_id if user else None,
            subject=(Kind.USER, user.id) if user else None,
        )


def _invalid() -> Refused:
    return refuse(ErrorCode.INVALID_CREDENTIALS, "The e-mail address or the password is not right.")
