"""How a secret is asked for, and how it is handed over."""

from base64 import b64encode
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import UNSET

from auth.crypto.envelopes import EnvelopeFormat
from auth.crypto.secret import Secret
from models.account import DeliveryMethod
from resolvers import delivery, expiry
from schema.inputs import arguments


@strawberry.input(description="How the secret should be delivered.")
class DeliveryInput:
    method: DeliveryMethod = strawberry.field(description="Shown once, or as an encrypted file.")
    public_key: str | None = strawberry.field(
        default=UNSET,
        description="For ENCRYPTED_FILE: an RSA public key as PEM (SPKI, PKCS#1 or an X.509 certificate), DER in "
        "base64, JWK or an ssh-rsa line.",
    )
    format: EnvelopeFormat = strawberry.field(
        default=EnvelopeFormat.CMS, description="For ENCRYPTED_FILE: how the file is written."
    )

    def request(self) -> delivery.DeliveryRequest:
        key = Secret(self.public_key) if isinstance(self.public_key, str) else None
        return delivery.DeliveryRequest(self.method, key, self.format)


@strawberry.input(description="When a credential should end.", one_of=True)
class ExpiryInput:
    months: int | None = strawberry.field(default=UNSET, description="Calendar months from now, in UTC; 1 to 1200.")
    at: datetime | None = strawberry.field(default=UNSET, description="An instant within the next 1200 months.")
    never: bool | None = strawberry.field(default=UNSET, description="True: no end, where the account's policy allows.")

    def wanted(self) -> expiry.Expiry:
        return expiry.Expiry(**arguments(self))


@strawberry.type(description="A file to save.")
class File:
    name: str = strawberry.field(description="What to save it as: the credential's name and .csv or .enc.")
    media_type: str = strawberry.field(description="Its media type, as in RFC 6838.")
    content_base64: str = strawberry.field(description="Its bytes in base64 (RFC 4648, 4).")

    @staticmethod
    def of(file: delivery.File) -> "File":
        content = b64encode(file.content).decode()
        return File(name=file.name, media_type=file.media_type, content_base64=content)


@strawberry.type(description="Key and secret in the clear.")
class ViewAndCopyDelivery:
    api_key: str = strawberry.field(description="Public: it names the credential.")
    api_secret: str = strawberry.field(description="Shown this once; the server keeps only a keyed hash.")
    csv: File = strawberry.field(
        description="Both, as <name>.csv: the header API Key,API Secret and one row (RFC 4180)."
    )


@strawberry.type(description="Key and secret, for the holder of the private key.")
class EncryptedFileDelivery:
    file: File = strawberry.field(description="The CSV, sealed, as <name>.enc.")
    format: EnvelopeFormat = strawberry.field(description="How it is written.")
    public_key_fingerprint: str = strawberry.field(
        description="SHA-256 of the SubjectPublicKeyInfo it is encrypted to, in hex."
    )
    decrypt_command: str = strawberry.field(description="The command that opens the file.")


CredentialDelivery = Annotated[
    ViewAndCopyDelivery | EncryptedFileDelivery,
    strawberry.union("CredentialDelivery", description="A secret, handed over this once."),
]


def delivered(result: delivery.Delivery) -> ViewAndCopyDelivery | EncryptedFileDelivery:
    if isinstance(result, delivery.ViewAndCopy):
        return ViewAndCopyDelivery(
            api_key=result.api_key, api_secret=result.api_secret.reveal(), csv=File.of(result.csv)
        )
    return EncryptedFileDelivery(
        file=File.of(result.file),
        format=result.format,
        public_key_fingerprint=result.public_key_fingerprint,
        decrypt_command=result.decrypt_command,
    )
