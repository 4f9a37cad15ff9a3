"""Submitting and vetting identities."""

from datetime import datetime

import strawberry
from strawberry import UNSET

from models.identity import IdentityKind
from resolvers import identities
from schema.context import Info
from schema.errors import Payload, answering_with_user_errors
from schema.inputs import arguments
from schema.objects import Identity


@strawberry.input(description="A new identity, to be vetted.")
class SubmitIdentityInput:
    account_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="For operators: whose. Others leave it out."
    )
    name: str = strawberry.field(description="1 to 200 characters; it never changes.")
    kind: IdentityKind = strawberry.field(description="What it is; it never changes.")


@strawberry.input(description="An identity that was vetted.")
class ApproveIdentityInput:
    identity_id: strawberry.ID = strawberry.field(description="The identity's id; it is PENDING_VETTING or EXPIRED.")
    valid_until: datetime | None = strawberry.field(default=UNSET, description="When it expires; left out: never.")


@strawberry.input(description="Which identity, and why.")
class IdentityInput:
    identity_id: strawberry.ID = strawberry.field(description="The identity's id.")
    reason: str | None = strawberry.field(default=UNSET, description="For the audit log; 1 to 200 characters.")


@strawberry.type(description="The identity as it is now.")
class IdentityPayload(Payload):
    identity: Identity | None = strawberry.field(default=None, description="Null where it was refused.")


@strawberry.type
class IdentityMutations:
    @strawberry.mutation(description="Submits an identity for vetting.")
    @answering_with_user_errors
    async def submit_identity(self, info: Info, input: SubmitIdentityInput) -> IdentityPayload:
        caller = info.context.caller
        return IdentityPayload(
            identity=Identity.of(await identities.submit_identity(caller, **arguments(input)), caller)
        )

    @strawberry.mutation(description="For operators: lets an identity be used; approves one that has expired anew.")
    @answering_with_user_errors
    async def approve_identity(self, info: Info, input: ApproveIdentityInput) -> IdentityPayload:
        caller = info.context.caller
        row = await identities.approve_identity(caller, **arguments(input))
        return IdentityPayload(identity=Identity.of(row, caller))

    @strawberry.mutation(description="For operators: refuses a submitted identity, for good.")
    @answering_with_user_errors
    async def reject_identity(self, info: Info, input: IdentityInput) -> IdentityPayload:
        caller = info.context.caller
        return IdentityPayload(
            identity=Identity.of(await identities.reject_identity(caller, **arguments(input)), caller)
        )

    @strawberry.mutation(description="For operators: blocks an identity's credentials until it is reinstated.")
    @answering_with_user_errors
    async def suspend_identity(self, info: Info, input: IdentityInput) -> IdentityPayload:
        caller = info.context.caller
        row = await identities.suspend_identity(caller, **arguments(input))
        return IdentityPayload(identity=Identity.of(row, caller))

    @strawberry.mutation(description="For operators: lifts a suspension.")
    @answering_with_user_errors
    async def reinstate_identity(self, info: Info, input: IdentityInput) -> IdentityPayload:
        caller = info.context.caller
        row = await identities.reinstate_identity(caller, **arguments(input))
        return IdentityPayload(identity=Identity.of(row, caller))
