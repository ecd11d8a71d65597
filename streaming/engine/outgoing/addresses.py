"""Which addresses others may have this server connect to: public ones, and those that a setting names.

A name is resolved once, what it resolves to is judged, and the connection goes to an address that was judged: a name that leads elsewhere
the second time it is asked for gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PORTS = {"http": 80, "https": 443}
LONGEST = 2000
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv4 addresses as a gateway of NAT64 writes them."""
_GIVEN_OUT = ipaddress.ip_network("2000::/3")
"""Where the public addresses of IPv6 are. Elsewhere are old forms of IPv4 ones, of sites, and what some gateway may take for anything."""


class AddressRefused(Exception):
    """An address that this server does not connect to."""


class HostUnknown(AddressRefused):
    """A name that leads nowhere: now, for its DNS may be away."""


@dataclass(frozen=True)
class AddressRules:
    """The rules of a site: the hosts and networks that are allowed besides what is public."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def allowing(cls, text: str) -> AddressRules:
        """What is public, and the comma-separated hosts, addresses and networks of a setting."""
        return _read(text)

    def check(self, url: str) -> SplitResult:
        """The parts of a URL that may be asked for, as far as one sees without asking for its name. `AddressRefused`."""
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            raise AddressRefused("it is not a URL") from None
        if parts.scheme not in PORTS:
            raise AddressRefused("it must begin with http:// or https://")
        if not host or len(url) > LONGEST or any(character <= " " or character == "\x7f" for character in url):
            raise AddressRefused("it is not a URL")
        if parts.username is not None or parts.password is not None:
            raise AddressRefused("it must not hold a user name or password")
        try:
            literal = ipaddress.ip_address(host)
        except ValueError:
            return parts
        if not self.allows(host, literal):
            raise AddressRefused(f"{host} is not a public address")
        return parts

    async def resolve(self, parts: SplitResult) -> tuple[str, int]:
        """An address and port to connect to. `AddressRefused`, `HostUnknown`."""
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise HostUnknown(f"there is no host {host}") from None
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        allowed = [each for each in addresses if self.allows(host, each)]
        if not allowed:
            raise AddressRefused(f"{host} is not at a public address")
        return str(allowed[0]), port

    def allows(self, host: str, address: Address) -> bool:
        """Whether a host may be asked at an address."""
        plain = _plain(address)
        if host.lower() in self.hosts or any(
            each in network for network in self.networks for each in (address, plain) if each.version == network.version
        ):
            return True
        return plain.is_global and not plain.is_multicast and (plain.version == 4 or plain in _GIVEN_OUT)


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one leads to, if it does."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)


@lru_cache(8)
def _read(text: str) -> AddressRules:
    hosts, networks = [], []
    for part in _parts(text):
        try:
            networks.append(ipaddress.ip_network(part, strict=False))
        except ValueError:
            hosts.append(part.lower())
    return AddressRules(frozenset(hosts), tuple(networks))


def _parts(text: str) -> Iterable[str]:
    return filter(None, (part.strip() for part in text.split(",")))
