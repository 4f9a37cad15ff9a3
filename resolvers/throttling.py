"""Guessing gets nowhere: failed sign-ins and logins make the next ones wait, longer each time.

A subject (an address, an API key) is only throttled from the source that guesses at it, so nobody is locked out by
somebody else's guesses; and a source is throttled whatever it guesses at. Tries are counted before they are made, and
taken back where they were right, so that many at once get no more than one after the other.
"""

import hashlib
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import randrange

from models.throttle import ThrottleRule, forget_old, forgive, take_back, take_try
from models.user import Role
from resolvers.caller import Caller

# A client that retries a few times at once is let through; a person who mistypes hardly notices.
PAIR_RULE = ThrottleRule(free=8, limit=900, forgotten=86_400)
# Offices and proxies share a source.
SOURCE_RULE = ThrottleRule(free=60, limit=900, forgotten=86_400)
_CLEAN_UP_EVERY = 500


class Throttled(Exception):
    """Too many tries; `seconds` says when to come back."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many failed tries. Try again in {seconds} seconds.")
        self.seconds = seconds


@asynccontextmanager
async def throttled(caller: Caller, subject: str) -> AsyncIterator[None]:
    """Around one try: counted in vain if what is inside raises, else forgiven. Raises Throttled.

    Gateways, which pass on what others try, are exempt.
    """
    if caller.principal is not None and caller.principal.role is Role.GATEWAY:
        yield
        return
    source = _source(caller.source_ip)
    pair_key, source_key = _key("pair", source, subject), _key("source", source)
    now = int(caller.now.timestamp() * 1000)
    await _take(source_key, SOURCE_RULE, now)
    await _take(pair_key, PAIR_RULE, now)
    yield
    await forgive(pair_key)
    await take_back(source_key)


async def _take(key: str, rule: ThrottleRule, now: int) -> None:
    if randrange(_CLEAN_UP_EVERY) == 0:  # noqa: S311
        await forget_old(now - rule.forgotten * 1000)
    if wait := await take_try(key, rule, now):
        raise Throttled(-(-wait // 1000))


def _key(*parts: str) -> str:
    """A hash, so that what people mistyped, a password in the place of the address say, is not kept."""
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()


def _source(address: str | None) -> str:
    """The address, or the /64 network of an IPv6 one: a subscriber has at least that many."""
    if address is None:
        return "unknown"
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return str(parsed if parsed.version == 4 else ipaddress.ip_network((parsed, 64), strict=False))
