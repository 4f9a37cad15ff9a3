"""Signing in and out, and the passwords that it takes."""

from dataclasses import dataclass, replace
from datetime import datetime

from tortoise.queryset import QuerySet

from auth.bearer import is_active
from auth.crypto.secret import Secret
from auth.opaque_token import TokenPurpose, generate_token, hash_token
from auth.passwords import MAXIMUM_LENGTH, hash_password, password_matches
from auth.policy import require_person
from auth.principal import Principal
from models.database import locked, transaction
from models.ids import Kind, new_id
from models.user import Invitation, Session, User
from resolvers.audit import EventType, record
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, Refused, refuse
from resolvers.throttling import SIGN_IN, throttled
from resolvers.validation import check_email, check_password, normal_email, refuse_if_any


@dataclass(frozen=True)
class SignedIn:
    """A session token, handed over this once, and whom it signs in."""

    token: Secret
    expires_at: datetime
    principal: Principal


async def sign_in(caller: Caller, *, email: str, password: Secret) -> SignedIn:
    """Starts a session. Raises Refused (INVALID_CREDENTIALS), the same for whatever is wrong, and Throttled."""
    email = normal_email(email)
    async with throttled(caller, SIGN_IN, email):
        # What can't be an address is not looked up: not every database takes every text.
        user = None if any(check_email(email)) else await User.get_or_none(email=email).select_related("account")
        matches = await _password_matches(user.password_hash if user else None, password)
        if user is None or not matches or not is_active(user):
            await _record_denied(caller, user)
            raise _invalid()
    async with transaction():
        # Checking takes a while: a password that was changed meanwhile, and somebody deactivated, start no session.
        now = await locked(User.filter(id=user.id)).get()
        if (now.password_hash, now.status) != (user.password_hash, user.status):
            raise _invalid()
        return await _start_session(caller, user)


async def sign_out(caller: Caller) -> None:
    """Ends the session that asks. Raises Denied."""
    user = require_person(caller.principal)
    async with transaction():
        session_id = caller.principal.session_id if caller.principal else None
        if session_id and await _end(Session.filter(id=session_id), caller.now):
            await _record(caller, user, EventType.SESSION_ENDED, "Signed out")


async def sign_out_everywhere(caller: Caller) -> None:
    """Ends every session of who asks, this one included. Raises Denied."""
    user = require_person(caller.principal)
    async with transaction():
        await end_sessions(user, caller.now)
        await _record(caller, user, EventType.SESSION_ENDED, "Signed out everywhere")


async def accept_invitation(caller: Caller, *, invitation_token: Secret, password: Secret) -> SignedIn:
    """Sets a new user's first password, once, and signs them in. Raises Refused (INVALID, NOT_FOUND)."""
    refuse_if_any(check_password(password.reveal()))
    token_hash = hash_token(invitation_token)
    if not await _open_invitations(token_hash, caller.now).exists():
        raise _no_such_invitation()
    password_hash = await hash_password(password)
    async with transaction():
        invitation = await Invitation.get(token_hash=token_hash)
        # The user first, as everybody does who changes one: invited again or deactivated meanwhile, nobody comes in.
        await locked(User.filter(id=invitation.user_id)).get()
        user = await User.get(id=invitation.user_id).select_related("account")
        if not await _open_invitations(token_hash, caller.now).update(accepted_at=caller.now):
            raise _no_such_invitation()
        # One left over from before a password was set here another way sets no second one.
        if not is_active(user) or user.password_hash is not None:
            raise _no_such_invitation()
        user.password_hash = password_hash
        await user.save(update_fields=["password_hash"])
        summary = f"{user.email} accepted the invitation and set a password"
        await _record(caller, user, EventType.INVITATION_ACCEPTED, summary)
        return await _start_session(caller, user)


async def change_password(caller: Caller, *, current_password: Secret, new_password: Secret) -> None:
    """Changes one's own password and ends all one's sessions, this one included. Raises Denied, Throttled, and
    Refused (INVALID, INVALID_CREDENTIALS)."""
    user = require_person(caller.principal)
    refuse_if_any(check_password(new_password.reveal(), "new_password"))
    async with throttled(caller, SIGN_IN, user.email):
        kept = await User.get(id=user.id)
        if not await _password_matches(kept.password_hash, current_password):
            await _record_denied(caller, user)
            raise refuse(ErrorCode.INVALID_CREDENTIALS, "The current password is not right.", "current_password")
    password_hash = await hash_password(new_password)
    async with transaction():
        changed = await User.filter(id=user.id, password_hash=kept.password_hash).update(password_hash=password_hash)
        if not changed:
            raise refuse(ErrorCode.CONFLICT, "The password was changed meanwhile. Sign in again.")
        await end_sessions(user, caller.now)
        await _record(caller, user, EventType.PASSWORD_CHANGED, f"{user.email} changed the password")


async def set_password(caller: Caller, *, email: str, password: Secret) -> User:
    """Gives a user a new password without the old one, from the command line only, and ends their sessions.
    Raises Refused (NOT_FOUND, INVALID, CONFLICT: who signs in with the OpenID provider)."""
    refuse_if_any(check_password(password.reveal()))
    password_hash = await hash_password(password)
    async with transaction():
        user = await locked(User.filter(email=normal_email(email))).get_or_none()
        if user is None:
            raise refuse(ErrorCode.NOT_FOUND, "There is no user with this address.", "email")
        if user.oidc_subject is not None and user.password_hash is None:
            raise refuse(ErrorCode.CONFLICT, "This user signs in with the OpenID provider.", "email")
        user.password_hash = password_hash
        await user.save(update_fields=["password_hash"])
        await end_sessions(user, caller.now)
        # One still open would let whoever has it set another password.
        await end_invitations(user, caller.now)
        summary = f"{user.email} was given a new password from the command line"
        await _record(caller, user, EventType.PASSWORD_SET, summary)
    return user


async def end_sessions(user: User, now: datetime) -> None:
    """Ends all sessions of a user, inside a transaction."""
    await _end(Session.filter(user_id=user.id), now)


async def forget_sessions(now: datetime) -> None:
    """Removes those whose time is over, whether they were ended before or not: the log has when they began."""
    await Session.filter(expires_at__lte=now).delete()


async def end_invitations(user: User, now: datetime) -> None:
    """Ends all invitations of a user that are open, inside a transaction."""
    await Invitation.filter(user_id=user.id, accepted_at__isnull=True).update(accepted_at=now)


async def _start_session(caller: Caller, user: User) -> SignedIn:
    token = generate_token(TokenPurpose.SESSION)
    expires_at = caller.now + caller.deployment.session_rules.lifetime
    session = await Session.create(
        id=new_id(caller.now),
        user=user,
        token_hash=hash_token(token),
        created_at=caller.now,
        expires_at=expires_at,
        last_seen_at=caller.now,
    )
    principal = Principal.of_user(user, session.id)
    await _record(replace(caller, principal=principal), user, EventType.SESSION_STARTED, "Signed in")
    return SignedIn(token, expires_at, principal)


async def _password_matches(kept: str | None, password: Secret) -> bool:
    """In the same time whatever is kept, and however long the password."""
    acceptable = len(password.reveal()) <= MAXIMUM_LENGTH
    return await password_matches(kept if acceptable else None, password if acceptable else Secret(""))


def _open_invitations(token_hash: str, now: datetime) -> QuerySet[Invitation]:
    return Invitation.filter(token_hash=token_hash, accepted_at__isnull=True, expires_at__gt=now)


async def _end(sessions: QuerySet[Session], now: datetime) -> int:
    return await sessions.filter(ended_at__isnull=True).update(ended_at=now)


async def _record_denied(caller: Caller, user: User | None) -> None:
    summary = "A sign-in was refused" if user else "A sign-in for an unknown address was refused"
    async with transaction():
        await record(
            replace(caller, principal=None),
            EventType.SIGN_IN_DENIED,
            summary,
            account_id=user.account_id if user else None,
            subject=(Kind.USER, user.id) if user else None,
        )


async def _record(caller: Caller, user: User, event_type: EventType, summary: str) -> None:
    """About a user, by that same user, unless somebody else is signed in or it came from the command line."""
    actor_id = None if caller.principal or event_type is EventType.PASSWORD_SET else user.id
    subject = (Kind.USER, user.id)
    await record(caller, event_type, summary, account_id=user.account_id, subject=subject, actor_id=actor_id)


def _invalid() -> Refused:
    return refuse(ErrorCode.INVALID_CREDENTIALS, "The e-mail address or the password is not right.")


def _no_such_invitation() -> Refused:
    return refuse(
        ErrorCode.NOT_FOUND,
        "This invitation does not exist, was used or has expired. Ask for a new one.",
        "invitation_token",
    )
