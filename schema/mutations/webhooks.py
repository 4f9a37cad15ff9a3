"""Being told of events."""

import strawberry
from strawberry import UNSET

from resolvers import webhooks
from resolvers.webhook_events import WebhookEventType
from schema.context import Info
from schema.errors import Payload, answering_with_user_errors
from schema.inputs import arguments
from schema.objects import WebhookEndpoint


@strawberry.input(description="An address to be told of events.")
class CreateWebhookEndpointInput:
    account_id: strawberry.ID | None = strawberry.field(default=UNSET, description="For operators: of which account.")
    url: str = strawberry.field(description="https, at a public address, unless the deployment allows others.")
    event_types: list[WebhookEventType] = strawberry.field(description="What to be told of.")


@strawberry.input(description="An address to be told no more.")
class RemoveWebhookEndpointInput:
    endpoint_id: strawberry.ID = strawberry.field(description="The endpoint's id.")


@strawberry.type(description="A new webhook endpoint.")
class CreateWebhookEndpointPayload(Payload):
    endpoint: WebhookEndpoint | None = strawberry.field(default=None, description="Null where it was refused.")
    signing_secret: str | None = strawberry.field(
        default=None, description="What its messages are signed with (Standard Webhooks); shown this once."
    )


@strawberry.type(description="A webhook endpoint is gone.")
class RemoveWebhookEndpointPayload(Payload):
    pass


@strawberry.type
class WebhookMutations:
    @strawberry.mutation(description="Has an address of the account's own server told of events.")
    @answering_with_user_errors
    async def create_webhook_endpoint(
        self, info: Info, input: CreateWebhookEndpointInput
    ) -> CreateWebhookEndpointPayload:
        created = await webhooks.create_webhook_endpoint(info.context.caller, **arguments(input))
        secret = created.signing_secret.reveal()
        return CreateWebhookEndpointPayload(endpoint=WebhookEndpoint.of(created.endpoint), signing_secret=secret)

    @strawberry.mutation(description="Nothing more is sent to an address.")
    @answering_with_user_errors
    async def remove_webhook_endpoint(
        self, info: Info, input: RemoveWebhookEndpointInput
    ) -> RemoveWebhookEndpointPayload:
        await webhooks.remove_webhook_endpoint(info.context.caller, **arguments(input))
        return RemoveWebhookEndpointPayload()
