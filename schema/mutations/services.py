"""Services, and the identities linked to them."""

from datetime import datetime

import strawberry
from strawberry import UNSET

from resolvers import services
from schema.context import Info
from schema.errors import Payload, answering_with_user_errors
from schema.inputs import arguments
from schema.objects import Service


@strawberry.input(description="A new subscription.")
class CreateServiceInput:
    account_id: strawberry.ID = strawberry.field(description="The id of the account whose it is.")
    name: str = strawberry.field(description="1 to 200 characters.")
    code: str = strawberry.field(
        description="1 to 64 of a-z, 0-9, '.', '_' and '-'; unique in the account among services not cancelled."
    )
    starts_at: datetime | None = strawberry.field(default=UNSET, description="When it starts; left out: now.")
    expires_at: datetime | None = strawberry.field(default=UNSET, description="When it expires; left out: never.")
    identity_ids: list[strawberry.ID] | None = strawberry.field(
        default=UNSET, description="Identities of the account that may be used with it."
    )


@strawberry.input(description="A service and its new end.")
class RenewServiceInput:
    service_id: strawberry.ID = strawberry.field(description="The service's id.")
    expires_at: datetime = strawberry.field(description="When it expires from now on; in the future.")


@strawberry.input(description="Which service, and why.")
class ServiceInput:
    service_id: strawberry.ID = strawberry.field(description="The service's id.")
    reason: str | None = strawberry.field(default=UNSET, description="For the audit log; 1 to 200 characters.")


@strawberry.input(description="A service and an identity of the same account.")
class LinkIdentityInput:
    service_id: strawberry.ID = strawberry.field(description="The service's id.")
    identity_id: strawberry.ID = strawberry.field(description="The identity's id.")


@strawberry.type(description="The service as it is now.")
class ServicePayload(Payload):
    service: Service | None = strawberry.field(default=None, description="Null where it was refused.")


@strawberry.type
class ServiceMutations:
    @strawberry.mutation(description="For operators: opens a subscription.")
    @answering_with_user_errors
    async def create_service(self, info: Info, input: CreateServiceInput) -> ServicePayload:
        caller = info.context.caller
        return ServicePayload(service=Service.of(await services.create_service(caller, **arguments(input)), caller))

    @strawberry.mutation(description="For operators: a new end and nothing else; every credential works again, or on.")
    @answering_with_user_errors
    async def renew_service(self, info: Info, input: RenewServiceInput) -> ServicePayload:
        caller = info.context.caller
        return ServicePayload(service=Service.of(await services.renew_service(caller, **arguments(input)), caller))

    @strawberry.mutation(description="For operators: blocks a service's credentials until it is resumed.")
    @answering_with_user_errors
    async def suspend_service(self, info: Info, input: ServiceInput) -> ServicePayload:
        caller = info.context.caller
        return ServicePayload(service=Service.of(await services.suspend_service(caller, **arguments(input)), caller))

    @strawberry.mutation(description="For operators: lifts a suspension.")
    @answering_with_user_errors
    async def resume_service(self, info: Info, input: ServiceInput) -> ServicePayload:
        caller = info.context.caller
        return ServicePayload(service=Service.of(await services.resume_service(caller, **arguments(input)), caller))

    @strawberry.mutation(description="For operators: ends a service for good.")
    @answering_with_user_errors
    async def cancel_service(self, info: Info, input: ServiceInput) -> ServicePayload:
        caller = info.context.caller
        return ServicePayload(service=Service.of(await services.cancel_service(caller, **arguments(input)), caller))

    @strawberry.mutation(description="For operators: lets an identity be used with a service.")
    @answering_with_user_errors
    async def link_identity_to_service(self, info: Info, input: LinkIdentityInput) -> ServicePayload:
        caller = info.context.caller
        row = await services.link_identity_to_service(caller, **arguments(input))
        return ServicePayload(service=Service.of(row, caller))

    @strawberry.mutation(description="For operators: no new credential for this pair; those there are work on.")
    @answering_with_user_errors
    async def unlink_identity_from_service(self, info: Info, input: LinkIdentityInput) -> ServicePayload:
        caller = info.context.caller
        row = await services.unlink_identity_from_service(caller, **arguments(input))
        return ServicePayload(service=Service.of(row, caller))
