"""Services: subscriptions that the provider opens, renews, suspends and cancels, and the identities linked to them."""

from collections.abc import Callable, Sequence
from copy import copy
from datetime import datetime

from auth.permissions import Permission
from auth.policy import Scope, authorize
from models.account import Account
from models.database import transaction
from models.identity import Identity
from models.ids import Kind, new_id
from models.instants import NEVER, to_millisecond
from models.service import Service, ServiceIdentity, ServiceStatus
from resolvers.audit import EventType, Happened, record, record_all
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, refuse
from resolvers.reach import load, lock
from resolvers.unique import taken_if_violated
from resolvers.validation import check_service_code, check_text, refuse_if_any
from resolvers.webhook_announcements import announce_blocked

OF_ANOTHER_ACCOUNT = "There is nothing with this id in the service's account."


async def create_service(
    caller: Caller,
    *,
    account_id: str,
    name: str,
    code: str,
    starts_at: datetime | None,
    expires_at: datetime | None,
    identity_ids: Sequence[str] | None,
) -> Service:
    """A new subscription of an account, from now and without end unless told otherwise.

    Raises Refused (REQUIRED, INVALID, NOT_FOUND, TAKEN: the code of a service that is not cancelled).
    """
    scope = authorize(caller.principal, Permission.MANAGE_SERVICES)
    refuse_if_any(check_text(name, "name"), check_service_code(code))
    start = to_millisecond(starts_at) if starts_at else caller.now
    end = to_millisecond(expires_at) if expires_at else NEVER
    if end <= max(start, caller.now):
        raise refuse(ErrorCode.INVALID, "The end must be after the start, and not past.", "expires_at")
    account = await load(Account, scope, account_id, "account_id")
    within = Scope(scope.permission, account.id, None)
    identities = [await load(Identity, within, identity_id, "identity_ids") for identity_id in identity_ids or ()]
    with taken_if_violated("services_living_code", "code", "The account has a service with this code."):
        async with transaction():
            service = await Service.create(
                id=new_id(caller.now),
                account=account,
                name=name,
                code=code,
                starts_at=start,
                expires_at=end,
                created_at=caller.now,
            )
            for identity_id in {identity.id for identity in identities}:
                await _link(caller, service, identity_id)
            await _record(caller, EventType.SERVICE_CREATED, service, "created")
    return service


async def renew_service(caller: Caller, *, service_id: str, expires_at: datetime) -> Service:
    """A new end, and nothing else: every credential of the service works again, or on, unchanged.
    Raises Refused (NOT_FOUND, INVALID, CONFLICT)."""
    end = to_millisecond(expires_at)

    def renew(service: Service) -> None:
        if end <= max(caller.now, service.starts_at):
            raise refuse(ErrorCode.INVALID, "The end must be after the start, and not past.", "expires_at")
        service.expires_at = end

    return await _change(
        caller, service_id, EventType.SERVICE_RENEWED, "renewed", renew, but_not={ServiceStatus.CANCELLED}
    )


async def suspend_service(caller: Caller, *, service_id: str, reason: str | None) -> Service:
    """Blocks the service's credentials until it is resumed. Raises Refused (NOT_FOUND, INVALID, CONFLICT)."""

    def suspend(service: Service) -> None:
        service.suspended_at = caller.now

    not_from = {ServiceStatus.SUSPENDED, ServiceStatus.CANCELLED}
    return await _change(
        caller, service_id, EventType.SERVICE_SUSPENDED, "suspended", suspend, but_not=not_from, reason=reason
    )


async def resume_service(caller: Caller, *, service_id: str, reason: str | None) -> Service:
    """Lifts a suspension. Raises Refused (NOT_FOUND, INVALID, CONFLICT)."""

    def resume(service: Service) -> None:
        service.suspended_at = None

    not_from = set(ServiceStatus) - {ServiceStatus.SUSPENDED}
    return await _change(
        caller, service_id, EventType.SERVICE_RESUMED, "resumed", resume, but_not=not_from, reason=reason
    )


async def cancel_service(caller: Caller, *, service_id: str, reason: str | None) -> Service:
    """Ends a service for good. Raises Refused (NOT_FOUND, INVALID, CONFLICT)."""

    def cancel(service: Service) -> None:
        service.cancelled_at = caller.now

    return await _change(
        caller,
        service_id,
        EventType.SERVICE_CANCELLED,
        "cancelled",
        cancel,
        but_not={ServiceStatus.CANCELLED},
        reason=reason,
    )


async def link_identity_to_service(caller: Caller, *, service_id: str, identity_id: str) -> Service:
    """Lets an identity of the account be used with a service. Raises Refused (NOT_FOUND, CONFLICT)."""
    scope = authorize(caller.principal, Permission.MANAGE_SERVICES)
    async with transaction():
        service = await lock(Service, scope, service_id, "service_id")
        identity = await load(Identity, Scope(scope.permission, service.account_id, None), identity_id, "identity_id")
        if await is_linked(service, identity):
            raise refuse(ErrorCode.CONFLICT, "This identity is linked to the service already.", "identity_id")
        await _link(caller, service, identity.id)
        done = f"linked to identity {identity.name}"
        await _record(caller, EventType.SERVICE_IDENTITY_LINKED, service, done)
    return service


async def unlink_identity_from_service(caller: Caller, *, service_id: str, identity_id: str) -> Service:
    """No new credential can be made for the pair. Those there are work on: they are reassociated or revoked one by
    one, by those who own them. Raises Refused (NOT_FOUND, CONFLICT)."""
    scope = authorize(caller.principal, Permission.MANAGE_SERVICES)
    async with transaction():
        service = await lock(Service, scope, service_id, "service_id")
        identity = await load(Identity, Scope(scope.permission, service.account_id, None), identity_id, "identity_id")
        if not await ServiceIdentity.filter(service_id=service.id, identity_id=identity.id).delete():
            raise refuse(ErrorCode.CONFLICT, "This identity is not linked to the service.", "identity_id")
        done = f"unlinked from identity {identity.name}"
        await _record(caller, EventType.SERVICE_IDENTITY_UNLINKED, service, done)
    return service


async def is_linked(service: Service, identity: Identity) -> bool:
    """Whether an identity may be used with a service."""
    return await ServiceIdentity.exists(service_id=service.id, identity_id=identity.id)


async def _link(caller: Caller, service: Service, identity_id: object) -> None:
    await ServiceIdentity.create(service_id=service.id, identity_id=identity_id, created_at=caller.now)


async def _change(
    caller: Caller,
    service_id: str,
    event_type: EventType,
    done: str,
    change: Callable[[Service], None],
    *,
    but_not: set[ServiceStatus],
    reason: str | None = None,
) -> Service:
    """One step of a service's life, refused in some statuses."""
    scope = authorize(caller.principal, Permission.MANAGE_SERVICES)
    refuse_if_any(check_text(reason, "reason") if reason is not None else ())
    async with transaction():
        service = await lock(Service, scope, service_id, "service_id")
        status = service.status(caller.now)
        if status in but_not:
            raise refuse(ErrorCode.CONFLICT, f"A service that is {status} can't be {done}.", "service_id")
        before = copy(service)
        change(service)
        await service.save(update_fields=["expires_at", "suspended_at", "cancelled_at"])
        await announce_blocked(caller, service.account_id, "service", before, service)
        told = f"Service {service.name} was {done}" + (f": {reason}" if reason else "")
        happened = [Happened(event_type, told, (Kind.SERVICE, service.id))]
        if before.expires_at <= caller.now < service.expires_at:
            reopened = f"Service {service.name} had expired and is open again"
            happened.append(Happened(EventType.SERVICE_REOPENED, reopened, (Kind.SERVICE, service.id)))
        await record_all(caller, happened, account_id=service.account_id)
    return service


async def _record(caller: Caller, event_type: EventType, service: Service, done: str) -> None:
    await record(
        caller,
        event_type,
        f"Service {service.name} was {done}",
        account_id=service.account_id,
        subject=(Kind.SERVICE, service.id),
    )
