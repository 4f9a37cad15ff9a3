"""Accounts and the people in them."""

import strawberry
from strawberry import UNSET

from models.user import Role
from resolvers import accounts
from schema.context import Info
from schema.errors import Payload, answering_with_user_errors
from schema.inputs import arguments
from schema.objects import Account, User


@strawberry.input(description="A new account.")
class CreateAccountInput:
    name: str = strawberry.field(description="1 to 200 characters; unique.")


@strawberry.input(description="A new user.")
class CreateUserInput:
    account_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="For operators: whose user; left out for an operator like themselves."
    )
    email: str = strawberry.field(description="What they will sign in with; unique.")
    display_name: str = strawberry.field(description="1 to 200 characters.")
    role: Role = strawberry.field(description="What they will be.")
    api_access: bool = strawberry.field(default=False, description="Whether they may have credentials.")


@strawberry.type(description="The account as it is now.")
class AccountPayload(Payload):
    account: Account | None = strawberry.field(default=None, description="Null where it was refused.")


@strawberry.type(description="The new user.")
class CreateUserPayload(Payload):
    user: User | None = strawberry.field(default=None, description="Null where it was refused.")
    invitation_token: str | None = strawberry.field(
        default=None, description="With which the new user sets a first password; shown this once."
    )


@strawberry.type
class AccountMutations:
    @strawberry.mutation(description="For operators: a new customer.")
    @answering_with_user_errors
    async def create_account(self, info: Info, input: CreateAccountInput) -> AccountPayload:
        account = await accounts.create_account(info.context.caller, **arguments(input))
        return AccountPayload(account=Account.of(account))

    @strawberry.mutation(description="A new user, who accepts the invitation to sign in for the first time.")
    @answering_with_user_errors
    async def create_user(self, info: Info, input: CreateUserInput) -> CreateUserPayload:
        invited = await accounts.create_user(info.context.caller, **arguments(input))
        return CreateUserPayload(
            user=User.with_account(invited.user), invitation_token=invited.invitation_token.reveal()
        )
