"""What a use case can refuse.

Refused      expected by a careful caller: bad input, a conflict, a rule; nothing was changed
NotFound     an argument of a query names nothing in reach
BadArgument  an argument of a query can't be used
"""

from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    INVALID = "INVALID"
    REQUIRED = "REQUIRED"
    TAKEN = "TAKEN"
    NOT_FOUND = "NOT_FOUND"
    NOT_ALLOWED_BY_POLICY = "NOT_ALLOWED_BY_POLICY"
    LIMIT_REACHED = "LIMIT_REACHED"
    CONFLICT = "CONFLICT"
    INVALID_CREDENTIALS = "INVALID_CREDENTIALS"
    IDENTITY_NOT_ACTIVE = "IDENTITY_NOT_ACTIVE"
    SERVICE_NOT_ACTIVE = "SERVICE_NOT_ACTIVE"
    IDENTITY_NOT_LINKED_TO_SERVICE = "IDENTITY_NOT_LINKED_TO_SERVICE"
    API_ACCESS_REMOVED = "API_ACCESS_REMOVED"
    OWNER_DEACTIVATED = "OWNER_DEACTIVATED"
    ACCOUNT_SUSPENDED = "ACCOUNT_SUSPENDED"
    ADDRESS_NOT_ALLOWED = "ADDRESS_NOT_ALLOWED"
    INVALID_PUBLIC_KEY = "INVALID_PUBLIC_KEY"
    PUBLIC_KEY_TOO_WEAK = "PUBLIC_KEY_TOO_WEAK"
    PRIVATE_KEY_SUPPLIED = "PRIVATE_KEY_SUPPLIED"
    ALREADY_REVOKED = "ALREADY_REVOKED"
    CREDENTIAL_NOT_ACTIVE = "CREDENTIAL_NOT_ACTIVE"


@dataclass(frozen=True)
class Refusal:
    """One thing wrong: a code for programs, a message for people, and the path of the argument at fault, outermost
    first and in Python's spelling; empty where no single one is."""

    code: ErrorCode
    message: str
    field: tuple[str, ...] = ()


class Refused(Exception):
    """The use case was refused and nothing was changed."""

    def __init__(self, *refusals: Refusal) -> None:
        super().__init__("; ".join(refusal.code for refusal in refusals))
        self.refusals = refusals


class NotFound(Exception):
    """An argument names nothing in reach: not there, or another account's; nobody can tell which."""


class BadArgument(Exception):
    """An argument can't be used; the message says why, and what to do."""


def refuse(code: ErrorCode, message: str, *field: str) -> Refused:
    """A refusal with one thing wrong, to be raised."""
    return Refused(Refusal(code, message, field))


def not_found(*field: str) -> Refused:
    """The same answer whatever was named, and whether it is missing or another account's."""
    return refuse(ErrorCode.NOT_FOUND, "There is nothing with this id.", *field)
