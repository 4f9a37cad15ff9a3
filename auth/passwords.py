"""Passwords: argon2id (RFC 9106) at the library's defaults, off the event loop, a few at a time, and not many more
waiting."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from auth.crypto.secret import Secret

MINIMUM_LENGTH = 12
MAXIMUM_LENGTH = 1024

Result = TypeVar("Result")

# Each of them something else.
_under_way: set[object] = set()

_HASHER = PasswordHasher()
# Each hash takes 64 MiB for a tenth of a second: two at once is what a small machine has to spare.
_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")
# Whoever comes after these would wait for two seconds.
MOST_AT_ONCE = 32

# The hash of a random password that nobody knows: an unknown address's password is compared with it, so that it takes
# as long as a known one's.
_NOBODYS = "$argon2id$v=19$m=65536,t=3,p=4$q6F+adAPWxccZN25kXwpTw$IFITHo+SyLliUdlgZa0XRwjDKJnctatWcX3uYH4Z8O8"


class TooManyPasswords(Exception):
    """More passwords than can be hashed soon; nothing was tried."""

    seconds = 1

    def __init__(self) -> None:
        super().__init__("Too many are signing in now. Try again in a moment.")


async def hash_password(password: Secret) -> str:
    """The PHC string to keep. Raises TooManyPasswords, as the next does."""
    return await _in_thread(_HASHER.hash, password.reveal())


async def password_matches(kept: str | None, password: Secret) -> bool:
    """Whether the password belongs to the kept PHC string. None takes as long and is never right."""
    matches = await _in_thread(_verify, kept or _NOBODYS, password.reveal())
    return matches and kept is not None


def _verify(kept: str, password: str) -> bool:
    try:
        return _HASHER.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False


async def _in_thread(function: Callable[..., Result], *arguments: str) -> Result:
    if len(_under_way) >= MOST_AT_ONCE:
        raise TooManyPasswords
    one = object()
    _under_way.add(one)
    try:
        return await asyncio.get_running_loop().run_in_executor(_THREADS, function, *arguments)
    finally:
        _under_way.discard(one)


def hashing_now() -> int:
    """How many are being hashed, or wait for that."""
    return len(_under_way)
