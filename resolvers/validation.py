"""What people type, checked: each function returns the refusals it has, so that a caller learns of all at once."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from auth.passwords import MAXIMUM_LENGTH, MINIMUM_LENGTH
from resolvers.errors import ErrorCode, Refusal, Refused

_CREDENTIAL_NAME = re.compile(r"[a-z0-9_]{1,64}")
_SERVICE_CODE = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(?:\.[^@\s.]+)*")


def refuse_if_any(*refusals: Iterable[Refusal]) -> None:
    """Raises Refused with everything that is wrong, if anything is."""
    found = [refusal for some in refusals for refusal in some]
    if found:
        raise Refused(*found)


def check_text(text: str, *field: str, maximum: int = 200) -> Iterator[Refusal]:
    """A name for people to read: not blank, no control characters, not too long."""
    if not text.strip():
        yield Refusal(ErrorCode.REQUIRED, "This can't be blank.", field)
    elif len(text) > maximum:
        yield Refusal(ErrorCode.INVALID, f"At most {maximum} characters, please.", field)
    elif any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        yield Refusal(ErrorCode.INVALID, "Control characters are not allowed here.", field)


def check_credential_name(name: str) -> Iterator[Refusal]:
    if not _CREDENTIAL_NAME.fullmatch(name):
        yield Refusal(ErrorCode.INVALID, "A name has 1 to 64 characters of a-z, 0-9 and _.", ("name",))


def check_service_code(code: str) -> Iterator[Refusal]:
    if not _SERVICE_CODE.fullmatch(code):
        yield Refusal(
            ErrorCode.INVALID,
            "A code has 1 to 64 characters of a-z, 0-9, '.', '_' and '-', beginning and ending with a letter or digit.",
            ("code",),
        )


def check_email(email: str) -> Iterator[Refusal]:
    if len(email) > 254 or not _EMAIL.fullmatch(email) or not email.isprintable():
        yield Refusal(ErrorCode.INVALID, "This is not an e-mail address.", ("email",))


def check_password(password: str, field: str = "password") -> Iterator[Refusal]:
    if not MINIMUM_LENGTH <= len(password) <= MAXIMUM_LENGTH:
        message = f"A password has {MINIMUM_LENGTH} to {MAXIMUM_LENGTH} characters."
        yield Refusal(ErrorCode.INVALID, message, (field,))


def normal_email(email: str) -> str:
    """One spelling for one mailbox."""
    return email.strip().lower()
