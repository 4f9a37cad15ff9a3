"""What a credential may be associated with."""

from datetime import datetime

from models.identity import Identity, IdentityStatus
from models.service import Service, ServiceStatus
from resolvers.errors import ErrorCode, refuse
from resolvers.services import is_linked


async def check_associations(service: Service, identity: Identity, now: datetime) -> None:
    """Raises Refused unless the service and the identity are active, and linked."""
    check_service(service, now)
    check_identity(identity, now)
    await check_link(service, identity)


def check_service(service: Service, now: datetime) -> None:
    status = service.status(now)
    if status is not ServiceStatus.ACTIVE:
        raise refuse(ErrorCode.SERVICE_NOT_ACTIVE, f"This service is {status}; it must be ACTIVE.", "service_id")


def check_identity(identity: Identity, now: datetime) -> None:
    status = identity.status(now)
    if status is not IdentityStatus.ACTIVE:
        raise refuse(ErrorCode.IDENTITY_NOT_ACTIVE, f"This identity is {status}; it must be ACTIVE.", "identity_id")


async def check_link(service: Service, identity: Identity) -> None:
    if not await is_linked(service, identity):
        raise refuse(
            ErrorCode.IDENTITY_NOT_LINKED_TO_SERVICE,
            "This identity may not be used with the service: choose one that is linked to it.",
            "identity_id",
        )
