"""Key and secret, or an access token, as they come in a request's headers."""

from base64 import b64decode
from binascii import Error as BadBase64
from dataclasses import dataclass
from urllib.parse import unquote_plus

from starlette.datastructures import Headers

from auth.crypto.secret import Secret


@dataclass(frozen=True)
class KeyAndSecret:
    api_key: str
    api_secret: Secret


def basic(headers: Headers, *, form_encoded: bool = False) -> KeyAndSecret | None:
    """Authorization: Basic (RFC 7617). OAuth has both parts form-encoded besides (RFC 6749, 2.3.1)."""
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        key, separator, secret = b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (BadBase64, ValueError):
        return KeyAndSecret("", Secret(""))
    if form_encoded:
        key, secret = unquote_plus(key), unquote_plus(secret)
    return KeyAndSecret(key, Secret(secret)) if separator else KeyAndSecret("", Secret(""))


def bearer(headers: Headers) -> Secret | None:
    """Authorization: Bearer (RFC 6750, 2.1)."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return Secret(token.strip()) if scheme.lower() == "bearer" else None
