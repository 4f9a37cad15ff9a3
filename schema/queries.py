"""Everything that can be asked for."""

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import UNSET

from models.credential import CredentialStatus
from models.identity import IdentityStatus
from models.service import ServiceStatus
from models.user import Role
from resolvers import reading
from schema.connections import Connection, Node, connect
from schema.context import Context, Info
from schema.enums import CredentialOrderField, IdentityOrderField, OrderDirection, ServiceOrderField
from schema.inputs import arguments, order, page_request
from schema.objects import (
    AccessToken,
    Account,
    After,
    AuditEvent,
    Before,
    Credential,
    First,
    Identity,
    Last,
    Service,
    User,
    Viewer,
    WebhookEndpoint,
    node_of,
)
from schema.plain_fields import FROM_CONTEXT
from schema.viewer import viewer_of

_ACCOUNT = "Operators only; left out, all accounts."
_DIRECTION = "Which way."


@strawberry.input(description="Only users that fit all that is given.")
class UserFilter:
    account_id: strawberry.ID | None = strawberry.field(default=UNSET, description=_ACCOUNT)
    roles: list[Role] | None = strawberry.field(default=UNSET, description="With one of these roles.")
    api_access: bool | None = strawberry.field(default=UNSET, description="With API access, or without.")
    email_contains: str | None = strawberry.field(default=UNSET, description="Part of the address, in any case.")


@strawberry.input(description="Only identities that fit all that is given.")
class IdentityFilter:
    account_id: strawberry.ID | None = strawberry.field(default=UNSET, description=_ACCOUNT)
    statuses: list[IdentityStatus] | None = strawberry.field(
        default=UNSET, description="With one of these statuses now."
    )
    name_contains: str | None = strawberry.field(default=UNSET, description="Part of the name, A to Z in any case.")
    service_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="Only those that may be used with this service."
    )


@strawberry.input(description="Only services that fit all that is given.")
class ServiceFilter:
    account_id: strawberry.ID | None = strawberry.field(default=UNSET, description=_ACCOUNT)
    statuses: list[ServiceStatus] | None = strawberry.field(
        default=UNSET, description="With one of these statuses now."
    )
    name_contains: str | None = strawberry.field(default=UNSET, description="Part of the name, A to Z in any case.")
    identity_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="Only those that this identity may be used with."
    )
    expires_before: datetime | None = strawberry.field(default=UNSET, description="That end before this instant.")


@strawberry.input(description="Only credentials that fit all that is given.")
class CredentialFilter:
    account_id: strawberry.ID | None = strawberry.field(default=UNSET, description=_ACCOUNT)
    statuses: list[CredentialStatus] | None = strawberry.field(
        default=UNSET, description="With one of these statuses; left out, all but REVOKED."
    )
    identity_id: strawberry.ID | None = strawberry.field(default=UNSET, description="Of this identity.")
    service_id: strawberry.ID | None = strawberry.field(default=UNSET, description="Of this service.")
    owner_id: strawberry.ID | None = strawberry.field(default=UNSET, description="Of this user.")
    name_contains: str | None = strawberry.field(default=UNSET, description="Part of the name, in any case.")
    expires_before: datetime | None = strawberry.field(default=UNSET, description="That end before this instant.")
    unused_since: datetime | None = strawberry.field(default=UNSET, description="Not used since then, or never.")


@strawberry.input(description="Only events that fit all that is given.")
class AuditEventFilter:
    account_id: strawberry.ID | None = strawberry.field(default=UNSET, description=_ACCOUNT)
    types: list[str] | None = strawberry.field(
        default=UNSET, description="Of one of these types, as in credential.generated."
    )
    actor_id: strawberry.ID | None = strawberry.field(default=UNSET, description="By this user.")
    subject_id: strawberry.ID | None = strawberry.field(default=UNSET, description="About the thing with this id.")
    after: datetime | None = strawberry.field(default=UNSET, description="From this instant on.")
    before: datetime | None = strawberry.field(default=UNSET, description="Before this instant.")


@strawberry.input(description="What to order identities by, and which way.")
class IdentityOrder:
    field: IdentityOrderField = strawberry.field(description="What to order them by.")
    direction: OrderDirection = strawberry.field(default=OrderDirection.ASC, description=_DIRECTION)


@strawberry.input(description="What to order services by, and which way; those without an end come last.")
class ServiceOrder:
    field: ServiceOrderField = strawberry.field(description="What to order them by.")
    direction: OrderDirection = strawberry.field(default=OrderDirection.ASC, description=_DIRECTION)


@strawberry.input(
    description="What to order credentials by, and which way. Those without an end are taken to end last, those never "
    "used to have been used first."
)
class CredentialOrder:
    field: CredentialOrderField = strawberry.field(description="What to order them by.")
    direction: OrderDirection = strawberry.field(default=OrderDirection.ASC, description=_DIRECTION)


Filter = strawberry.argument(description="Leaves out what does not fit.")
OrderBy = strawberry.argument(description="Left out: oldest first.")


def _viewer(context: Context) -> Viewer:
    return viewer_of(context.caller.principal)


FROM_CONTEXT["viewer"] = _viewer


@strawberry.type(description="Everything that can be asked for.")
class Query:
    @strawberry.field(description="Who is asking, and what they may do.")
    def viewer(self, info: Info) -> Viewer:
        return _viewer(info.context)

    @strawberry.field(description="Anything by its id; null where there is no such thing that the viewer may see.")
    async def node(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The id of anything.")]
    ) -> Node | None:
        caller = info.context.caller
        return node_of(await reading.read_node(caller, id), caller)

    @strawberry.field(description="Several things by their ids, in the order asked; at most 100.")
    async def nodes(
        self,
        info: Info,
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="Ids of anything, at most 100.")],
    ) -> list[Node | None]:
        caller = info.context.caller
        return [node_of(row, caller) for row in await reading.read_nodes(caller, ids)]

    @strawberry.field(description="Operators see every account, others their own; oldest first.")
    async def accounts(
        self, info: Info, first: First = UNSET, after: After = UNSET, last: Last = UNSET, before: Before = UNSET
    ) -> Connection[Account]:
        page = await reading.read_accounts(info.context.caller, page_request(first, after, last, before))
        return connect(page, Account.of)

    @strawberry.field(description="Users, oldest first.")
    async def users(
        self,
        info: Info,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
        filter: Annotated[UserFilter | None, Filter] = UNSET,
    ) -> Connection[User]:
        wanted = reading.UserFilter(**arguments(filter))
        page = await reading.read_users(info.context.caller, wanted, page_request(first, after, last, before))
        return connect(page, User.with_account)

    @strawberry.field(description="The viewer's own tokens and, for who may see them, gateways'; oldest first.")
    async def access_tokens(
        self, info: Info, first: First = UNSET, after: After = UNSET, last: Last = UNSET, before: Before = UNSET
    ) -> Connection[AccessToken]:
        page = await reading.read_access_tokens(info.context.caller, page_request(first, after, last, before))
        return connect(page, AccessToken.of)

    @strawberry.field(description="Addresses that are told of events, oldest first.")
    async def webhook_endpoints(
        self, info: Info, first: First = UNSET, after: After = UNSET, last: Last = UNSET, before: Before = UNSET
    ) -> Connection[WebhookEndpoint]:
        page = await reading.read_webhook_endpoints(info.context.caller, page_request(first, after, last, before))
        return connect(page, WebhookEndpoint.of)

    @strawberry.field(description="The identities that the viewer may see.")
    async def identities(
        self,
        info: Info,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
        filter: Annotated[IdentityFilter | None, Filter] = UNSET,
        order_by: Annotated[IdentityOrder | None, OrderBy] = UNSET,
    ) -> Connection[Identity]:
        caller, wanted = info.context.caller, reading.IdentityFilter(**arguments(filter))
        page = await reading.read_identities(caller, wanted, order(order_by), page_request(first, after, last, before))
        return connect(page, lambda row: Identity.of(row, caller))

    @strawberry.field(description="The services that the viewer may see.")
    async def services(
        self,
        info: Info,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
        filter: Annotated[ServiceFilter | None, Filter] = UNSET,
        order_by: Annotated[ServiceOrder | None, OrderBy] = UNSET,
    ) -> Connection[Service]:
        caller, wanted = info.context.caller, reading.ServiceFilter(**arguments(filter))
        page = await reading.read_services(caller, wanted, order(order_by), page_request(first, after, last, before))
        return connect(page, lambda row: Service.of(row, caller))

    @strawberry.field(description="Revoked credentials are left out unless filter.statuses names REVOKED.")
    async def credentials(
        self,
        info: Info,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
        filter: Annotated[CredentialFilter | None, Filter] = UNSET,
        order_by: Annotated[CredentialOrder | None, OrderBy] = UNSET,
    ) -> Connection[Credential]:
        caller, wanted = info.context.caller, reading.CredentialFilter(**arguments(filter))
        page = await reading.read_credentials(caller, wanted, order(order_by), page_request(first, after, last, before))
        return connect(page, lambda row: Credential.of(row, caller))

    @strawberry.field(description="The audit log, oldest first.")
    async def audit_events(
        self,
        info: Info,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
        filter: Annotated[AuditEventFilter | None, Filter] = UNSET,
    ) -> Connection[AuditEvent]:
        caller, wanted = info.context.caller, reading.AuditEventFilter(**arguments(filter))
        page = await reading.read_audit_events(caller, wanted, page_request(first, after, last, before))
        return connect(page, lambda row: AuditEvent.of(row, caller))
