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
    AccessTokenKind: "PERSONAL: for somebody's scripts. GATEWAY: for a machine that checks credentials.",
    AccountStatus: "SUSPENDED blocks every credential of the account.",
    CredentialBlocker: "Why a credential is not let in; lifting the cause lifts the block.",
    CredentialOrderField: "What credentials can be ordered by.",
    CredentialStatus: "A credential's own status, whatever may block it from outside.",
    Decision: "Whether to let a caller in.",
    DecisionCode: "Why.",
    DeliveryMethod: "How a secret reaches its user.",
    IdentityKind: "What an identity is.",
    IdentityOrderField: "What identities can be ordered by.",
    IdentityStatus: "Where an identity stands; EXPIRED follows from its validUntil.",
    OrderDirection: "Which way a list runs.",
    Permission: "What a role or a token may do.",
    RevocationReason: "RFC 5280's names where one fits.",
    Role: "What somebody is here.",
    ServiceOrderField: "What services can be ordered by.",
    ServiceStatus: "Where a service stands, by its dates and by suspension or cancellation.",
    WebhookEventType: "What a webhook endpoint can be told of.",
    UserStatus: "DEACTIVATED users can't sign in, and their credentials are blocked.",
}
for _enum, _description in _DESCRIPTIONS.items():
    strawberry.enum(_enum, description=_description)
strawberry.enum(ErrorCode, name="UserErrorCode", description="What went wrong, for programs.")
_FORMATS = {
    EnvelopeFormat.CMS: "RFC 5083 AuthEnvelopedData, for openssl cms -decrypt.",
    EnvelopeFormat.JWE: "RFC 7516 compact serialization.",
}
strawberry.enum(EnvelopeFormat, description="How the encrypted file is written: " + " ".join(_FORMATS.values()))
