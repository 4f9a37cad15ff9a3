"""The life of a credential."""

import strawberry
from strawberry import UNSET

from models.credential import RevocationReason
from resolvers import credentials
from resolvers.generate_credential import generate_credential
from schema.context import Info
from schema.deliveries import CredentialDelivery, DeliveryInput, ExpiryInput, delivered
from schema.errors import Payload, answering_with_user_errors
from schema.inputs import arguments
from schema.objects import Credential


@strawberry.input(description="A new credential.")
class GenerateCredentialInput:
    name: str = strawberry.field(
        description="1 to 64 of a-z, 0-9 and _; unique in the account among credentials that are not revoked."
    )
    service_id: strawberry.ID = strawberry.field(description="An ACTIVE service of the account.")
    identity_id: strawberry.ID = strawberry.field(description="ACTIVE; must be linked to the service.")
    delivery: DeliveryInput = strawberry.field(description="How to hand over the secret.")
    expiry: ExpiryInput | None = strawberry.field(default=UNSET, description="Left out: the account's policy decides.")


@strawberry.input(description="Where a credential should move to: a service, an identity, or both.")
class ReassociateCredentialInput:
    credential_id: strawberry.ID = strawberry.field(description="Which.")
    service_id: strawberry.ID | None = strawberry.field(default=UNSET, description="Left out: the one it has.")
    identity_id: strawberry.ID | None = strawberry.field(default=UNSET, description="Left out: the one it has.")


@strawberry.input(description="A credential to end, and why.")
class RevokeCredentialInput:
    credential_id: strawberry.ID = strawberry.field(description="Which.")
    reason: RevocationReason = strawberry.field(default=RevocationReason.UNSPECIFIED, description="For the record.")


@strawberry.input(description="Whose API key to show.")
class RevealApiKeyInput:
    credential_id: strawberry.ID = strawberry.field(description="Which: one's own.")


@strawberry.type(description="A new credential, its secret handed over this once.")
class GenerateCredentialPayload(Payload):
    credential: Credential | None = strawberry.field(default=None, description="Null where it was refused.")
    delivery: CredentialDelivery | None = strawberry.field(default=None, description="Never to be had again.")


@strawberry.type(description="The credential as it is now.")
class CredentialPayload(Payload):
    credential: Credential | None = strawberry.field(default=None, description="Null where it was refused.")


@strawberry.type(description="A whole API key.")
class RevealApiKeyPayload(Payload):
    api_key: str | None = strawberry.field(default=None, description="Null where it was refused.")


@strawberry.type
class CredentialMutations:
    @strawberry.mutation(description="A new credential of the viewer's.")
    @answering_with_user_errors
    async def generate_credential(self, info: Info, input: GenerateCredentialInput) -> GenerateCredentialPayload:
        caller = info.context.caller
        generated = await generate_credential(
            caller,
            name=input.name,
            service_id=input.service_id,
            identity_id=input.identity_id,
            delivery=input.delivery.request(),
            expiry=input.expiry.wanted() if input.expiry else None,
        )
        return GenerateCredentialPayload(
            credential=Credential.of(generated.credential, caller), delivery=delivered(generated.delivery)
        )

    @strawberry.mutation(description="Moves a credential to another service, another identity, or both; its key stays.")
    @answering_with_user_errors
    async def reassociate_credential(self, info: Info, input: ReassociateCredentialInput) -> CredentialPayload:
        caller = info.context.caller
        row = await credentials.reassociate_credential(caller, **arguments(input))
        return CredentialPayload(credential=Credential.of(row, caller))

    @strawberry.mutation(description="Ends a credential, at once and for good.")
    @answering_with_user_errors
    async def revoke_credential(self, info: Info, input: RevokeCredentialInput) -> CredentialPayload:
        caller = info.context.caller
        row = await credentials.revoke_credential(caller, **arguments(input))
        return CredentialPayload(credential=Credential.of(row, caller))

    @strawberry.mutation(
        description="The whole API key (never the secret, which is not kept). Each call is written to the audit log."
    )
    @answering_with_user_errors
    async def reveal_api_key(self, info: Info, input: RevealApiKeyInput) -> RevealApiKeyPayload:
        return RevealApiKeyPayload(api_key=await credentials.reveal_api_key(info.context.caller, **arguments(input)))
