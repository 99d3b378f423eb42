"""Which addresses an upstream may have: the ones its document names, judged anew at each connection.

A host written as an address, or ``localhost``, is that address. A name is resolved, and what it
resolves to must be public, or with ``internal`` private; never this machine, a link-local address
(where clouds keep credentials) or a multicast one. So neither a redirected name nor a rebound one
(DNS rebinding) leads anywhere that the agency did not name.
"""

import ipaddress
import socket
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

LOCAL = "localhost"


def is_allowed(host: str, address: str, *, internal: bool) -> bool:
    """Return whether a host may be reached at an address that it resolved to."""
    found: IPv4Address | IPv6Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if host == LOCAL:
        return found.is_loopback
    if found.is_loopback or found.is_link_local or found.is_multicast or found.is_unspecified:
        return False
    return found.is_global or (internal and found.is_private)


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
