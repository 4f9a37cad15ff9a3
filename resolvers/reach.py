"""What is in reach of a scope. Rows are only ever loaded through here, so that what lies outside is not there."""

from typing import TypeVar
from uuid import UUID

from tortoise.queryset import QuerySet

from auth.policy import Scope
from models.access_token import AccessToken
from models.account import Account
from models.audit import AuditEvent
from models.credential import WITH_PARTIES, Credential
from models.database import locked
from models.identity import Identity
from models.ids import Kind, row_id
from models.service import Service
from models.user import User
from models.webhook import WebhookEndpoint
from resolvers.errors import not_found

AnyRow = TypeVar("AnyRow", Account, User, AccessToken, Identity, Service, Credential, AuditEvent, WebhookEndpoint)

_KINDS: dict[type, Kind] = {
    Account: Kind.ACCOUNT,
    User: Kind.USER,
    AccessToken: Kind.ACCESS_TOKEN,
    Identity: Kind.IDENTITY,
    Service: Kind.SERVICE,
    Credential: Kind.CREDENTIAL,
    AuditEvent: Kind.AUDIT_EVENT,
    WebhookEndpoint: Kind.WEBHOOK_ENDPOINT,
}
_ACCOUNT_COLUMN: dict[type, str] = {Account: "id", AuditEvent: "chain_id"}
# Loaded in the same statement, since whoever shows the row shows these or needs them to tell its state.
_WITH: dict[type, tuple[str, ...]] = {
    User: ("account",),
    Identity: ("account",),
    Service: ("account",),
    WebhookEndpoint: ("account",),
    Credential: WITH_PARTIES,
    AuditEvent: ("actor__account",),
}


def kind_of(model: type[AnyRow]) -> Kind:
    """The kind of global id that names a model's rows."""
    return _KINDS[model]


def in_reach(model: type[AnyRow], scope: Scope) -> QuerySet[AnyRow]:
    """All rows of a model that a scope reaches, with what belongs to them."""
    return _rows(model, scope).select_related(*_WITH.get(model, ()))


def reaches(scope: Scope, credential: Credential) -> bool:
    """Whether a scope reaches a credential: the same rule as that of the rows loaded through it."""
    in_account = scope.account_id in {None, credential.account_id}
    return in_account and scope.owner_id in {None, credential.owner_id}


async def find(model: type[AnyRow], scope: Scope, global_id: str) -> AnyRow | None:
    """The row with a global id, if it is in reach."""
    id_ = row_id(_KINDS[model], global_id)
    return await in_reach(model, scope).get_or_none(id=id_ or _NOBODY)


async def load(model: type[AnyRow], scope: Scope, global_id: str, *field: str) -> AnyRow:
    """The row with a global id. Raises Refused (NOT_FOUND), with the field that named it."""
    row = await find(model, scope, global_id)
    if row is None:
        raise not_found(*field)
    return row


async def lock(model: type[AnyRow], scope: Scope, global_id: str, *field: str) -> AnyRow:
    """As `load`, inside a transaction: until it ends nobody else changes the row."""
    id_ = row_id(_KINDS[model], global_id)
    await locked(_rows(model, scope)).get_or_none(id=id_ or _NOBODY)
    return await load(model, scope, global_id, *field)


def _rows(model: type[AnyRow], scope: Scope) -> QuerySet[AnyRow]:
    query = model.all()
    if scope.account_id is not None:
        query = query.filter(**{_ACCOUNT_COLUMN.get(model, "account_id"): scope.account_id})
    if model is Credential and scope.owner_id is not None:
        query = query.filter(owner_id=scope.owner_id)
    return query


# Looked up for ids that are not ours, so that a malformed id costs and answers what a missing one does.
_NOBODY = UUID(int=0)
