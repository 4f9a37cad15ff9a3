"""What a credential may be associated with."""

from datetime import datetime

from models.identity import Identity, IdentityStatus
from models.service import Service, ServiceStatus
from resolvers.errors import ErrorCode, refuse
from resolvers.services import is_linked


async def check_associations(service: Service, identity: Identity, now: datetime, *, fields: bool = True) -> None:
    """Raises Refused unless the service and the identity are active, and linked. `fields` says whether the caller
    named them, so that the refusal can point there."""
    check_service(service, now, *(["service_id"] if fields else []))
    check_identity(identity, now, *(["identity_id"] if fields else []))
    await check_link(service, identity, *(["identity_id"] if fields else []))


def check_service(service: Service, now: datetime, *field: str) -> None:
    status = service.status(now)
    if status is not ServiceStatus.ACTIVE:
        raise refuse(ErrorCode.SERVICE_NOT_ACTIVE, f"This service is {status}; it must be ACTIVE.", *field)


def check_identity(identity: Identity, now: datetime, *field: str) -> None:
    status = identity.status(now)
    if status is not IdentityStatus.ACTIVE:
        raise refuse(ErrorCode.IDENTITY_NOT_ACTIVE, f"This identity is {status}; it must be ACTIVE.", *field)


async def check_link(service: Service, identity: Identity, *field: str) -> None:
    if not await is_linked(service, identity):
        raise refuse(
            ErrorCode.IDENTITY_NOT_LINKED_TO_SERVICE,
            "This identity may not be used with the service: choose one that is linked to it.",
            *field,
        )
