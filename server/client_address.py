"""Where a request comes from: the socket's address, or what configured proxies say of it."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.requests import HTTPConnection

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]


def client_address(request: HTTPConnection, trusted_proxies: Networks) -> str | None:
    """The address of who asks. X-Forwarded-For counts only from a trusted proxy, and is read from the right: each
    proxy appends whom it was asked by, and what lies left of the first one that is not trusted anybody can invent."""
    address = _parsed(request.client.host) if request.client else None
    if address is None or not trusted_proxies:
        return str(address) if address else None
    hops = [hop.strip() for value in request.headers.getlist("x-forwarded-for") for hop in value.split(",")]
    return str(_first_untrusted(address, reversed(hops), trusted_proxies))


def is_proxy(request: HTTPConnection, trusted_proxies: Networks) -> bool:
    """Whether the socket's address is a trusted proxy's."""
    address = _parsed(request.client.host) if request.client else None
    return address is not None and any(address in network for network in trusted_proxies)


def _first_untrusted(address: Address, hops: Iterable[str], trusted_proxies: Networks) -> Address:
    for hop in hops:
        if not any(address in network for network in trusted_proxies):
            break
        before = _parsed(hop)
        if before is None:
            break
        address = before
    return address


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Address | None:
    """The address in its one spelling: without the zone, which only its own machine knows, and as IPv4 where it is
    one in the clothes of IPv6, as sockets for both have it."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address
