"""The enums of the API: those of the models and use cases, under the same names."""

from enum import Enum, StrEnum

import strawberry

from auth.crypto.envelopes import EnvelopeFormat
from auth.permissions import Permission
from models.access_token import AccessTokenKind
from models.account import AccountStatus, DeliveryMethod
from models.credential import CredentialBlocker, CredentialStatus, RevocationReason
from models.identity import IdentityKind, IdentityStatus
from models.service import ServiceStatus
from models.user import Role, UserStatus
from resolvers.check_credential import Decision, DecisionCode
from resolvers.errors import ErrorCode
from resolvers.webhook_events import WebhookEventType
from schema.enum_values import MEANINGS


class OrderDirection(StrEnum):
    ASC = "ASC"
    DESC = "DESC"


class IdentityOrderField(StrEnum):
    CREATED_AT = "CREATED_AT"
    NAME = "NAME"


class ServiceOrderField(StrEnum):
    CREATED_AT = "CREATED_AT"
    NAME = "NAME"
    EXPIRES_AT = "EXPIRES_AT"


class CredentialOrderField(StrEnum):
    CREATED_AT = "CREATED_AT"
    NAME = "NAME"
    EXPIRES_AT = "EXPIRES_AT"
    LAST_USED_AT = "LAST_USED_AT"


_DESCRIPTIONS: dict[type[Enum], str] = {
    AccessTokenKind: "Whom a token is for.",
    AccountStatus: "Whether an account may be used.",
    CredentialBlocker: "Why a credential is not let in; lifting the cause lifts the block.",
    CredentialOrderField: "What credentials can be ordered by.",
    CredentialStatus: "A credential's own status, whatever may block it from outside.",
    Decision: "Whether to let a caller in.",
    DecisionCode: "Why a caller is let in or kept out: the first of these that holds, after OK.",
    DeliveryMethod: "How a secret reaches its user.",
    EnvelopeFormat: "How the encrypted file is written.",
    ErrorCode: "What went wrong, for programs.",
    IdentityKind: "What an identity is.",
    IdentityOrderField: "What identities can be ordered by.",
    IdentityStatus: "Where an identity stands; EXPIRED follows from its validUntil.",
    OrderDirection: "Which way a list runs.",
    Permission: "What a role or a token may do.",
    RevocationReason: "Why a credential was revoked, by RFC 5280's names where one fits.",
    Role: "What somebody is here.",
    ServiceOrderField: "What services can be ordered by.",
    ServiceStatus: "Where a service stands, by its dates and by suspension or cancellation.",
    UserStatus: "Whether a user may sign in.",
    WebhookEventType: "What a webhook endpoint can be told of.",
}
_NAMES: dict[type[Enum], str] = {ErrorCode: "UserErrorCode"}


def _register(enum: type[Enum], description: str) -> None:
    name = _NAMES.get(enum, enum.__name__)
    strawberry.enum(enum, name=name, description=description)
    for value in enum.__strawberry_definition__.values:  # type: ignore[attr-defined]
        # One without a meaning is found by the schema's linter.
        value.description = MEANINGS[name].get(value.name)


for _enum, _description in _DESCRIPTIONS.items():
    _register(_enum, _description)
