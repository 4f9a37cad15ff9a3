"""The things that clients read. Each is made from a row and the instant of the request; fields are then plain values,
except the connections, which ask for a page."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any, ClassVar
from uuid import UUID

import strawberry
from strawberry import UNSET

from auth.crypto.credential_format import mask_api_key
from auth.permissions import Permission
from auth.principal import Principal
from models import access_token as access_token_model
from models import account as account_model
from models import audit as audit_model
from models import credential as credential_model
from models import identity as identity_model
from models import service as service_model
from models import user as user_model
from models import webhook as webhook_model
from models.access_token import AccessTokenKind
from models.account import AccountStatus, DeliveryMethod
from models.credential import CredentialBlocker, CredentialStatus, RevocationReason
from models.identity import IdentityKind, IdentityStatus
from models.ids import Kind, global_id
from models.instants import or_none
from models.rows import Parent, model_of
from models.service import ServiceStatus
from models.user import Role, UserStatus
from resolvers.audit_view import may_see_actor
from resolvers.caller import Caller
from resolvers.paging import Page, PageRequest, Row
from resolvers.reading import read_predecessors, read_successors, read_usage
from resolvers.reading_inside import (
    AUDIT_EVENTS_OF_CREDENTIAL,
    CREDENTIALS_OF_IDENTITY,
    CREDENTIALS_OF_SERVICE,
    IDENTITIES_OF_SERVICE,
    SERVICES_OF_IDENTITY,
    Inside,
    read_inside,
)
from resolvers.webhook_events import WebhookEventType
from schema.connections import Connection, Node, connect
from schema.context import Info
from schema.inputs import page_request
from schema.lazy import Lazy


def _id(kind: Kind, row: Any) -> strawberry.ID:
    return strawberry.ID(global_id(kind, row.id))


def _columns(*names: str) -> dict[str, Callable[[Any], Any]]:
    """Fields that are the row's columns of the same name."""
    return {name: attrgetter(f"row.{name}") for name in names}


async def _inside(info: Info, inside: Inside[Row], parent: Parent, request: PageRequest) -> Page[Row]:
    return await read_inside(info.context.caller, info.context.batches, inside, parent, request)


@strawberry.type(description="The rules that an account's credentials are generated under.")
class CredentialPolicy(Lazy):
    max_active_credentials_per_user: int = strawberry.field(
        description="Credentials a user may hold at once that are neither revoked, expired nor retiring. Default 2."
    )
    default_expiry_months: int | None = strawberry.field(
        description="Months until expiry where a request names none; null means never. Default 12."
    )
    maximum_expiry_months: int | None = strawberry.field(
        description="The most that a request may ask for; null: no bound."
    )
    never_expires_allowed: bool = strawberry.field(description="Whether a credential may have no end. Default false.")
    allowed_delivery_methods: list[DeliveryMethod] = strawberry.field(description="How secrets may be delivered.")
    minimum_rsa_key_bits: int = strawberry.field(description="Of keys that secrets are encrypted to. Default 2048.")

    def __init__(self, row: account_model.Account) -> None:
        self.row = row

    FIELDS: ClassVar = _columns(
        "max_active_credentials_per_user",
        "default_expiry_months",
        "maximum_expiry_months",
        "never_expires_allowed",
        "allowed_delivery_methods",
        "minimum_rsa_key_bits",
    )


@strawberry.type(description="A customer of the provider.")
class Account(Lazy, Node):
    name: str = strawberry.field(description="For people; unique.")
    status: AccountStatus = strawberry.field(description="Whether the account may be used.")
    policy: CredentialPolicy = strawberry.field(description="What its new credentials must keep to.")
    created_at: datetime = strawberry.field(description="When it was made.")

    def __init__(self, row: account_model.Account) -> None:
        self.row = row

    FIELDS: ClassVar = {
        **_columns("name", "status", "created_at"),
        "id": lambda self: _id(Kind.ACCOUNT, self.row),
        "policy": lambda self: CredentialPolicy(self.row),
    }

    @staticmethod
    def of(row: account_model.Account) -> "Account":
        return Account(row)


@strawberry.type(description="Somebody who signs in.")
class User(Lazy, Node):
    email: str = strawberry.field(description="What they sign in with; unique.")
    display_name: str = strawberry.field(description="What people call them.")
    role: Role = strawberry.field(description="What they are here.")
    status: UserStatus = strawberry.field(description="Whether they may sign in.")
    api_access: bool = strawberry.field(
        description="Granted and removed by an administrator; without it the user's credentials are blocked."
    )
    account: Account | None = strawberry.field(description="Theirs; null for operators.")
    created_at: datetime = strawberry.field(description="When they were added.")

    def __init__(self, row: user_model.User, account: account_model.Account | None) -> None:
        self.row, self.account_row = row, account

    FIELDS: ClassVar = {
        **_columns("email", "display_name", "role", "status", "api_access", "created_at"),
        "id": lambda self: _id(Kind.USER, self.row),
        "account": lambda self: Account(self.account_row) if self.account_row else None,
    }

    @staticmethod
    def with_account(row: user_model.User) -> "User":
        """A user whose account was loaded with it."""
        return User(row, row.account)


@strawberry.type(description="A token, without what it takes to use it.")
class AccessToken(Lazy, Node):
    kind: AccessTokenKind = strawberry.field(description="Whether a person's scripts use it, or a gateway.")
    name: str = strawberry.field(description="What its owner called it.")
    permissions: list[Permission] = strawberry.field(description="What it is good for, as far as its owner may do it.")
    account: Account | None = strawberry.field(description="Whose; null for operators, and gateways of every account.")
    created_at: datetime = strawberry.field(description="When it was made.")
    expires_at: datetime = strawberry.field(description="When it ends by itself.")
    revoked_at: datetime | None = strawberry.field(description="When it was ended.")
    last_used_at: datetime | None = strawberry.field(description="To the minute; null: not yet.")

    def __init__(self, row: access_token_model.AccessToken) -> None:
        self.row = row

    FIELDS: ClassVar = {
        **_columns("kind", "name", "created_at", "expires_at", "revoked_at"),
        "id": lambda self: _id(Kind.ACCESS_TOKEN, self.row),
        "permissions": lambda self: [Permission(name) for name in self.row.permission_names],
        "account": lambda self: Account(self.row.account) if self.row.account else None,
        "last_used_at": lambda self: or_none(self.row.last_used_at),
    }

    @staticmethod
    def of(row: access_token_model.AccessToken) -> "AccessToken":
        return AccessToken(row)


@strawberry.type(description="An address of the account's own server that is told of events.")
class WebhookEndpoint(Lazy, Node):
    url: str = strawberry.field(description="Where messages are sent, as Standard Webhooks describes them.")
    event_types: list[WebhookEventType] = strawberry.field(description="What it is told of, without repetition.")
    account: Account = strawberry.field(description="Whose it is.")
    created_at: datetime = strawberry.field(description="When it was made.")
    last_delivered_at: datetime | None = strawberry.field(description="When it last took a message; null: not yet.")
    disabled_at: datetime | None = strawberry.field(
        description="When it was found to be dead; nothing is sent there any more. Null: it is told of events."
    )

    def __init__(self, row: webhook_model.WebhookEndpoint) -> None:
        self.row = row

    FIELDS: ClassVar = {
        **_columns("url", "created_at", "last_delivered_at", "disabled_at"),
        "id": lambda self: _id(Kind.WEBHOOK_ENDPOINT, self.row),
        "event_types": lambda self: [WebhookEventType(name) for name in self.row.event_types.split()],
        "account": lambda self: Account(self.row.account),
    }

    @staticmethod
    def of(row: webhook_model.WebhookEndpoint) -> "WebhookEndpoint":
        return WebhookEndpoint(row)


First = Annotated[int | None, strawberry.argument(description="So many from the start; at most 100. Default 50.")]
After = Annotated[str | None, strawberry.argument(description="Begin after this cursor.")]
Last = Annotated[int | None, strawberry.argument(description="So many from the end; at most 100.")]
Before = Annotated[str | None, strawberry.argument(description="End before this cursor.")]


@strawberry.type(description="Whom a credential speaks for, once the provider has vetted it.")
class Identity(Lazy, Node):
    name: str = strawberry.field(description="Never changes after submission.")
    kind: IdentityKind = strawberry.field(description="Never changes after submission.")
    status: IdentityStatus = strawberry.field(description="Where it stands now.")
    valid_until: datetime | None = strawberry.field(description="When it expires; null: it does not.")
    account: Account = strawberry.field(description="Whose it is.")
    created_at: datetime = strawberry.field(description="When it was submitted.")

    @strawberry.field(description="The services it may be used with.")
    async def services(
        self, info: Info, first: First = UNSET, after: After = UNSET, last: Last = UNSET, before: Before = UNSET
    ) -> "Connection[Service]":
        page = await _inside(info, SERVICES_OF_IDENTITY, self.row.id, page_request(first, after, last, before))
        return connect(page, lambda row: Service.of(row, info.context.caller))

    @strawberry.field(description="Its credentials that the viewer may see and that are not revoked.")
    async def credentials(
        self, info: Info, first: First = UNSET, after: After = UNSET, last: Last = UNSET, before: Before = UNSET
    ) -> "Connection[Credential]":
        page = await _inside(info, CREDENTIALS_OF_IDENTITY, self.row.id, page_request(first, after, last, before))
        return connect(page, lambda row: Credential.of(row, info.context.caller))

    def __init__(self, row: identity_model.Identity, caller: Caller, account: account_model.Account) -> None:
        self.row, self.caller, self.account_row = row, caller, account

    FIELDS: ClassVar = {
        **_columns("name", "kind", "created_at"),
        "id": lambda self: _id(Kind.IDENTITY, self.row),
        "status": lambda self: self.row.status(self.caller.now),
        "valid_until": lambda self: or_none(self.row.valid_until),
        "account": lambda self: Account(self.account_row),
    }

    @staticmethod
    def of(row: identity_model.Identity, caller: Caller) -> "Identity":
        """Of a row whose account was loaded with it."""
        return Identity(row, caller, row.account)


@strawberry.type(
    description="A subscription to one of the provider's APIs. Its status follows from its dates and from suspension "
    "or cancellation."
)
class Service(Lazy, Node):
    name: str = strawberry.field(description="What people call it; not unique.")
    code: str = strawberry.field(
        description="A slug, used as the OAuth scope of the tokens that its credentials log in for."
    )
    status: ServiceStatus = strawberry.field(description="Where it stands now.")
    starts_at: datetime = strawberry.field(description="SCHEDULED before, ACTIVE from then on.")
    expires_at: datetime | None = strawberry.field(description="EXPIRED from then on; null: it has no end.")
    account: Account = strawberry.field(description="Whose it is.")
    created_at: datetime = strawberry.field(description="When it was opened.")

    @strawberry.field(description="The identities that may be used with this service.")
    async def identities(
        self, info: Info, first: First = UNSET, after: After = UNSET, last: Last = UNSET, before: Before = UNSET
    ) -> Connection[Identity]:
        page = await _inside(info, IDENTITIES_OF_SERVICE, self.row.id, page_request(first, after, last, before))
        return connect(page, lambda row: Identity.of(row, info.context.caller))

    @strawberry.field(description="Its credentials that the viewer may see and that are not revoked.")
    async def credentials(
        self, info: Info, first: First = UNSET, after: After = UNSET, last: Last = UNSET, before: Before = UNSET
    ) -> "Connection[Credential]":
        page = await _inside(info, CREDENTIALS_OF_SERVICE, self.row.id, page_request(first, after, last, before))
        return connect(page, lambda row: Credential.of(row, info.context.caller))

    def __init__(self, row: service_model.Service, caller: Caller, account: account_model.Account) -> None:
        self.row, self.caller, self.account_row = row, caller, account

    FIELDS: ClassVar = {
        **_columns("name", "code", "starts_at", "created_at"),
        "id": lambda self: _id(Kind.SERVICE, self.row),
        "status": lambda self: self.row.status(self.caller.now),
        "expires_at": lambda self: or_none(self.row.expires_at),
        "account": lambda self: Account(self.account_row),
    }

    @staticmethod
    def of(row: service_model.Service, caller: Caller) -> "Service":
        """Of a row whose account was loaded with it."""
        return Service(row, caller, row.account)


@strawberry.type(description="One thing that happened. It is never changed or removed.")
class AuditEvent(Lazy, Node):
    sequence: int = strawberry.field(description="1, 2, 3 … within the account, without a gap.")
    type: str = strawberry.field(
        description="subject.action, in the past tense: credential.generated, credential.viewed, login.denied …"
    )
    occurred_at: datetime = strawberry.field(description="When it happened.")
    actor: User | None = strawberry.field(
        description="Who; null where nobody was signed in, and for the provider's staff where a customer asks."
    )
    subject_id: strawberry.ID | None = strawberry.field(
        description="The id of what it happened to; null where there was no such thing."
    )
    source_ip: str | None = strawberry.field(description="From where; null where the actor is hidden.")
    summary: str = strawberry.field(description="What happened, in a sentence for people.")
    hash: str = strawberry.field(description="Hex; each event's hash covers the one before it.")

    def __init__(self, row: audit_model.AuditEvent, caller: Caller) -> None:
        self.row, self.caller = row, caller

    FIELDS: ClassVar = {
        **_columns("sequence", "type", "occurred_at", "summary", "hash"),
        "id": lambda self: _id(Kind.AUDIT_EVENT, self.row),
        "actor": lambda self: _actor(self.row, self.caller),
        "subject_id": lambda self: self.row.subject_id or None,
        "source_ip": lambda self: _source(self.row, self.caller),
    }

    @staticmethod
    def of(row: audit_model.AuditEvent, caller: Caller) -> "AuditEvent":
        return AuditEvent(row, caller)


def _actor(row: audit_model.AuditEvent, caller: Caller) -> User | None:
    return User.with_account(row.actor) if row.actor and _may_see(row.actor, caller) else None


def _source(row: audit_model.AuditEvent, caller: Caller) -> str | None:
    return row.source_ip if row.actor is None or _may_see(row.actor, caller) else None


def _may_see(actor: user_model.User, caller: Caller) -> bool:
    return caller.principal is not None and may_see_actor(caller.principal.account_id, actor.account_id)


@strawberry.type(description="One day of a credential, in UTC. Counted to within a few seconds.")
class CredentialUsage:
    date: str = strawberry.field(description="The day, as in 2026-11-22.")
    allowed: int = strawberry.field(description="How often it was let in.")
    denied: int = strawberry.field(description="How often it was turned away, its secret being right.")


@strawberry.type(description="An API key and a secret, of one user, for one identity and one service.")
class Credential(Lazy, Node):
    name: str = strawberry.field(description="Chosen when the credential is generated; it never changes.")
    masked_api_key: str = strawberry.field(
        description="The API key with all but its prefix and last four characters hidden."
    )
    status: CredentialStatus = strawberry.field(description="Its own status now, whatever may block it.")
    usable: bool = strawberry.field(description="Whether it would be let in right now; blockers says why not.")
    blockers: list[CredentialBlocker] = strawberry.field(description="Everything that keeps it out right now.")
    delivery_method: DeliveryMethod = strawberry.field(description="How its secret was delivered.")
    public_key_fingerprint: str | None = strawberry.field(
        description="SHA-256 of the SubjectPublicKeyInfo the secret was encrypted to, in hex; null for VIEW_AND_COPY."
    )
    identity: Identity = strawberry.field(description="Whom it speaks for.")
    service: Service = strawberry.field(description="What it is for.")
    owner: User = strawberry.field(description="Who generated it.")
    account: Account = strawberry.field(description="Whose it is.")
    created_at: datetime = strawberry.field(description="When it was generated.")
    expires_at: datetime | None = strawberry.field(description="EXPIRED from then on; null: it has no end.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked.")
    revocation_reason: RevocationReason | None = strawberry.field(description="Why it was revoked.")
    last_used_at: datetime | None = strawberry.field(description="To the minute; null: not yet.")
    allowed_networks: list[str] = strawberry.field(
        description="CIDR blocks it may be used from; empty: from everywhere."
    )

    @strawberry.field(description="The one it was made in the place of.")
    async def predecessor(self, info: Info) -> "Credential | None":
        if self.row.predecessor_id is None:
            return None
        return await _credential_by(info, read_predecessors, self.row.predecessor_id)

    @strawberry.field(description="The one that was made in its place.")
    async def successor(self, info: Info) -> "Credential | None":
        if self.row.rotated_at is None:
            return None
        return await _credential_by(info, read_successors, self.row.id)

    @strawberry.field(description="How often it was let in and turned away on each of the last days, today included.")
    async def usage(
        self,
        info: Info,
        days: Annotated[int, strawberry.argument(description="How many, 1 to 90.")] = 30,
    ) -> list[CredentialUsage]:
        context = info.context
        counted = await context.batches.ask(
            (read_usage, days), self.row.id, lambda ids: read_usage(context.caller, ids, days)
        )
        return [CredentialUsage(date=day.date, allowed=day.allowed, denied=day.denied) for day in counted]

    @strawberry.field(description="What happened to it, oldest first.")
    async def audit_events(
        self, info: Info, first: First = UNSET, after: After = UNSET, last: Last = UNSET, before: Before = UNSET
    ) -> Connection[AuditEvent]:
        request = page_request(first, after, last, before)
        page = await _inside(info, AUDIT_EVENTS_OF_CREDENTIAL, str(self.id), request)
        return connect(page, lambda row: AuditEvent.of(row, info.context.caller))

    def __init__(self, row: credential_model.Credential, caller: Caller) -> None:
        self.row, self.caller = row, caller

    # What belongs to a credential is of its account, which was loaded with it once.
    FIELDS: ClassVar = {
        **_columns("name", "delivery_method", "public_key_fingerprint", "created_at", "revoked_at"),
        **_columns("revocation_reason"),
        "id": lambda self: _id(Kind.CREDENTIAL, self.row),
        "masked_api_key": lambda self: mask_api_key(self.row.api_key),
        "status": lambda self: self.row.status(self.caller.now),
        "usable": lambda self: self.row.is_usable(self.caller.now),
        "blockers": lambda self: self.row.blockers(self.caller.now),
        "identity": lambda self: Identity(self.row.identity, self.caller, self.row.account),
        "service": lambda self: Service(self.row.service, self.caller, self.row.account),
        "owner": lambda self: User(self.row.owner, self.row.account),
        "account": lambda self: Account(self.row.account),
        "expires_at": lambda self: or_none(self.row.expires_at),
        "last_used_at": lambda self: or_none(self.row.last_used_at),
        "allowed_networks": lambda self: self.row.allowed_networks.split(),
    }

    @staticmethod
    def of(row: credential_model.Credential, caller: Caller) -> "Credential":
        """Of a row that was loaded with what its blockers depend on."""
        return Credential(row, caller)


async def _credential_by(
    info: Info,
    read: Callable[[Caller, Sequence[UUID]], Awaitable[Mapping[UUID, credential_model.Credential]]],
    id_: UUID,
) -> Credential | None:
    caller = info.context.caller
    found = await info.context.batches.ask(read, id_, lambda ids: read(caller, ids))
    return Credential.of(found, caller) if found else None


@strawberry.type(description="Who is asking, and what they may do.")
class Viewer(Lazy):
    user: User = strawberry.field(description="The user who asks.")
    account: Account | None = strawberry.field(description="Theirs; null for operators.")
    role: Role = strawberry.field(description="What they are here.")
    permissions: list[Permission] = strawberry.field(
        description="What they may do now; a token may do less than its owner."
    )

    def __init__(self, principal: Principal, user: user_model.User) -> None:
        self.principal, self.row = principal, user

    FIELDS: ClassVar = {
        "user": lambda self: User.with_account(self.row),
        "account": lambda self: self.user.account,
        "role": lambda self: self.principal.role,
        "permissions": lambda self: [each for each in Permission if each in self.principal.permissions],
    }


_OBJECT_OF: dict[type, Callable[[Any, Caller], Node]] = {
    account_model.Account: lambda row, _: Account.of(row),
    user_model.User: lambda row, _: User.with_account(row),
    access_token_model.AccessToken: lambda row, _: AccessToken.of(row),
    identity_model.Identity: Identity.of,
    service_model.Service: Service.of,
    credential_model.Credential: Credential.of,
    audit_model.AuditEvent: AuditEvent.of,
    webhook_model.WebhookEndpoint: lambda row, _: WebhookEndpoint.of(row),
}


def node_of(row: Any, caller: Caller) -> Node | None:
    """The object of any row; None for None."""
    return None if row is None else _OBJECT_OF[model_of(row)](row, caller)
