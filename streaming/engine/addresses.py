"""Network addresses as limits and bans count them: of IPv6 a network of 64 bits is one, for that is what one customer is given."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Network, ip_address


@lru_cache(4096)
def network(address: str) -> str:
    """What stands for an address where it is counted: `192.0.2.1`, `2001:db8::/64`. What is no address stands for itself."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or IPv6Network((int(parsed), 64), strict=False))
