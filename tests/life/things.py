"""What the reference model is about: the things, who may do what to them, and the steps of their lives."""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Codes = set[str]

MEMBER, ADMINISTRATOR, AUDITOR, OPERATOR = "MEMBER", "ADMINISTRATOR", "AUDITOR", "OPERATOR"
_KEEPING = {"reassociateCredential", "revokeCredential", "setAllowedNetworks"}
_ADMINISTERING = {
    "submitIdentity",
    "updateCredentialPolicy",
    "grantApiAccess",
    "removeApiAccess",
    "deactivateUser",
    "reactivateUser",
    "setUserRole",
}
_PROVIDING = {
    "suspendAccount",
    "reinstateAccount",
    "approveIdentity",
    "rejectIdentity",
    "suspendIdentity",
    "reinstateIdentity",
    "createService",
    "renewService",
    "suspendService",
    "resumeService",
    "cancelService",
    "linkIdentityToService",
    "unlinkIdentityFromService",
}
MAY: dict[str, set[str]] = {
    MEMBER: {"submitIdentity", "generateCredential", "rotateCredential", "revealApiKey"} | _KEEPING,
    ADMINISTRATOR: _ADMINISTERING | _KEEPING,
    OPERATOR: _PROVIDING | _ADMINISTERING | _KEEPING,
    AUDITOR: set(),
}
"""What each role may ask for, of the mutations of a credential's life."""

# From which statuses, and to which decision.
IDENTITY_STEPS = {
    "approveIdentity": ({"PENDING_VETTING", "EXPIRED"}, "ACTIVE"),
    "rejectIdentity": ({"PENDING_VETTING"}, "REJECTED"),
    "suspendIdentity": ({"ACTIVE"}, "SUSPENDED"),
    "reinstateIdentity": ({"SUSPENDED"}, "ACTIVE"),
}
# From which statuses, and what then is so.
SERVICE_STEPS: dict[str, tuple[Codes, dict[str, bool]]] = {
    "renewService": ({"SCHEDULED", "ACTIVE", "EXPIRED", "SUSPENDED"}, {}),
    "suspendService": ({"SCHEDULED", "ACTIVE", "EXPIRED"}, {"suspended": True}),
    "resumeService": ({"SUSPENDED"}, {"suspended": False}),
    "cancelService": ({"SCHEDULED", "ACTIVE", "EXPIRED", "SUSPENDED"}, {"cancelled": True}),
}
PERSON_STEPS = {
    "grantApiAccess": ("api_access", True),
    "removeApiAccess": ("api_access", False),
    "reactivateUser": ("active", True),
    "deactivateUser": ("active", False),
}
# How the input of updateCredentialPolicy calls what a policy has.
POLICY_FIELDS = {
    "maxActiveCredentialsPerUser": "limit",
    "defaultExpiryMonths": "default_months",
    "maximumExpiryMonths": "maximum_months",
    "neverExpiresAllowed": "never",
    "allowedDeliveryMethods": "methods",
    "minimumRsaKeyBits": "bits",
}
LOGIN_CODES = {
    "REVOKED": "CREDENTIAL_NOT_ACTIVE",
    "EXPIRED": "CREDENTIAL_NOT_ACTIVE",
    "OWNER_ACCESS_REMOVED": "API_ACCESS_REMOVED",
}

# Public keys that a user may paste, by name.
RSA_KEYS = {"rsa2048": 2048, "rsa3072": 3072}
WRONG_KEYS = {"private": "PRIVATE_KEY_SUPPLIED", "rubbish": "INVALID_PUBLIC_KEY"}
# Everybody comes from 127.0.0.1.
NETWORKS_AROUND_US = {"127.0.0.0/8", "127.0.0.1/32"}
WRONG_NETWORKS = {"127.0.0.1/8", "here"}


@dataclass(frozen=True)
class Operation:
    """Somebody's call of a mutation. `given` is its input with names for ids, `makes` the name of what it makes."""

    who: str
    verb: str
    given: Mapping[str, Any]
    makes: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of an operation: codes that it may be refused with, or nothing wrong and the name of what it made."""

    codes: frozenset[str] = frozenset()
    made: str | None = None


@dataclass
class Policy:
    limit: int = 2
    default_months: int | None = 12
    maximum_months: int | None = None
    never: bool = False
    methods: list[str] = field(default_factory=lambda: ["VIEW_AND_COPY", "ENCRYPTED_FILE"])
    bits: int = 2048

    def makes_sense(self) -> bool:
        months = [each for each in (self.default_months, self.maximum_months) if each is not None]
        return (
            0 <= self.limit <= 1000
            and all(1 <= each <= 1200 for each in months)
            and months == sorted(months)
            and (self.default_months is not None or self.never)
            and bool(self.methods)
            and 2048 <= self.bits <= 16384
        )


@dataclass
class Person:
    role: str
    account: str | None = "here"
    api_access: bool = False
    active: bool = True


@dataclass
class Identity:
    decision: str = "PENDING_VETTING"
    valid_until: datetime | None = None


@dataclass
class Service:
    code: str
    starts_at: datetime
    ends_at: datetime | None = None
    suspended: bool = False
    cancelled: bool = False


@dataclass
class Credential:
    name: str
    owner: str
    service: str
    identity: str
    ends_at: datetime | None
    networks: list[str]
    predecessor: str | None = None
    successor: str | None = None
    revoked: bool = False


@dataclass(frozen=True)
class Answer:
    """What a client that retries is told again."""

    request: Mapping[str, Any]
    made: str
    until: datetime


def later(instant: datetime, months: int) -> datetime:
    """Some calendar months later: the same day, or the last one of a month that does not have it."""
    year, month = divmod(instant.year * 12 + instant.month - 1 + months, 12)
    day = min(instant.day, monthrange(year, month + 1)[1])
    return instant.replace(year=year, month=month + 1, day=day)


def when(condition: bool, code: str) -> Codes:
    return {code} if condition else set()


def wrong_networks(networks: list[str]) -> Codes:
    return when(not WRONG_NETWORKS.isdisjoint(networks), "INVALID")
