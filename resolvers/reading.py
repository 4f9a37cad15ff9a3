"""Every list and look-up, each through the gate and within its scope."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from operator import or_
from string import ascii_uppercase
from typing import TypeVar
from uuid import UUID

from tortoise.expressions import Q, RawSQL, Subquery
from tortoise.functions import Lower
from tortoise.models import Model
from tortoise.queryset import QuerySet

from auth.permissions import Permission
from auth.policy import Denied, Scope, authorize, require_user
from models.access_token import AccessToken
from models.account import Account
from models.audit import AuditEvent
from models.credential import Credential, CredentialStatus
from models.identity import Identity, IdentityStatus
from models.ids import Kind, first_id, parse_global_id
from models.rows import PARENT, read_for_each
from models.service import Service, ServiceIdentity, ServiceStatus
from models.user import Role, User
from models.webhook import WebhookEndpoint
from resolvers.caller import Caller
from resolvers.errors import BadArgument, NotFound
from resolvers.paging import MAXIMUM_SIZE, Order, Page, PageRequest, load_page
from resolvers.reach import AnyRow, find, in_reach
from resolvers.tokens import tokens_in_reach
from resolvers.usage import KEPT_DAYS, Day, usage_of_each

Row = TypeVar("Row", bound=Model)
OLDEST_FIRST = Order("id")
# As the events of one chain were written. An id carries the instant of its request, and of two requests at once the
# earlier may write later: a reader who follows the log by id would miss that event.
_IN_SEQUENCE = Order("sequence")

_READ = {
    Kind.USER: Permission.READ_USERS,
    Kind.IDENTITY: Permission.READ_IDENTITIES,
    Kind.SERVICE: Permission.READ_SERVICES,
    Kind.CREDENTIAL: Permission.READ_CREDENTIALS,
    Kind.AUDIT_EVENT: Permission.READ_AUDIT_LOG,
    Kind.WEBHOOK_ENDPOINT: Permission.READ_WEBHOOKS,
}
_MODELS: dict[Kind, type[Model]] = {
    Kind.ACCOUNT: Account,
    Kind.USER: User,
    Kind.ACCESS_TOKEN: AccessToken,
    Kind.IDENTITY: Identity,
    Kind.SERVICE: Service,
    Kind.CREDENTIAL: Credential,
    Kind.AUDIT_EVENT: AuditEvent,
    Kind.WEBHOOK_ENDPOINT: WebhookEndpoint,
}


@dataclass(frozen=True)
class UserFilter:
    account_id: str | None = None
    roles: Sequence[Role] | None = None
    api_access: bool | None = None
    email_contains: str | None = None


@dataclass(frozen=True)
class IdentityFilter:
    account_id: str | None = None
    statuses: Sequence[IdentityStatus] | None = None
    name_contains: str | None = None
    service_id: str | None = None


@dataclass(frozen=True)
class ServiceFilter:
    account_id: str | None = None
    statuses: Sequence[ServiceStatus] | None = None
    name_contains: str | None = None
    identity_id: str | None = None
    expires_before: datetime | None = None


@dataclass(frozen=True)
class CredentialFilter:
    account_id: str | None = None
    statuses: Sequence[CredentialStatus] | None = None
    identity_id: str | None = None
    service_id: str | None = None
    owner_id: str | None = None
    name_contains: str | None = None
    expires_before: datetime | None = None
    unused_since: datetime | None = None


@dataclass(frozen=True)
class AuditEventFilter:
    account_id: str | None = None
    types: Sequence[str] | None = None
    actor_id: str | None = None
    subject_id: str | None = None
    after: datetime | None = None
    before: datetime | None = None


async def read_accounts(caller: Caller, page: PageRequest) -> Page[Account]:
    """Operators see every account, others their own."""
    return await load_page(in_reach(Account, _account_scope(caller)), OLDEST_FIRST, page)


async def read_users(caller: Caller, filter_: UserFilter, page: PageRequest) -> Page[User]:
    scope = await narrowed(authorize(caller.principal, Permission.READ_USERS), filter_.account_id)
    query = in_reach(User, scope)
    if filter_.roles is not None:
        query = query.filter(role__in=set(filter_.roles))
    if filter_.api_access is not None:
        query = query.filter(api_access=filter_.api_access)
    if filter_.email_contains:
        query = query.filter(_containing("email", filter_.email_contains.lower()))
    return await load_page(query, OLDEST_FIRST, page)


async def read_access_tokens(caller: Caller, page: PageRequest) -> Page[AccessToken]:
    """One's own personal tokens, and those of gateways for who may see them, ended ones too."""
    tokens = tokens_in_reach(caller, Permission.READ_GATEWAYS)
    return await load_page(tokens.select_related("account"), OLDEST_FIRST, page)


async def read_webhook_endpoints(caller: Caller, page: PageRequest) -> Page[WebhookEndpoint]:
    scope = authorize(caller.principal, Permission.READ_WEBHOOKS)
    living = in_reach(WebhookEndpoint, scope).filter(removed_at__isnull=True)
    return await load_page(living, OLDEST_FIRST, page)


async def read_identities(caller: Caller, filter_: IdentityFilter, order: Order, page: PageRequest) -> Page[Identity]:
    scope = await narrowed(authorize(caller.principal, Permission.READ_IDENTITIES), filter_.account_id)
    query = in_reach(Identity, scope)
    if filter_.statuses is not None:
        query = query.filter(_any_of([Identity.having_status(status, caller.now) for status in set(filter_.statuses)]))
    if filter_.name_contains:
        query = _named_like(query, filter_.name_contains)
    if filter_.service_id is not None:
        service = await _named(Service, scope, filter_.service_id)
        query = query.filter(linked_to_service(service.id))
    return await load_page(query, order, page)


async def read_services(caller: Caller, filter_: ServiceFilter, order: Order, page: PageRequest) -> Page[Service]:
    scope = await narrowed(authorize(caller.principal, Permission.READ_SERVICES), filter_.account_id)
    query = in_reach(Service, scope)
    if filter_.statuses is not None:
        query = query.filter(_any_of([Service.having_status(status, caller.now) for status in set(filter_.statuses)]))
    if filter_.name_contains:
        query = _named_like(query, filter_.name_contains)
    if filter_.identity_id is not None:
        identity = await _named(Identity, scope, filter_.identity_id)
        query = query.filter(linked_to_identity(identity.id))
    if filter_.expires_before:
        query = query.filter(expires_at__lt=filter_.expires_before)
    return await load_page(query, order, page)


async def read_credentials(
    caller: Caller, filter_: CredentialFilter, order: Order, page: PageRequest
) -> Page[Credential]:
    """Members see their own, others all of the account. Revoked ones only where the filter names them."""
    scope = await narrowed(authorize(caller.principal, Permission.READ_CREDENTIALS), filter_.account_id)
    query = in_reach(Credential, scope)
    if filter_.statuses is None:
        query = query.filter(LIVING)
    else:
        wanted = [Credential.having_status(status, caller.now) for status in set(filter_.statuses)]
        # Said of all of them, so that the indexes of the living serve.
        beside = [] if CredentialStatus.REVOKED in filter_.statuses else [LIVING]
        query = query.filter(_any_of(wanted), *beside)
    if filter_.service_id is not None:
        query = query.filter(service_id=(await _named(Service, scope, filter_.service_id)).id)
    if filter_.identity_id is not None:
        query = query.filter(identity_id=(await _named(Identity, scope, filter_.identity_id)).id)
    if filter_.owner_id is not None:
        query = query.filter(owner_id=(await _named(User, scope, filter_.owner_id)).id)
    if filter_.name_contains:
        query = query.filter(_containing("name", filter_.name_contains.lower()))
    if filter_.expires_before:
        query = query.filter(expires_at__lt=filter_.expires_before)
    if filter_.unused_since:
        query = query.filter(last_used_at__lt=filter_.unused_since)
    return await load_page(query, order, page)


async def read_predecessors(caller: Caller, ids: Sequence[UUID]) -> Mapping[UUID, Credential]:
    """The credentials with these ids, which others were made in the place of."""
    return await _one_for_each(caller, Q(id=PARENT), ids)


async def read_successors(caller: Caller, ids: Sequence[UUID]) -> Mapping[UUID, Credential]:
    """The credentials that were made in the place of these, by the ids of these."""
    return await _one_for_each(caller, Q(predecessor_id=PARENT), ids)


async def _one_for_each(caller: Caller, condition: Q, ids: Sequence[UUID]) -> Mapping[UUID, Credential]:
    scope = authorize(caller.principal, Permission.READ_CREDENTIALS)
    found = await read_for_each(in_reach(Credential, scope).filter(condition).order_by("id"), ids, 1)
    return {id_: rows[0] for id_, rows in found.items()}


async def read_usage(caller: Caller, ids: Sequence[UUID], days: int) -> Mapping[UUID, Sequence[Day]]:
    """The last days of credentials, oldest first. Raises Denied, BadArgument."""
    authorize(caller.principal, Permission.READ_CREDENTIALS)
    if not 1 <= days <= KEPT_DAYS:
        raise BadArgument(f"days must be between 1 and {KEPT_DAYS}.")
    return await usage_of_each(ids, days, caller.now)


async def read_audit_events(caller: Caller, filter_: AuditEventFilter, page: PageRequest) -> Page[AuditEvent]:
    """Operators see every chain, the deployment's own included; others their account's."""
    scope = await narrowed(authorize(caller.principal, Permission.READ_AUDIT_LOG), filter_.account_id)
    query = in_reach(AuditEvent, scope)
    if filter_.types is not None:
        query = query.filter(type__in=_kept_types(filter_.types))
    if filter_.actor_id is not None:
        query = query.filter(actor_id=(await _named(User, scope, filter_.actor_id)).id)
    if filter_.subject_id is not None:
        query = query.filter(subject_id=await _named_subject(scope, filter_.subject_id))
    # An event's id carries the same instant, and it is the ids that are in order.
    if filter_.after:
        query = query.filter(occurred_at__gte=filter_.after, id__gte=first_id(filter_.after))
    if filter_.before:
        query = query.filter(occurred_at__lt=filter_.before, id__lt=first_id(filter_.before))
    return await load_page(query, log_order(scope), page)


async def read_nodes(caller: Caller, global_ids: Sequence[str]) -> list[Model | None]:
    """The rows with these ids, None for what is not in reach or may not be read; one statement for all of a kind.
    Raises Unauthenticated, BadArgument."""
    user = require_user(caller.principal)
    if len(global_ids) > MAXIMUM_SIZE:
        raise BadArgument(f"At most {MAXIMUM_SIZE} ids at once, please.")
    wanted = [parse_global_id(id_) for id_ in global_ids]
    # Everyone sees themselves, whether or not they may read users.
    found: dict[tuple[Kind, UUID], Model] = {(Kind.USER, user.id): user}
    for kind in dict.fromkeys(named[0] for named in wanted if named):
        ids = {named[1] for named in wanted if named and named[0] is kind}
        found.update({(kind, row.pk): row for row in await _readable(caller, kind, ids)})
    return [found.get(named) if named else None for named in wanted]


async def read_node(caller: Caller, global_id: str) -> Model | None:
    """The row with an id, None where it is not in reach or may not be read. Raises Unauthenticated."""
    (row,) = await read_nodes(caller, [global_id])
    return row


async def _readable(caller: Caller, kind: Kind, ids: set[UUID]) -> Sequence[Model]:
    try:
        if kind is Kind.ACCESS_TOKEN:
            tokens = tokens_in_reach(caller, Permission.READ_GATEWAYS)
            return await tokens.select_related("account").filter(id__in=ids)
        scope = _account_scope(caller) if kind is Kind.ACCOUNT else authorize(caller.principal, _READ[kind])
    except Denied:
        return []
    rows = await in_reach(_MODELS[kind], scope).filter(id__in=ids)  # type: ignore[type-var]
    return [row for row in rows if not (isinstance(row, WebhookEndpoint) and row.removed_at)]


def _account_scope(caller: Caller) -> Scope:
    """Every account for those who manage them, their own for the people of an account. Raises Denied."""
    user = require_user(caller.principal)
    if user.account_id is None:
        return authorize(caller.principal, Permission.MANAGE_ACCOUNTS)
    return Scope(Permission.MANAGE_ACCOUNTS, user.account_id, None)


async def narrowed(scope: Scope, account_id: str | None) -> Scope:
    """The scope within one account that it reaches. Raises NotFound."""
    if account_id is None:
        return scope
    return replace(scope, account_id=(await _named(Account, scope, account_id)).id)


async def _named(model: type[AnyRow], scope: Scope, global_id: str) -> AnyRow:
    """The row that a filter names. Raises NotFound."""
    row = await find(model, scope, global_id)
    if row is None:
        raise NotFound("There is nothing with this id.")
    return row


async def _named_subject(scope: Scope, global_id: str) -> str:
    parsed = parse_global_id(global_id)
    if parsed is None or await find(_MODELS[parsed[0]], scope, global_id) is None:  # type: ignore[type-var]
        raise NotFound("There is nothing with this id.")
    return global_id


def _any_of(conditions: list[Q]) -> Q:
    return reduce(or_, conditions, _NOTHING)


def _containing(column: str, text: str) -> Q:
    """The rows with this text in a column. No row has a NUL, or a text this long, and not every database could look."""
    if "\0" in text or len(text) > _LONGEST_TEXT:
        return _NOTHING
    return Q(**{f"{column}__contains": text})


def _named_like(query: QuerySet[Row], text: str) -> QuerySet[Row]:
    """The rows with this text in their name, A to Z in any case: no more is the same on every database, whatever the
    locale of PostgreSQL's."""
    return query.annotate(lower_name=Lower("name")).filter(_containing("lower_name", text.translate(_ASCII_LOWER)))


def _kept_types(types: Sequence[str]) -> set[str]:
    """Those that an event can have. Raises BadArgument where there are too many to ask for."""
    kept = {type_ for type_ in types if len(type_) <= _LONGEST_TYPE and "\0" not in type_}
    if len(kept) > MAXIMUM_SIZE:
        raise BadArgument(f"At most {MAXIMUM_SIZE} types at once, please.")
    return kept


def linked_to_service(service_id: UUID | RawSQL) -> Q:
    """The identities that may be used with a service; of the links first, since there are fewer of them."""
    return Q(id__in=Subquery(ServiceIdentity.filter(service_id=service_id).values("identity_id")))


def linked_to_identity(identity_id: UUID | RawSQL) -> Q:
    """The services that an identity may be used with."""
    return Q(id__in=Subquery(ServiceIdentity.filter(identity_id=identity_id).values("service_id")))


def log_order(scope: Scope) -> Order:
    return OLDEST_FIRST if scope.account_id is None else _IN_SEQUENCE


_NOTHING = Q(id__in=[])
LIVING = Q(revoked_at__isnull=True)
_LONGEST_TEXT = 254
_LONGEST_TYPE = 64
_ASCII_LOWER = {ord(letter): letter.lower() for letter in ascii_uppercase}
