"""Guessing gets nowhere: failed sign-ins and logins make the next ones wait, longer each time.

A subject (an address, an API key) is only throttled from the source that guesses at it, so nobody is locked out by
somebody else's guesses; and a source is throttled whatever it guesses at. Tries are counted before they are made, and
taken back where they were right, so that many at once get no more than one after the other.
"""

import ipaddress
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from random import randrange

from auth.crypto.credential_format import is_api_key
from auth.crypto.keyring import Purpose
from auth.passwords import TooManyPasswords
from auth.principal import Principal
from models.credential import Credential
from models.failures import is_unavailable
from models.throttle import ThrottleRule, forget_old, forgive, take_back, take_try, wait_for
from models.user import Role
from resolvers.caller import Caller
from resolvers.wording import counted


@dataclass(frozen=True)
class Limits:
    """What one kind of try is held to: a subject from a source, and a source.

    gateways_exempt: gateways pass on what others try, those of one account at that account's credentials.
    """

    kind: str
    pair: ThrottleRule
    source: ThrottleRule
    gateways_exempt: bool = False


_LONGEST = 900  # seconds to wait; and a try is forgotten after as many
# A person who mistypes hardly notices, and neither do offices and proxies, which share a source.
SIGN_IN = Limits(
    "sign-in",
    pair=ThrottleRule(free=8, limit=_LONGEST, forgotten=_LONGEST),
    source=ThrottleRule(free=60, limit=_LONGEST, forgotten=_LONGEST),
)
# A fleet of clients behind one address logs in with one credential at the same instant, each time that its tokens
# expire. The secret can't be guessed whatever the number of tries: this keeps the noise down.
LOGIN = Limits(
    "login",
    pair=ThrottleRule(free=100, limit=_LONGEST, forgotten=_LONGEST),
    source=ThrottleRule(free=1000, limit=_LONGEST, forgotten=_LONGEST),
    gateways_exempt=True,
)
_CLEAN_UP_EVERY = 500
_DOMAIN = "sealkey throttle v1"


class Throttled(Exception):
    """Too many tries; `seconds` says when to come back."""

    def __init__(self, milliseconds: int) -> None:
        self.seconds = -(-milliseconds // 1000)
        super().__init__(f"Too many failed tries. Try again in {counted(self.seconds, 'second')}.")


@asynccontextmanager
async def throttled(caller: Caller, limits: Limits, subject: str) -> AsyncIterator[None]:
    """Around one try: counted in vain if what is inside raises, else forgiven; what was not tried after all is taken
    back. Raises Throttled."""
    if limits.gateways_exempt and await _comes_through_its_gateway(caller.principal, subject):
        yield
        return
    source = source_of(caller.source_ip)
    pair_key, source_key = _key(caller, limits.kind, source, subject), _key(caller, limits.kind, source)
    try:
        await _take(caller, limits, source_key, pair_key)
    except Throttled:
        caller.deployment.counts.throttled[limits.kind] += 1
        raise
    try:
        yield
    except Exception as error:
        # What could not be decided was no try in vain.
        if isinstance(error, TooManyPasswords) or is_unavailable(error):
            await _take_back(source_key, pair_key)
        raise
    with _unless_unavailable():  # who is in is in
        await forgive(pair_key)
        await take_back(source_key)


async def _take_back(*keys: str) -> None:
    with _unless_unavailable():
        for key in keys:
            await take_back(key)


@contextmanager
def _unless_unavailable() -> Iterator[None]:
    """Around what is no reason to fail where the database can't be asked just now."""
    try:
        yield
    except Exception as error:
        if not is_unavailable(error):
            raise


async def _comes_through_its_gateway(principal: Principal | None, api_key: str) -> bool:
    """An administrator makes gateway tokens of the own account, so that such a one is no leave to guess at what is
    another's, and to fill another's audit log with it."""
    if principal is None or principal.role is not Role.GATEWAY:
        return False
    if principal.account_id is None:
        return True
    return is_api_key(api_key) and await Credential.exists(api_key=api_key, account_id=principal.account_id)


async def _take(caller: Caller, limits: Limits, source_key: str, pair_key: str) -> None:
    now = int(caller.now.timestamp() * 1000)
    if randrange(_CLEAN_UP_EVERY) == 0:  # noqa: S311
        await forget_old(limits.source, now)
    # Whoever comes too early is told so at the price of a look, and nothing is held against the source for it.
    if wait := await wait_for([source_key, pair_key], now):
        raise Throttled(wait)
    if wait := await take_try(source_key, limits.source, now):
        raise Throttled(wait)
    try:
        if wait := await take_try(pair_key, limits.pair, now):
            raise Throttled(wait)
    except Exception:
        await _take_back(source_key)
        raise


def _key(caller: Caller, *parts: str) -> str:
    """A keyed hash, so that what people mistyped, a password in the place of the address say, is not kept. Under a key
    that stays when a newer one is added: nobody gets new tries by a rotation."""
    key = caller.deployment.keyring.steady_key(Purpose.AUDIT_HASHING, caller.now)
    return key.mac(_DOMAIN, *(part.encode(errors="surrogatepass") for part in parts))


def source_of(address: str | None) -> str:
    """The address, or the /64 network of an IPv6 one: a subscriber has at least that many."""
    if address is None:
        return "unknown"
    parsed = ipaddress.ip_address(address)
    return str(parsed if parsed.version == 4 else ipaddress.ip_network((parsed, 64), strict=False))
