"""The one recorder of the audit log."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from auth.crypto.keyring import Purpose
from models.audit import DEPLOYMENT_CHAIN, AuditChain, AuditEvent
from models.audit_log import EventRow
from models.check_epoch import PEOPLE, count_up
from models.database import locked
from models.ids import Kind, global_id, new_id
from models.user import Role
from resolvers.audit_hash import NEWEST_VERSION, EventHasher
from resolvers.caller import Caller


class EventType(StrEnum):
    """What can happen: subject.action, in the past tense."""

    ACCOUNT_CREATED = "account.created"
    USER_CREATED = "user.created"
    USER_ROLE_SET = "user.role_set"
    USER_API_ACCESS_GRANTED = "user.api_access_granted"
    USER_API_ACCESS_REMOVED = "user.api_access_removed"
    USER_DEACTIVATED = "user.deactivated"
    USER_REACTIVATED = "user.reactivated"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_REMOVED = "webhook.removed"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_DELIVERED = "webhook.delivered"
    WEBHOOK_FAILED = "webhook.failed"
    POLICY_UPDATED = "policy.updated"
    ACCOUNT_SUSPENDED = "account.suspended"
    ACCOUNT_REINSTATED = "account.reinstated"
    TOKEN_CREATED = "token.created"  # noqa: S105
    TOKEN_REVOKED = "token.revoked"  # noqa: S105
    ACCESS_DENIED = "access.denied"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105
    PASSWORD_SET = "password.set"  # noqa: S105
    INVITATION_RENEWED = "invitation.renewed"
    INVITATION_ACCEPTED = "invitation.accepted"
    SESSION_STARTED = "session.started"
    SESSION_ENDED = "session.ended"
    SIGN_IN_DENIED = "sign_in.denied"
    IDENTITY_SUBMITTED = "identity.submitted"
    IDENTITY_APPROVED = "identity.approved"
    IDENTITY_REJECTED = "identity.rejected"
    IDENTITY_SUSPENDED = "identity.suspended"
    IDENTITY_REINSTATED = "identity.reinstated"
    SERVICE_CREATED = "service.created"
    SERVICE_RENEWED = "service.renewed"
    SERVICE_REOPENED = "service.reopened"
    SERVICE_SUSPENDED = "service.suspended"
    SERVICE_RESUMED = "service.resumed"
    SERVICE_CANCELLED = "service.cancelled"
    SERVICE_IDENTITY_LINKED = "service.identity_linked"
    SERVICE_IDENTITY_UNLINKED = "service.identity_unlinked"
    CREDENTIAL_GENERATED = "credential.generated"
    CREDENTIAL_RETIRED = "credential.retired"
    CREDENTIAL_DELIVERED_AGAIN = "credential.delivered_again"
    CREDENTIAL_ROTATED = "credential.rotated"
    CREDENTIAL_NETWORKS_SET = "credential.networks_set"
    CREDENTIAL_REASSOCIATED = "credential.reassociated"
    CREDENTIAL_REVOKED = "credential.revoked"
    CREDENTIAL_VIEWED = "credential.viewed"
    ACCESS_TOKEN_REVOKED = "access_token.revoked"  # noqa: S105
    LOGIN_DENIED = "login.denied"
    SERVER_KEY_ADDED = "server_key.added"
    SERVER_KEY_RETIRED = "server_key.retired"
    AUDIT_EXPORTED = "audit.exported"


# What can turn an ALLOW into a DENY, or change what is told of a credential: its subject is noted for all processes.
CHANGES_CHECKS = {
    EventType.ACCOUNT_SUSPENDED,
    EventType.ACCOUNT_REINSTATED,
    EventType.USER_ROLE_SET,
    EventType.USER_API_ACCESS_GRANTED,
    EventType.USER_API_ACCESS_REMOVED,
    EventType.USER_DEACTIVATED,
    EventType.USER_REACTIVATED,
    EventType.TOKEN_REVOKED,
    EventType.IDENTITY_APPROVED,
    EventType.IDENTITY_SUSPENDED,
    EventType.IDENTITY_REINSTATED,
    EventType.SERVICE_RENEWED,
    EventType.SERVICE_SUSPENDED,
    EventType.SERVICE_RESUMED,
    EventType.SERVICE_CANCELLED,
    EventType.CREDENTIAL_RETIRED,
    EventType.CREDENTIAL_REASSOCIATED,
    EventType.CREDENTIAL_NETWORKS_SET,
    EventType.CREDENTIAL_REVOKED,
    EventType.ACCESS_TOKEN_REVOKED,
}
# What changes nothing of that, but who may ask, or what they are told of themselves.
CHANGES_PEOPLE = {
    EventType.POLICY_UPDATED,
    EventType.PASSWORD_CHANGED,
    EventType.PASSWORD_SET,
    EventType.SESSION_ENDED,
}
MAXIMUM_SUMMARY = 500


class Happened(NamedTuple):
    """What is to be recorded, and of what it tells."""

    type: EventType
    summary: str
    subject: tuple[Kind, UUID] | None = None


async def record(
    caller: Caller,
    event_type: EventType,
    summary: str,
    *,
    account_id: UUID | None,
    subject: tuple[Kind, UUID] | None = None,
    actor_id: UUID | None = None,
) -> None:
    """Appends an event to the account's chain (None: the deployment's), inside the transaction of what it tells of.

    Call it last and once: it takes the chain's lock and that of the epoch, and others wait for these until the
    transaction ends. The summary is for people and holds no secret. The actor is who is signed in, unless another is
    named.
    """
    await record_all(caller, [Happened(event_type, summary, subject)], account_id=account_id, actor_id=actor_id)


async def record_all(
    caller: Caller, happened: Sequence[Happened], *, account_id: UUID | None, actor_id: UUID | None = None
) -> None:
    """As `record`, for all that one transaction tells of, in this order."""
    chain = await lock_chain(account_id)
    key = caller.deployment.keyring.symmetric_key(Purpose.AUDIT_HASHING, caller.now)
    hasher, changed = EventHasher({key.id: key}), list[str]()
    for each in happened:
        event = AuditEvent(
            id=new_id(caller.now),
            chain_id=chain.id,
            sequence=chain.sequence + 1,
            type=each.type.value,
            occurred_at=caller.now,
            actor_id=actor_id or (caller.principal.user_id if caller.principal else None),
            subject_id=global_id(*each.subject) if each.subject else None,
            source_ip=caller.source_ip,
            summary=_summary(caller, each.summary, account_id),
            hashing_key_id=key.id,
            hash_version=NEWEST_VERSION,
        )
        event.hash = event_hash(hasher, event, chain.hash)
        caller.deployment.counts.events[event.type] += 1
        await event.save(force_create=True)
        chain.sequence, chain.hash = event.sequence, event.hash
        changed += _changed(each.type, event.subject_id)
    await AuditChain.filter(id=chain.id).update(sequence=chain.sequence, hash=chain.hash)
    if changed:
        await count_up(changed)


def _changed(event_type: EventType, subject_id: str | None) -> list[str]:
    """What is to be noted for all processes."""
    if event_type in CHANGES_CHECKS and subject_id:
        return [subject_id]
    return [PEOPLE] if event_type in CHANGES_PEOPLE else []


async def lock_chain(account_id: UUID | None) -> AuditChain:
    """Holds an account's chain (None: the deployment's) until the transaction ends: nothing else that is recorded
    there happens meanwhile. Lock it last, as `record` does."""
    return await locked(AuditChain.filter(id=account_id or DEPLOYMENT_CHAIN)).get()


async def start_chain(account_id: UUID) -> None:
    """Begins a new account's chain, inside the transaction that makes the account."""
    await AuditChain.create(id=account_id, sequence=0, hash="")


def event_hash(hasher: EventHasher, event: AuditEvent, previous: str) -> str:
    """The hash of an event that is to be written after one with the hash `previous`."""
    row = EventRow(
        sequence=event.sequence,
        id=str(event.id),
        type=event.type,
        occurred_at=event.occurred_at.isoformat(),
        actor_id=str(event.actor_id) if event.actor_id else None,
        subject_id=event.subject_id,
        source_ip=event.source_ip,
        summary=event.summary,
        hashing_key_id=event.hashing_key_id,
        hash_version=event.hash_version,
        hash="",
    )
    found = hasher.hash(str(event.chain_id), row, previous)
    assert found is not None  # noqa: S101  (the key and the version are the newest)
    return found


def _summary(caller: Caller, summary: str, account_id: UUID | None) -> str:
    by_provider = account_id and caller.principal and caller.principal.role is Role.OPERATOR
    # Customers do not see the provider's users, so the text says whose act it was.
    return summary[: MAXIMUM_SUMMARY - 20] + (" (by the provider)" if by_provider else "")
