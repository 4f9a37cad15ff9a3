"""What shows that a secret is somewhere: any piece of it as it is, or in another writing."""

import re
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import quote

# So many characters of a secret in a row are no accident.
PIECE = 12


def kernel(secret: str) -> str:
    """What is random in a secret: not the beginning of a token, and of a JWT the signature."""
    return re.sub(r"^(sealkey_[a-z]+|whsec)_", "", secret).rpartition(".")[2]


def traces(secret: str, every: int = 1) -> set[bytes]:
    """Any piece of it (`every`: of so many one), the whole of it in base64, hexadecimal, percent-encoded or escaped as
    in JSON, and of what is itself base64 the bytes."""
    raw = kernel(secret).encode()
    pieces = {raw[at : at + PIECE] for at in range(0, len(raw) - PIECE + 1, every)}
    written = {raw.hex().encode(), raw.hex().upper().encode(), *_in_base64(raw)}
    percent = {quote(raw, safe="").encode(), b"".join(b"%%%02X" % byte for byte in raw)}
    escaped = {raw.decode().encode("unicode_escape"), "".join(f"\\u{ord(each):04x}" for each in raw.decode()).encode()}
    with suppress(ValueError):
        key = urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))
        written |= {key, key.hex().encode()} if len(key) >= PIECE else set()
    return pieces | written | percent | escaped


def _in_base64(raw: bytes) -> Iterator[bytes]:
    """As it is within base64 of something longer, wherever it begins there."""
    for before in range(3):
        written = b64encode(b"x" * before + raw)[4 if before else 0 :].rstrip(b"=")[:-2]
        yield written
        yield written.replace(b"+", b"-").replace(b"/", b"_")


def found(secret: str, text: bytes) -> bool:
    return any(trace in text for trace in traces(secret))
