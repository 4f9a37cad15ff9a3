"""What becomes of a credential after it is generated."""

from auth.permissions import Permission
from auth.policy import Scope, authorize
from models.credential import Credential, CredentialStatus, RevocationReason
from models.database import transaction
from models.identity import Identity
from models.ids import Kind
from models.service import Service
from resolvers.associations import check_identity, check_link, check_service
from resolvers.audit import EventType, record
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, refuse
from resolvers.reach import load, lock


async def reassociate_credential(
    caller: Caller, *, credential_id: str, service_id: str | None, identity_id: str | None
) -> Credential:
    """Moves an active credential to another active service, another active identity, or both; key and secret stay.

    Raises Refused: NOT_FOUND, REQUIRED, CONFLICT, CREDENTIAL_NOT_ACTIVE, SERVICE_NOT_ACTIVE, IDENTITY_NOT_ACTIVE,
    IDENTITY_NOT_LINKED_TO_SERVICE.
    """
    scope = authorize(caller.principal, Permission.MANAGE_ALL_CREDENTIALS, Permission.MANAGE_OWN_CREDENTIALS)
    if service_id is None and identity_id is None:
        raise refuse(ErrorCode.REQUIRED, "Say which service or which identity it should move to.")
    async with transaction():
        credential = await lock(Credential, scope, credential_id, "credential_id")
        _check_active(credential, caller)
        within = Scope(scope.permission, credential.account_id, None)
        service, identity = credential.service, credential.identity
        if service_id is not None:
            service = await lock(Service, within, service_id, "service_id")
            check_service(service, caller.now)
        if identity_id is not None:
            identity = await lock(Identity, within, identity_id, "identity_id")
            check_identity(identity, caller.now)
        if (service.id, identity.id) == (credential.service_id, credential.identity_id):
            raise refuse(ErrorCode.CONFLICT, "The credential has this service and identity already.")
        await check_link(service, identity)
        credential.service, credential.identity = service, identity
        await credential.save(update_fields=["service_id", "identity_id"])
        await _record(
            caller,
            EventType.CREDENTIAL_REASSOCIATED,
            credential,
            f"moved to service {service.name} and identity {identity.name}",
        )
    return credential


async def revoke_credential(caller: Caller, *, credential_id: str, reason: RevocationReason) -> Credential:
    """Ends a credential, at once and for good. Raises Refused (NOT_FOUND, ALREADY_REVOKED)."""
    scope = authorize(caller.principal, Permission.MANAGE_ALL_CREDENTIALS, Permission.MANAGE_OWN_CREDENTIALS)
    async with transaction():
        credential = await lock(Credential, scope, credential_id, "credential_id")
        if credential.revoked_at:
            raise refuse(ErrorCode.ALREADY_REVOKED, "This credential was revoked before.", "credential_id")
        credential.revoked_at, credential.revocation_reason = caller.now, reason
        await credential.save(update_fields=["revoked_at", "revocation_reason"])
        await _record(caller, EventType.CREDENTIAL_REVOKED, credential, f"revoked: {reason}")
    return credential


async def reveal_api_key(caller: Caller, *, credential_id: str) -> str:
    """The whole API key of one's own credential; each time is recorded. Raises Refused (NOT_FOUND)."""
    scope = authorize(caller.principal, Permission.MANAGE_OWN_CREDENTIALS)
    async with transaction():
        credential = await load(Credential, scope, credential_id, "credential_id")
        await _record(caller, EventType.CREDENTIAL_VIEWED, credential, "viewed: its API key was shown")
    return credential.api_key


def _check_active(credential: Credential, caller: Caller) -> None:
    status = credential.status(caller.now)
    if status is not CredentialStatus.ACTIVE:
        raise refuse(
            ErrorCode.CREDENTIAL_NOT_ACTIVE, f"This credential is {status}; it must be ACTIVE.", "credential_id"
        )


async def _record(caller: Caller, event_type: EventType, credential: Credential, done: str) -> None:
    await record(
        caller,
        event_type,
        f"Credential {credential.name} was {done}",
        account_id=credential.account_id,
        subject=(Kind.CREDENTIAL, credential.id),
    )
