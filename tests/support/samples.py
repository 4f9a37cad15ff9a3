"""A sample row for each table, to be inserted past the server; what is given replaces its columns."""

import secrets
from typing import Any
from uuid import UUID

from models.ids import new_id
from models.instants import LONG_AGO, NEVER
from tests.support.server import START

Row = dict[str, Any]


def account(**columns: Any) -> Row:
    return {
        "id": new_id(START),
        "name": f"account {secrets.token_hex(8)}",
        "status": "ACTIVE",
        "max_active_credentials_per_user": 2,
        "default_expiry_months": 12,
        "never_expires_allowed": False,
        "view_and_copy_allowed": True,
        "encrypted_file_allowed": True,
        "minimum_rsa_key_bits": 2048,
        "created_at": START,
        **columns,
    }


def user(account_id: UUID | str | None, **columns: Any) -> Row:
    return {
        "id": new_id(START),
        "account_id": account_id,
        "email": f"{secrets.token_hex(8)}@example.com",
        "display_name": "Somebody",
        "role": "MEMBER" if account_id else "OPERATOR",
        "status": "ACTIVE",
        "api_access": True,
        "password_hash": None,
        "created_at": START,
        **columns,
    }


def identity(account_id: UUID | str, **columns: Any) -> Row:
    return {
        "id": new_id(START),
        "account_id": account_id,
        "name": "an identity",
        "kind": "ORGANIZATION",
        "decision": "ACTIVE",
        "valid_until": NEVER,
        "created_at": START,
        **columns,
    }


def service(account_id: UUID | str, **columns: Any) -> Row:
    return {
        "id": new_id(START),
        "account_id": account_id,
        "name": "a service",
        "code": secrets.token_hex(8),
        "starts_at": START,
        "expires_at": NEVER,
        "suspended_at": None,
        "cancelled_at": None,
        "created_at": START,
        **columns,
    }


def service_identity(service_id: UUID | str, identity_id: UUID | str) -> Row:
    return {"service_id": service_id, "identity_id": identity_id, "created_at": START}


def credential(
    account_id: UUID | str,
    owner_id: UUID | str,
    service_id: UUID | str,
    identity_id: UUID | str,
    hashing_key_id: str,
    **columns: Any,
) -> Row:
    return {
        "id": new_id(START),
        "account_id": account_id,
        "owner_id": owner_id,
        "service_id": service_id,
        "identity_id": identity_id,
        "name": f"c_{secrets.token_hex(8)}",
        "api_key": f"sealkey_key_{secrets.token_hex(8)}",
        "secret_hash": "0" * 64,
        "hashing_key_id": hashing_key_id,
        "delivery_method": "VIEW_AND_COPY",
        "public_key_fingerprint": None,
        "created_at": START,
        "expires_at": NEVER,
        "revoked_at": None,
        "revocation_reason": None,
        "last_used_at": LONG_AGO,
        **columns,
    }


def access_token(**columns: Any) -> Row:
    """A gateway's, of all accounts."""
    return {
        "id": new_id(START),
        "kind": "GATEWAY",
        "account_id": None,
        "user_id": None,
        "name": "edge",
        "token_hash": secrets.token_hex(32),
        "permissions": "VERIFY_CREDENTIALS",
        "created_at": START,
        "expires_at": NEVER,
        "last_used_at": LONG_AGO,
        **columns,
    }


def usage(credential_id: UUID | str, **columns: Any) -> Row:
    return {"credential_id": credential_id, "day": "2026-01-15", "allowed": 1, "denied": 0, **columns}


def webhook_endpoint(account_id: UUID | str, sealing_key_id: str, **columns: Any) -> Row:
    return {
        "id": new_id(START),
        "account_id": account_id,
        "url": "https://hooks.example/sealkey",
        "sealed_secret": "0",
        "sealing_key_id": sealing_key_id,
        "event_types": "credential.generated",
        "created_at": START,
        **columns,
    }


def webhook_announcement(account_id: UUID | str, **columns: Any) -> Row:
    return {
        "id": 1,
        "account_id": account_id,
        "party": "service",
        "party_id": new_id(START),
        "blockers": "",
        "occurred_at": START,
        **columns,
    }


def webhook_delivery(endpoint_id: UUID | str, **columns: Any) -> Row:
    return {
        "id": new_id(START),
        "endpoint_id": endpoint_id,
        "event_type": "credential.generated",
        "body": "{}",
        "created_at": START,
        "attempts": 0,
        "next_attempt_at": START,
        **columns,
    }


def audit_event(chain_id: UUID | str, sequence: int, hashing_key_id: str, **columns: Any) -> Row:
    return {
        "id": new_id(columns.get("occurred_at", START)),
        "chain_id": chain_id,
        "sequence": sequence,
        "type": "credential.viewed",
        "occurred_at": START,
        "actor_id": None,
        "subject_id": None,
        "source_ip": None,
        "summary": "Something happened",
        "hashing_key_id": hashing_key_id,
        "hash": "0" * 64,
        **columns,
    }
