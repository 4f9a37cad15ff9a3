"""How a secret reaches its user: shown once, or sealed to the user's own RSA key."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from auth.crypto.credential_csv import credential_csv
from auth.crypto.envelopes import EnvelopeFormat, decrypt_command, seal_cms, seal_jwe
from auth.crypto.public_keys import PublicKeyFault, PublicKeyRefused, RecipientKey, read_public_key
from auth.crypto.secret import Secret
from models.account import Account, DeliveryMethod
from resolvers.errors import ErrorCode, Refused, refuse


@dataclass(frozen=True)
class DeliveryRequest:
    """What was asked for; the key as the user pasted it, whatever it is."""

    method: DeliveryMethod
    public_key: Secret | None
    format: EnvelopeFormat


@dataclass(frozen=True)
class File:
    """A file to save."""

    name: str
    media_type: str
    content: bytes

    def __repr__(self) -> str:
        return f"File({self.name})"


@dataclass(frozen=True)
class ViewAndCopy:
    """Key and secret in the clear, this once."""

    api_key: str
    api_secret: Secret
    csv: File


@dataclass(frozen=True)
class EncryptedFile:
    """The same CSV, which only the holder of the private key can read."""

    file: File
    format: EnvelopeFormat
    public_key_fingerprint: str
    decrypt_command: str


Delivery = ViewAndCopy | EncryptedFile

_SEAL = {EnvelopeFormat.CMS: seal_cms, EnvelopeFormat.JWE: seal_jwe}
_MEDIA_TYPES = {EnvelopeFormat.CMS: "application/x-pem-file", EnvelopeFormat.JWE: "application/jose"}


def accept_delivery(request: DeliveryRequest, account: Account) -> RecipientKey | None:
    """Checks everything about a delivery before there is a secret; the key to encrypt to, if it is by file.
    Raises Refused (REQUIRED, INVALID, NOT_ALLOWED_BY_POLICY and the public key's own codes)."""
    if request.method not in account.allowed_delivery_methods:
        raise refuse(
            ErrorCode.NOT_ALLOWED_BY_POLICY,
            f"The account's policy does not allow {request.method}.",
            "delivery",
            "method",
        )
    if request.method is DeliveryMethod.ENCRYPTED_FILE:
        return _recipient(request.public_key, account.minimum_rsa_key_bits)
    if request.public_key is not None:
        _refuse_if_private(request.public_key)
        raise _public_key_refused(ErrorCode.INVALID, "A public key is for ENCRYPTED_FILE only: leave it out.")
    return None


def deliver(
    name: str, api_key: str, secret: Secret, recipient: RecipientKey | None, format_: EnvelopeFormat
) -> Delivery:
    """What the answer carries: the one time that the secret leaves the server."""
    table = credential_csv(api_key, secret.reveal())
    if recipient is None:
        return ViewAndCopy(api_key, secret, File(f"{name}.csv", "text/csv", table))
    file = File(f"{name}.enc", _MEDIA_TYPES[format_], _SEAL[format_](table, recipient))
    return EncryptedFile(file, format_, recipient.fingerprint, decrypt_command(format_, file.name))


def pack(delivery: Delivery) -> dict[str, Any]:
    """A delivery as plain values, to be sealed and kept for a retry."""
    if isinstance(delivery, ViewAndCopy):
        return {"api_key": delivery.api_key, "api_secret": delivery.api_secret.reveal(), "csv": _pack(delivery.csv)}
    return {
        "file": _pack(delivery.file),
        "format": delivery.format.value,
        "public_key_fingerprint": delivery.public_key_fingerprint,
    }


def unpack(packed: Mapping[str, Any]) -> Delivery:
    """What was packed."""
    if "csv" in packed:
        return ViewAndCopy(packed["api_key"], Secret(packed["api_secret"]), _unpack(packed["csv"]))
    file, format_ = _unpack(packed["file"]), EnvelopeFormat(packed["format"])
    return EncryptedFile(file, format_, packed["public_key_fingerprint"], decrypt_command(format_, file.name))


def _pack(file: File) -> list[str]:
    return [file.name, file.media_type, b64encode(file.content).decode()]


def _unpack(packed: list[str]) -> File:
    return File(packed[0], packed[1], b64decode(packed[2]))


def _recipient(public_key: Secret | None, minimum_bits: int) -> RecipientKey:
    if public_key is None:
        raise _public_key_refused(ErrorCode.REQUIRED, "ENCRYPTED_FILE needs your RSA public key.")
    try:
        return read_public_key(public_key.reveal(), minimum_bits=minimum_bits)
    except PublicKeyRefused as refused:
        # Not chained: what was pasted may be a private key.
        raise _public_key_refused(ErrorCode(refused.code), str(refused)) from None


def _refuse_if_private(key: Secret) -> None:
    """Whoever has sent a private key is told so, whatever else is wrong."""
    try:
        read_public_key(key.reveal())
    except PublicKeyRefused as refused:
        if refused.code is PublicKeyFault.PRIVATE_KEY_SUPPLIED:
            raise _public_key_refused(ErrorCode.PRIVATE_KEY_SUPPLIED, str(refused)) from None


def _public_key_refused(code: ErrorCode, message: str) -> Refused:
    return refuse(code, message, "delivery", "public_key")
