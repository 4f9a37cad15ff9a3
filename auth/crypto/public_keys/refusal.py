"""Why a text is not taken as a public key.

    ValueError
    └── PublicKeyRefused   code: what a program needs; message: what was wrong and what to do

Messages are written for the person who pasted the key. They name kinds and sizes and never repeat any of the
text, which may be a private key.
"""

from enum import StrEnum


class PublicKeyFault(StrEnum):
    """The codes that a client can tell apart."""

    INVALID_PUBLIC_KEY = "INVALID_PUBLIC_KEY"
    PUBLIC_KEY_TOO_WEAK = "PUBLIC_KEY_TOO_WEAK"
    PRIVATE_KEY_SUPPLIED = "PRIVATE_KEY_SUPPLIED"


class PublicKeyRefused(ValueError):
    """The text is not a public key that a secret may be sealed to; `code` and `message` say why."""

    def __init__(self, code: PublicKeyFault, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> PublicKeyRefused:
    """Not a usable public key."""
    return PublicKeyRefused(PublicKeyFault.INVALID_PUBLIC_KEY, message)


def too_weak(message: str) -> PublicKeyRefused:
    """A public key whose private key can be, or soon could be, computed."""
    return PublicKeyRefused(PublicKeyFault.PUBLIC_KEY_TOO_WEAK, message)


def private(kind: str) -> PublicKeyRefused:
    """A private key; `kind` names it with its article."""
    return PublicKeyRefused(
        PublicKeyFault.PRIVATE_KEY_SUPPLIED,
        f"This is {kind}. Keep it to yourself and send only the public key that belongs to it, {_public_of(kind)}",
    )


def _public_of(kind: str) -> str:
    if "SSH" in kind:  # which openssl does not read
        return "the .pub file beside it, or what this makes: ssh-keygen -y -f id_rsa"
    return "made for example with: openssl pkey -in private.pem -pubout"


def not_rsa(kind: str) -> PublicKeyRefused:
    """A public key of another kind; `kind` names it with its article."""
    return invalid(
        f"This is {kind}, with which nothing can be encrypted here. Send an RSA key, made for example with: "
        "openssl genrsa -out private.pem 3072"
    )
