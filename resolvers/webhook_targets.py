"""Where messages may be sent: to public addresses, and never into the provider's own network.

A name is looked up for each try, every address that it has is judged, and then one of these very addresses is
connected to: a name that changes its meaning in between, or has a private address among public ones, is of no use. The
certificate must still be the name's own. `allowed` networks may be sent to although they are not public.
"""

import asyncio
import re
import socket
from concurrent.futures import Future
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from threading import Thread
from typing import Any

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

MAXIMUM_URL = 2000

# Only what RFC 3986 allows, without user, password and fragment: nothing that two readers could read in two ways.
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_CHARACTER = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})"
_URL = re.compile(
    rf"(?P<scheme>https?)://(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[1-9][0-9]{{0,4}}))?"
    rf"(?P<rest>(?:/{_CHARACTER}*)?(?:\?(?:{_CHARACTER}|\?)*)?)"
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
# Addresses that stand for IPv4 ones: 6to4 (RFC 3056), and NAT64 (RFC 6052), which leads wherever the gateway can.
_6TO4 = IPv6Network("2002::/16")
_NAT64 = IPv6Network("64:ff9b::/96")


class TargetRefused(Exception):
    """Nothing is sent there; the message says why, as the rest of a sentence."""


@dataclass(frozen=True)
class Target:
    """An endpoint as it is connected to: by an address that was judged."""

    url: str
    host_header: str
    server_name: str


@dataclass(frozen=True)
class _Parts:
    scheme: str
    host: str
    port: int
    host_header: str
    rest: str


def host_of(url: str) -> str:
    """The host that a URL names. The rest of it may be secret, as some receivers have it."""
    return _parse(url).host


def check_url(url: str, allowed: Networks) -> None:
    """Raises TargetRefused for what can be known to be of no use without asking for the name's addresses."""
    parts = _parse(url)
    if parts.scheme != "https" and not allowed:
        raise TargetRefused("it does not begin with https")
    try:
        address = _plain(ip_address(parts.host))
    except ValueError:
        return
    _judge([address], address, parts, allowed)


async def find_target(url: str, allowed: Networks, attempt: int) -> Target:
    """Where to connect to. Of several addresses each attempt takes the next. Raises TargetRefused."""
    parts = _parse(url)
    addresses = await _look_up(parts.host, parts.port)
    if not addresses:
        raise _not_public()
    address = addresses[attempt % len(addresses)]
    _judge(addresses, address, parts, allowed)
    host = f"[{address}]" if address.version == 6 else str(address)
    return Target(f"{parts.scheme}://{host}:{parts.port}{parts.rest}", parts.host_header, parts.host)


def _judge(addresses: list[Address], address: Address, parts: _Parts, allowed: Networks) -> None:
    if not all(_is_in(each, allowed) or _is_public(each) for each in addresses):
        raise _not_public()
    if parts.scheme != "https" and not _is_in(address, allowed):
        raise TargetRefused("it does not begin with https")


def _not_public() -> TargetRefused:
    # The same for a name that does not exist: which names the provider's own network has is nobody's business.
    return TargetRefused("it has no public address")


def _is_in(address: Address, networks: Networks) -> bool:
    return any(address in network for network in networks)


def _is_public(address: Address) -> bool:
    # What Python calls global includes multicast and, of IPv6, much that leads nowhere or somewhere else.
    if address.version == 6 and (address not in _GLOBAL_UNICAST or address in _6TO4):
        return False
    return address.is_global and not address.is_multicast


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address


async def _look_up(host: str, port: int) -> list[Address]:
    """All addresses of a name, in the order to try them.

    In a thread of its own, since it can't be interrupted: one that hangs must neither take a thread from others nor
    keep the server from stopping.
    """
    answer: Future[list[Any]] = Future()
    answer.set_running_or_notify_cancel()

    def ask() -> None:
        try:
            answer.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError:
            answer.set_result([])

    Thread(target=ask, daemon=True, name="webhook-name").start()
    found = await asyncio.wrap_future(answer)
    return list(dict.fromkeys(_plain(ip_address(address[4][0])) for address in found))


def _parse(url: str) -> _Parts:
    match = _URL.fullmatch(url) if len(url) <= MAXIMUM_URL else None
    port = int(match["port"] or (443 if match["scheme"] == "https" else 80)) if match else 0
    if match is None or port > 65_535 or len(match["host"]) > 253:
        raise TargetRefused("it is not an address like https://hooks.example/sealkey")
    host_header = match["host"] + (f":{match['port']}" if match["port"] else "")
    rest = match["rest"] if match["rest"].startswith("/") else f"/{match['rest']}"
    return _Parts(match["scheme"], match["host"].strip("[]"), port, host_header, rest)
