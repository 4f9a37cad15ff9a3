"""Where a request comes from: the socket's address, or what configured proxies say of it."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address

from starlette.requests import Request

Networks = tuple[IPv4Network | IPv6Network, ...]


def client_address(request: Request, trusted_proxies: Networks) -> str | None:
    """The address of who asks. X-Forwarded-For counts only from a trusted proxy, and is read from the right: each
    proxy appends whom it was asked by, and what lies left of the first one that is not trusted anybody can invent."""
    address = request.client.host if request.client else None
    if address is None or not _is_in(address, trusted_proxies):
        return address
    hops = [hop.strip() for value in request.headers.getlist("x-forwarded-for") for hop in value.split(",")]
    return _first_untrusted(reversed(hops), address, trusted_proxies)


def _first_untrusted(hops: Iterable[str], address: str, trusted_proxies: Networks) -> str:
    for hop in hops:
        if not _is_address(hop):
            break
        address = str(ip_address(hop))
        if not _is_in(address, trusted_proxies):
            break
    return address


def _is_in(address: str, networks: Networks) -> bool:
    return _is_address(address) and any(ip_address(address) in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
