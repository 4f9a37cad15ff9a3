"""Signing in and out."""

from datetime import datetime

import strawberry

from auth.crypto.secret import Secret
from resolvers import sessions
from schema.context import Info
from schema.errors import Payload, answering_with_user_errors
from schema.objects import Viewer
from schema.viewer import viewer_of

_COOKIE = (
    "For browsers: the session token comes as an HttpOnly cookie, which counts only beside the header X-Sealkey-CSRF, "
    "and not in the answer."
)


@strawberry.input(description="Who signs in.")
class SignInInput:
    email: str = strawberry.field(description="The user's address; upper and lower case are the same.")
    password: str = strawberry.field(description="The user's password.")
    cookie: bool = strawberry.field(default=False, description=_COOKIE)


@strawberry.input(description="An invitation's token, and the password to set.")
class AcceptInvitationInput:
    invitation_token: str = strawberry.field(description="As createUser answered it; good once.")
    password: str = strawberry.field(description="12 to 1024 characters.")
    cookie: bool = strawberry.field(default=False, description=_COOKIE)


@strawberry.input(description="One's password, and the one to have instead.")
class ChangePasswordInput:
    current_password: str = strawberry.field(description="As it is until now.")
    new_password: str = strawberry.field(description="12 to 1024 characters.")


@strawberry.type(description="A session has begun.")
class SignInPayload(Payload):
    session_token: str | None = strawberry.field(
        default=None, description="Shown this once: to be sent as Authorization: Bearer."
    )
    expires_at: datetime | None = strawberry.field(default=None, description="When the session ends by itself.")
    viewer: Viewer | None = strawberry.field(default=None, description="Who has signed in.")


@strawberry.type(description="A session has ended.")
class SignOutPayload(Payload):
    pass


def _signed_in(info: Info, result: sessions.SignedIn, *, cookie: bool) -> SignInPayload:
    payload = SignInPayload(expires_at=result.expires_at, viewer=viewer_of(result.principal))
    if cookie:
        info.context.reply.started = result
    else:
        payload.session_token = result.token.reveal()
    return payload


@strawberry.type
class SessionMutations:
    @strawberry.mutation(
        description="Starts a session. INVALID_CREDENTIALS does not say what was wrong; after several tries in vain, "
        "the top-level error RATE_LIMITED says when to come back."
    )
    @answering_with_user_errors
    async def sign_in(self, info: Info, input: SignInInput) -> SignInPayload:
        password = Secret(input.password)
        signed_in = await sessions.sign_in(info.context.caller, email=input.email, password=password)
        return _signed_in(info, signed_in, cookie=input.cookie)

    @strawberry.mutation(description="Ends the session that asks.")
    @answering_with_user_errors
    async def sign_out(self, info: Info) -> SignOutPayload:
        await sessions.sign_out(info.context.caller)
        info.context.reply.ended = True
        return SignOutPayload()

    @strawberry.mutation(description="Ends every session of who asks, this one included.")
    @answering_with_user_errors
    async def sign_out_everywhere(self, info: Info) -> SignOutPayload:
        await sessions.sign_out_everywhere(info.context.caller)
        info.context.reply.ended = True
        return SignOutPayload()

    @strawberry.mutation(description="Changes one's own password, and ends every session of who asks.")
    @answering_with_user_errors
    async def change_password(self, info: Info, input: ChangePasswordInput) -> SignOutPayload:
        current, new = Secret(input.current_password), Secret(input.new_password)
        await sessions.change_password(info.context.caller, current_password=current, new_password=new)
        info.context.reply.ended = True
        return SignOutPayload()

    @strawberry.mutation(description="A new user sets a first password and is signed in.")
    @answering_with_user_errors
    async def accept_invitation(self, info: Info, input: AcceptInvitationInput) -> SignInPayload:
        token, password = Secret(input.invitation_token), Secret(input.password)
        signed_in = await sessions.accept_invitation(info.context.caller, invitation_token=token, password=password)
        return _signed_in(info, signed_in, cookie=input.cookie)
