"""The people in an account."""

import strawberry
from strawberry import UNSET

from models import user as user_model
from models.user import Role
from resolvers import users
from schema.context import Info
from schema.errors import Payload, answering_with_user_errors
from schema.inputs import arguments
from schema.objects import User


@strawberry.input(description="A new user.")
class CreateUserInput:
    account_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="For operators: whose user; left out for an operator like themselves."
    )
    email: str = strawberry.field(description="What they will sign in with; unique.")
    display_name: str = strawberry.field(description="1 to 200 characters.")
    role: Role = strawberry.field(description="What they will be.")
    api_access: bool = strawberry.field(default=False, description="Whether they may have credentials.")


@strawberry.input(description="Which user.")
class UserInput:
    user_id: strawberry.ID = strawberry.field(description="The user's id.")


@strawberry.input(description="A user, and what they should be.")
class SetUserRoleInput:
    user_id: strawberry.ID = strawberry.field(description="The user's id; not one's own.")
    role: Role = strawberry.field(description="ADMINISTRATOR, MEMBER or AUDITOR.")


@strawberry.type(description="The user as they are now.")
class UserPayload(Payload):
    user: User | None = strawberry.field(default=None, description="Null where it was refused.")


@strawberry.type(description="A user who has not been here yet.")
class CreateUserPayload(Payload):
    user: User | None = strawberry.field(default=None, description="Null where it was refused.")
    invitation_token: str | None = strawberry.field(
        default=None, description="With which the new user sets a first password; shown this once."
    )

    @staticmethod
    def of(invited: users.Invited) -> "CreateUserPayload":
        return CreateUserPayload(
            user=User.with_account(invited.user), invitation_token=invited.invitation_token.reveal()
        )


def _answer(row: user_model.User) -> UserPayload:
    return UserPayload(user=User.with_account(row))


@strawberry.type
class UserMutations:
    @strawberry.mutation(description="A new user, who accepts the invitation to sign in for the first time.")
    @answering_with_user_errors
    async def create_user(self, info: Info, input: CreateUserInput) -> CreateUserPayload:
        return CreateUserPayload.of(await users.create_user(info.context.caller, **arguments(input)))

    @strawberry.mutation(description="Another invitation for who has not accepted theirs, which is good no longer.")
    @answering_with_user_errors
    async def renew_invitation(self, info: Info, input: UserInput) -> CreateUserPayload:
        return CreateUserPayload.of(await users.renew_invitation(info.context.caller, **arguments(input)))

    @strawberry.mutation(description="What somebody else is from now on; the last active administrator stays one.")
    @answering_with_user_errors
    async def set_user_role(self, info: Info, input: SetUserRoleInput) -> UserPayload:
        return _answer(await users.set_user_role(info.context.caller, **arguments(input)))

    @strawberry.mutation(description="Lets a member have credentials; those there are work again.")
    @answering_with_user_errors
    async def grant_api_access(self, info: Info, input: UserInput) -> UserPayload:
        return UserPayload(
            user=User.with_account(await users.grant_api_access(info.context.caller, **arguments(input)))
        )

    @strawberry.mutation(description="Blocks a member's credentials until access is granted again.")
    @answering_with_user_errors
    async def remove_api_access(self, info: Info, input: UserInput) -> UserPayload:
        return UserPayload(
            user=User.with_account(await users.remove_api_access(info.context.caller, **arguments(input)))
        )

    @strawberry.mutation(description="Ends a user's sessions and tokens at once, and blocks the credentials.")
    @answering_with_user_errors
    async def deactivate_user(self, info: Info, input: UserInput) -> UserPayload:
        return _answer(await users.deactivate_user(info.context.caller, **arguments(input)))

    @strawberry.mutation(description="Lets a user sign in again; sessions and tokens stay ended.")
    @answering_with_user_errors
    async def reactivate_user(self, info: Info, input: UserInput) -> UserPayload:
        return _answer(await users.reactivate_user(info.context.caller, **arguments(input)))
