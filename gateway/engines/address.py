"""Which addresses an upstream may have: the ones its document names, judged anew at each connection.

A host written as an address, or ``localhost``, is that address. A name is resolved, and what it
resolves to must be public, or with ``internal`` one of the private networks of RFC 1918 and RFC 4193;
never this machine, an address where clouds keep credentials, a multicast or a reserved one. An IPv6
address that stands for an IPv4 one is judged as that, or refused where it would lead through a tunnel.
So neither a redirected name nor a rebound one (DNS rebinding) leads anywhere that the agency did not name.
"""

import ipaddress
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

LOCAL: Final = "localhost"
PRIVATE: Final = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv6Network("fc00::/7"),
)
TRANSLATED: Final = IPv6Network("64:ff9b::/96")
"""IPv4 behind a translator (RFC 6052): the last 32 bits are the address."""
REFUSED: Final = (
    IPv6Network("2002::/16"),  # 6to4
    IPv6Network("2001::/32"),  # Teredo
    IPv6Network("fec0::/10"),  # site-local, of old
    IPv4Network("192.0.0.0/24"),  # protocols' own; the last four: where clouds keep credentials
    IPv4Network("168.63.129.16/32"),
    IPv6Network("fd00:ec2::254/128"),
    IPv6Network("fd20:ce::254/128"),
)


def is_allowed(host: str, address: str, *, internal: bool) -> bool:
    """Return whether a host may be reached at an address that it resolved to."""
    found = _meant(ipaddress.ip_address(address.partition("%")[0]))
    if host == LOCAL:
        return found.is_loopback
    if found.is_loopback or found.is_link_local or found.is_multicast or found.is_reserved:
        return False
    if any(found in network for network in REFUSED):
        return False
    is_private = any(found in network for network in PRIVATE)
    return internal if is_private else found.is_global


def _meant(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 one stands for, or else the address."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in TRANSLATED:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


class AddressRefused(OSError):
    """A name leads where its document does not say that it may."""


class NamedHost(AbstractResolver):
    """A resolver that knows one host; whatever else is asked for does not exist."""

    def __init__(self, url: str, *, internal: bool, resolver: AbstractResolver | None = None) -> None:
        self._host = urlsplit(url).hostname
        self._internal = internal
        self._resolver = resolver or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host.lower() != self._host:
            raise OSError("not the host that the document names")
        found = await self._resolver.resolve(host, port, family)
        allowed = [each for each in found if is_allowed(host, each["host"], internal=self._internal)]
        if not allowed or len(allowed) < len(found):
            raise AddressRefused("the host resolves to an address that the document does not name")
        return allowed

    async def close(self) -> None:
        await self._resolver.close()
