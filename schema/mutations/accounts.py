"""Accounts."""

import strawberry

from resolvers import accounts
from schema.context import Info
from schema.errors import Payload, answering_with_user_errors
from schema.inputs import arguments
from schema.objects import Account


@strawberry.input(description="A new account.")
class CreateAccountInput:
    name: str = strawberry.field(description="1 to 200 characters; unique.")


@strawberry.input(description="An account.")
class AccountInput:
    account_id: strawberry.ID = strawberry.field(description="Which.")


@strawberry.type(description="The account as it is now.")
class AccountPayload(Payload):
    account: Account | None = strawberry.field(default=None, description="Null where it was refused.")


@strawberry.type
class AccountMutations:
    @strawberry.mutation(description="For operators: a new customer.")
    @answering_with_user_errors
    async def create_account(self, info: Info, input: CreateAccountInput) -> AccountPayload:
        account = await accounts.create_account(info.context.caller, **arguments(input))
        return AccountPayload(account=Account.of(account))

    @strawberry.mutation(description="For operators: nobody of it signs in, none of its credentials is let in.")
    @answering_with_user_errors
    async def suspend_account(self, info: Info, input: AccountInput) -> AccountPayload:
        account = await accounts.suspend_account(info.context.caller, **arguments(input))
        return AccountPayload(account=Account.of(account))

    @strawberry.mutation(description="For operators: lifts a suspension.")
    @answering_with_user_errors
    async def reinstate_account(self, info: Info, input: AccountInput) -> AccountPayload:
        account = await accounts.reinstate_account(info.context.caller, **arguments(input))
        return AccountPayload(account=Account.of(account))
