"""Base64 that means one thing only: every accepted text decodes to bytes that encode back to it."""

import binascii
import re
from base64 import b64encode

_WHITE_SPACE = re.compile(r"[ \t\r\n]+")
_BODY = re.compile(r"[A-Za-z0-9+/]*", re.ASCII)
_URL_BODY = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
_FROM_URL = str.maketrans("-_", "+/")


class Base64Refused(ValueError):
    """The text is not base64. The message says how, and repeats none of it."""


def decode_base64(text: str) -> bytes:
    """The bytes of base64 or base64url text (RFC 4648 sections 4 and 5), as people paste it.

    White space is ignored and the padding may be left out; anything else unusual raises Base64Refused.
    """
    packed = _WHITE_SPACE.sub("", text)
    body = packed.rstrip("=")
    if len(packed) - len(body) not in (0, -len(body) % 4):
        raise Base64Refused("its padding is wrong")
    return _decode(body.translate(_FROM_URL))


def decode_base64url(text: str) -> bytes:
    """The bytes of base64url text as JOSE writes it: no padding, no white space (RFC 7515 section 2).

    Raises Base64Refused.
    """
    if not _URL_BODY.fullmatch(text):
        raise Base64Refused("it has characters that base64url has not")
    return _decode(text.translate(_FROM_URL))


def _decode(body: str) -> bytes:
    if not _BODY.fullmatch(body):
        raise Base64Refused("it has characters that base64 has not")
    padding = "=" * (-len(body) % 4)
    try:
        data = binascii.a2b_base64(body + padding, strict_mode=True)
    except binascii.Error:
        raise Base64Refused("its length is impossible: part of it is missing") from None
    # Python drops the spare bits of the last character: two texts would stand for the same bytes.
    if b64encode(data).decode() != body + padding:
        raise Base64Refused("its last character is wrong: part of it is missing")
    return data
