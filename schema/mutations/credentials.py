"""The life of a credential."""

import strawberry
from strawberry import UNSET

from auth.crypto.secret import Secret
from models.credential import RevocationReason
from resolvers import credentials
from resolvers.generate_credential import generate_credential
from resolvers.rotate_credential import rotate_credential
from schema.context import Info
from schema.deliveries import CredentialDelivery, DeliveryInput, ExpiryInput, delivered
from schema.errors import Payload, answering_with_user_errors
from schema.inputs import arguments, given
from schema.objects import Credential

_IDEMPOTENCY = (
    "A retry with the same key within 10 minutes gets the same answer, secret included. At least 128 random bits, in "
    "22 to 255 characters."
)


@strawberry.input(description="A new credential.")
class GenerateCredentialInput:
    name: str = strawberry.field(
        description="1 to 64 of a-z, 0-9 and _; unique in the account among credentials that are neither revoked nor "
        "rotated."
    )
    service_id: strawberry.ID = strawberry.field(description="An ACTIVE service of the account.")
    identity_id: strawberry.ID = strawberry.field(description="ACTIVE; must be linked to the service.")
    delivery: DeliveryInput = strawberry.field(description="How to hand over the secret.")
    expiry: ExpiryInput | None = strawberry.field(default=UNSET, description="Left out: the account's policy decides.")
    allowed_networks: list[str] | None = strawberry.field(
        default=UNSET, description="CIDR blocks it may be used from, at most 50; left out: from everywhere."
    )
    idempotency_key: str | None = strawberry.field(default=UNSET, description=_IDEMPOTENCY)


@strawberry.input(description="A credential to make a successor of.")
class RotateCredentialInput:
    credential_id: strawberry.ID = strawberry.field(description="The id of one of one's own that is ACTIVE.")
    delivery: DeliveryInput = strawberry.field(description="How to hand over the new secret.")
    expiry: ExpiryInput | None = strawberry.field(default=UNSET, description="Left out: the account's policy decides.")
    grace_hours: int = strawberry.field(default=24, description="0 retires the old one at once. At most 720.")
    idempotency_key: str | None = strawberry.field(default=UNSET, description=_IDEMPOTENCY)


@strawberry.input(description="Where a credential may be used from.")
class SetAllowedNetworksInput:
    credential_id: strawberry.ID = strawberry.field(description="The credential's id.")
    networks: list[str] = strawberry.field(description="CIDR blocks, at most 50; none: from everywhere.")


@strawberry.input(description="Where a credential should move to: a service, an identity, or both.")
class ReassociateCredentialInput:
    credential_id: strawberry.ID = strawberry.field(description="The credential's id.")
    service_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="An ACTIVE service; left out: the one it has."
    )
    identity_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="An ACTIVE identity that is linked to the service; left out: the one it has."
    )


@strawberry.input(description="A credential to end, and why.")
class RevokeCredentialInput:
    credential_id: strawberry.ID = strawberry.field(description="The credential's id.")
    reason: RevocationReason = strawberry.field(
        default=RevocationReason.UNSPECIFIED, description="Why, for the record."
    )
    lineage: bool = strawberry.field(
        default=False, description="For a compromise: also those it was made in the place of, and made in its place."
    )


@strawberry.input(description="Whose API key to show.")
class RevealApiKeyInput:
    credential_id: strawberry.ID = strawberry.field(description="The id of one of one's own.")


@strawberry.type(description="A new credential, its secret handed over this once.")
class GenerateCredentialPayload(Payload):
    credential: Credential | None = strawberry.field(default=None, description="Null where it was refused.")
    delivery: CredentialDelivery | None = strawberry.field(
        default=None, description="Key and secret, or the file they are in: never to be had again."
    )


@strawberry.type(description="A successor, its secret handed over this once, and the one that retires.")
class RotateCredentialPayload(Payload):
    credential: Credential | None = strawberry.field(default=None, description="The successor.")
    predecessor: Credential | None = strawberry.field(default=None, description="The old one as it is now.")
    delivery: CredentialDelivery | None = strawberry.field(
        default=None, description="Key and secret, or the file they are in: never to be had again."
    )


@strawberry.type(description="The credential as it is now.")
class CredentialPayload(Payload):
    credential: Credential | None = strawberry.field(default=None, description="Null where it was refused.")


@strawberry.type(description="A whole API key.")
class RevealApiKeyPayload(Payload):
    api_key: str | None = strawberry.field(default=None, description="Null where it was refused.")


def _secret(value: str | None) -> Secret | None:
    return Secret(value) if isinstance(value, str) else None


@strawberry.type
class CredentialMutations:
    @strawberry.mutation(
        description="A new credential of the viewer's. Whatever can be refused is refused before anything is made: "
        "SERVICE_NOT_ACTIVE, IDENTITY_NOT_ACTIVE, IDENTITY_NOT_LINKED_TO_SERVICE, TAKEN for the name, LIMIT_REACHED, "
        "NOT_ALLOWED_BY_POLICY, and what may be wrong with a public key."
    )
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
            allowed_networks=given(input.allowed_networks),
            idempotency_key=_secret(input.idempotency_key),
        )
        return GenerateCredentialPayload(
            credential=Credential.of(generated.credential, caller), delivery=delivered(generated.delivery)
        )

    @strawberry.mutation(
        description="A successor with the same name and associations; the old one works on until its grace is over. "
        "CREDENTIAL_NOT_ACTIVE unless it is ACTIVE and was not rotated before; otherwise refused as generating is."
    )
    @answering_with_user_errors
    async def rotate_credential(self, info: Info, input: RotateCredentialInput) -> RotateCredentialPayload:
        caller = info.context.caller
        rotated = await rotate_credential(
            caller,
            credential_id=input.credential_id,
            delivery=input.delivery.request(),
            expiry=input.expiry.wanted() if input.expiry else None,
            grace_hours=input.grace_hours,
            idempotency_key=_secret(input.idempotency_key),
        )
        return RotateCredentialPayload(
            credential=Credential.of(rotated.credential, caller),
            predecessor=Credential.of(rotated.predecessor, caller) if rotated.predecessor else None,
            delivery=delivered(rotated.delivery),
        )

    @strawberry.mutation(description="Where a credential may be used from, from now on.")
    @answering_with_user_errors
    async def set_allowed_networks(self, info: Info, input: SetAllowedNetworksInput) -> CredentialPayload:
        caller = info.context.caller
        row = await credentials.set_allowed_networks(caller, **arguments(input))
        return CredentialPayload(credential=Credential.of(row, caller))

    @strawberry.mutation(
        description="Moves a credential to another service, another identity, or both; key and secret stay, and tokens "
        "for the old service are active no more. CONFLICT where it is there already, CREDENTIAL_NOT_ACTIVE unless it "
        "is ACTIVE."
    )
    @answering_with_user_errors
    async def reassociate_credential(self, info: Info, input: ReassociateCredentialInput) -> CredentialPayload:
        caller = info.context.caller
        row = await credentials.reassociate_credential(caller, **arguments(input))
        return CredentialPayload(credential=Credential.of(row, caller))

    @strawberry.mutation(
        description="Ends a credential, at once and for good. ALREADY_REVOKED changes nothing of the first time."
    )
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
