"""Accounts."""

import dataclasses
from typing import Any

import strawberry
from strawberry import UNSET

from models.account import DeliveryMethod
from resolvers import accounts
from resolvers.policy import update_credential_policy
from schema.context import Info
from schema.errors import Payload, answering_with_user_errors
from schema.inputs import arguments
from schema.objects import Account


@strawberry.input(description="A new account.")
class CreateAccountInput:
    name: str = strawberry.field(description="1 to 200 characters; unique.")


@strawberry.input(description="Which account.")
class AccountInput:
    account_id: strawberry.ID = strawberry.field(description="The account's id.")


@strawberry.input(description="What should change in an account's policy; what is left out stays.")
class UpdateCredentialPolicyInput:
    account_id: strawberry.ID = strawberry.field(description="The account's id.")
    max_active_credentials_per_user: int | None = strawberry.field(
        default=UNSET, description="0 to 1000; what is there already stays."
    )
    default_expiry_months: int | None = strawberry.field(
        default=UNSET, description="1 to 1200; null: never, where never is allowed."
    )
    maximum_expiry_months: int | None = strawberry.field(default=UNSET, description="1 to 1200; null: no bound.")
    never_expires_allowed: bool | None = strawberry.field(
        default=UNSET, description="Whether a credential may have no end."
    )
    allowed_delivery_methods: list[DeliveryMethod] | None = strawberry.field(
        default=UNSET, description="How secrets may be delivered; at least one way."
    )
    minimum_rsa_key_bits: int | None = strawberry.field(
        default=UNSET, description="The fewest bits of a public key, 2048 to 16384."
    )

    def changes(self) -> dict[str, Any]:
        """What was named: a null is a value here for the months, and for the others says nothing."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        nullable = {"default_expiry_months", "maximum_expiry_months"}
        return {
            name: value
            for name, value in fields.items()
            if name != "account_id" and value is not UNSET and (value is not None or name in nullable)
        }


@strawberry.type(description="The account as it is now.")
class AccountPayload(Payload):
    account: Account | None = strawberry.field(default=None, description="Null where it was refused.")


@strawberry.type
class AccountMutations:
    @strawberry.mutation(description="For operators: a new customer. TAKEN where another has the name.")
    @answering_with_user_errors
    async def create_account(self, info: Info, input: CreateAccountInput) -> AccountPayload:
        account = await accounts.create_account(info.context.caller, **arguments(input))
        return AccountPayload(account=Account.of(account))

    @strawberry.mutation(
        description="Changes what new credentials must keep to. NOT_ALLOWED_BY_POLICY beyond what the provider allows."
    )
    @answering_with_user_errors
    async def update_credential_policy(self, info: Info, input: UpdateCredentialPolicyInput) -> AccountPayload:
        account = await update_credential_policy(
            info.context.caller, account_id=input.account_id, changes=input.changes()
        )
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
