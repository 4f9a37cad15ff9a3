"""Where a credential may be used from."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from models.credential import Credential
from resolvers.errors import ErrorCode, refuse

MAXIMUM = 50


def checked_networks(networks: Sequence[str] | None, *field: str) -> str:
    """CIDR blocks in their normal form, with spaces between them. Raises Refused (INVALID)."""
    if not networks:
        return ""
    if len(networks) > MAXIMUM:
        raise refuse(ErrorCode.INVALID, f"At most {MAXIMUM} networks, please.", *field)
    try:
        return " ".join(dict.fromkeys(str(ip_network(network.strip())) for network in networks))
    except ValueError:
        message = "A network is an address or a CIDR block without host bits: 192.0.2.0/24, 2001:db8::/32."
        raise refuse(ErrorCode.INVALID, message, *field) from None


def is_address_allowed(credential: Credential, address: str | None) -> bool:
    """Whether a credential may be used from an address. One that is kept to networks is not let in from nowhere."""
    if not credential.allowed_networks:
        return True
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return False
    if parsed.version == 6 and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in credential.networks)
