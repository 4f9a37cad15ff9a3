"""Where a credential may be used from."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from resolvers.errors import ErrorCode, refuse

MAXIMUM = 50


def checked_networks(networks: Sequence[str] | None, *field: str) -> str:
    """CIDR blocks in their normal form, with spaces between them. Raises Refused (INVALID)."""
    if not networks:
        return ""
    if len(networks) > MAXIMUM:
        raise refuse(ErrorCode.INVALID, f"At most {MAXIMUM} networks, please.", *field)
    try:
        return " ".join(dict.fromkeys(str(_network(network.strip())) for network in networks))
    except ValueError:
        message = "A network is an address or a CIDR block without host bits: 192.0.2.0/24, 2001:db8::/32."
        raise refuse(ErrorCode.INVALID, message, *field) from None


def _network(text: str) -> IPv4Network | IPv6Network:
    if "%" in text:
        raise ValueError("a zone (RFC 4007) means something on one machine only")
    network = ip_network(text)
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    # Addresses are compared as the IPv4 ones that they stand for, so the network must be one too.
    return IPv4Network((mapped, network.prefixlen - 96)) if mapped and network.prefixlen >= 96 else network


def is_address_allowed(networks: Sequence[IPv4Network | IPv6Network], address: str | None) -> bool:
    """Whether a credential kept to networks may be used from an address. It is not let in from nowhere."""
    if not networks:
        return True
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return False
    if parsed.version == 6 and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in networks)
