"""Tokens for scripts and for gateways."""

from datetime import datetime

import strawberry
from strawberry import UNSET

from auth.permissions import Permission
from models.ids import Kind, global_id
from resolvers import tokens
from schema.context import Info
from schema.errors import Payload, answering_with_user_errors
from schema.inputs import arguments


@strawberry.input(description="A new token for one's own scripts.")
class CreatePersonalAccessTokenInput:
    name: str = strawberry.field(description="1 to 64 characters, to know it by.")
    permissions: list[Permission] = strawberry.field(description="What it may do: some of what the viewer may.")
    expires_at: datetime = strawberry.field(description="Within the next 366 days.")


@strawberry.input(description="A new token for a machine that checks credentials.")
class CreateGatewayTokenInput:
    account_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="For operators: of which account; left out, of all."
    )
    name: str = strawberry.field(description="1 to 64 characters, to know it by.")
    expires_at: datetime = strawberry.field(description="Within the next 1830 days.")


@strawberry.input(description="A token to end.")
class RevokePersonalAccessTokenInput:
    token_id: strawberry.ID = strawberry.field(description="Which: one's own, or a gateway's.")


@strawberry.type(description="A new token.")
class CreatePersonalAccessTokenPayload(Payload):
    token: str | None = strawberry.field(default=None, description="Shown this once.")
    token_id: strawberry.ID | None = strawberry.field(default=None, description="With which to revoke it.")

    @staticmethod
    def of(created: tokens.CreatedToken) -> "CreatePersonalAccessTokenPayload":
        token_id = strawberry.ID(global_id(Kind.ACCESS_TOKEN, created.row.id))
        return CreatePersonalAccessTokenPayload(token=created.token.reveal(), token_id=token_id)


@strawberry.type(description="A token has ended.")
class RevokePersonalAccessTokenPayload(Payload):
    pass


@strawberry.type
class TokenMutations:
    @strawberry.mutation(description="A token with which a script does some of what the viewer may do.")
    @answering_with_user_errors
    async def create_personal_access_token(
        self, info: Info, input: CreatePersonalAccessTokenInput
    ) -> CreatePersonalAccessTokenPayload:
        created = await tokens.create_personal_access_token(info.context.caller, **arguments(input))
        return CreatePersonalAccessTokenPayload.of(created)

    @strawberry.mutation(
        description="A token with which a machine may check credentials, of one account or (operators only) of all, "
        "and do nothing else."
    )
    @answering_with_user_errors
    async def create_gateway_token(
        self, info: Info, input: CreateGatewayTokenInput
    ) -> CreatePersonalAccessTokenPayload:
        created = await tokens.create_gateway_token(info.context.caller, **arguments(input))
        return CreatePersonalAccessTokenPayload.of(created)

    @strawberry.mutation(description="Ends one of the viewer's tokens, or a gateway's, at once.")
    @answering_with_user_errors
    async def revoke_personal_access_token(
        self, info: Info, input: RevokePersonalAccessTokenInput
    ) -> RevokePersonalAccessTokenPayload:
        await tokens.revoke_access_token(info.context.caller, **arguments(input))
        return RevokePersonalAccessTokenPayload()
