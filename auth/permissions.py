"""Who may do what: one table. What is not in it is not allowed."""

from collections.abc import Mapping
from enum import StrEnum

from models.user import Role


class Permission(StrEnum):
    MANAGE_ACCOUNTS = "MANAGE_ACCOUNTS"
    MANAGE_USERS = "MANAGE_USERS"
    READ_USERS = "READ_USERS"
    MANAGE_POLICY = "MANAGE_POLICY"
    MANAGE_GATEWAYS = "MANAGE_GATEWAYS"
    READ_GATEWAYS = "READ_GATEWAYS"
    MANAGE_WEBHOOKS = "MANAGE_WEBHOOKS"
    READ_WEBHOOKS = "READ_WEBHOOKS"
    VET_IDENTITIES = "VET_IDENTITIES"
    SUBMIT_IDENTITIES = "SUBMIT_IDENTITIES"
    READ_IDENTITIES = "READ_IDENTITIES"
    MANAGE_SERVICES = "MANAGE_SERVICES"
    READ_SERVICES = "READ_SERVICES"
    READ_CREDENTIALS = "READ_CREDENTIALS"
    GENERATE_CREDENTIALS = "GENERATE_CREDENTIALS"
    MANAGE_OWN_CREDENTIALS = "MANAGE_OWN_CREDENTIALS"
    MANAGE_ALL_CREDENTIALS = "MANAGE_ALL_CREDENTIALS"
    READ_AUDIT_LOG = "READ_AUDIT_LOG"
    VERIFY_CREDENTIALS = "VERIFY_CREDENTIALS"


_P = Permission

ROLE_PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.OPERATOR: frozenset(
        {
            _P.MANAGE_ACCOUNTS,
            _P.MANAGE_USERS,
            _P.READ_USERS,
            _P.MANAGE_POLICY,
            _P.MANAGE_GATEWAYS,
            _P.READ_GATEWAYS,
            _P.MANAGE_WEBHOOKS,
            _P.READ_WEBHOOKS,
            _P.VET_IDENTITIES,
            _P.SUBMIT_IDENTITIES,
            _P.READ_IDENTITIES,
            _P.MANAGE_SERVICES,
            _P.READ_SERVICES,
            _P.READ_CREDENTIALS,
            _P.MANAGE_ALL_CREDENTIALS,
            _P.READ_AUDIT_LOG,
            _P.VERIFY_CREDENTIALS,
        }
    ),
    Role.ADMINISTRATOR: frozenset(
        {
            _P.MANAGE_USERS,
            _P.READ_USERS,
            _P.MANAGE_POLICY,
            _P.MANAGE_GATEWAYS,
            _P.READ_GATEWAYS,
            _P.MANAGE_WEBHOOKS,
            _P.READ_WEBHOOKS,
            _P.SUBMIT_IDENTITIES,
            _P.READ_IDENTITIES,
            _P.READ_SERVICES,
            _P.READ_CREDENTIALS,
            _P.MANAGE_ALL_CREDENTIALS,
            _P.READ_AUDIT_LOG,
        }
    ),
    Role.MEMBER: frozenset(
        {
            _P.SUBMIT_IDENTITIES,
            _P.READ_IDENTITIES,
            _P.READ_SERVICES,
            _P.READ_CREDENTIALS,
            _P.GENERATE_CREDENTIALS,
            _P.MANAGE_OWN_CREDENTIALS,
        }
    ),
    Role.AUDITOR: frozenset(
        {
            _P.READ_USERS,
            _P.READ_GATEWAYS,
            _P.READ_WEBHOOKS,
            _P.READ_IDENTITIES,
            _P.READ_SERVICES,
            _P.READ_CREDENTIALS,
            _P.READ_AUDIT_LOG,
        }
    ),
    Role.GATEWAY: frozenset({_P.VERIFY_CREDENTIALS}),
}

# A member has these only while an administrator grants API access.
NEED_API_ACCESS = frozenset(
    {
        _P.READ_IDENTITIES,
        _P.READ_SERVICES,
        _P.READ_CREDENTIALS,
        _P.GENERATE_CREDENTIALS,
        _P.MANAGE_OWN_CREDENTIALS,
    }
)
