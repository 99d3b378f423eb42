"""An upstream is where its document says, and nowhere that a name was bent to."""

import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.engines.address import NamedHost, is_allowed

NOWHERE = (
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a01:203"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::", "2002:5db8:d70e::", "2001::1"),
    *("::127.0.0.1", "::10.1.2.3", "::ffff:0:10.1.2.3", "::", "100::1", "fec0::1", "fe80::1", "ff02::1"),
    *("fd00:ec2::254", "fd20:ce::254", "168.63.129.16", "192.0.0.192", "100.100.100.200"),
    *("0.1.2.3", "192.0.0.8", "192.0.2.1", "198.18.0.1", "100.64.0.1", "240.0.0.1", "255.255.255.255"),
)
PUBLIC, PRIVATE, LOOPBACK, METADATA = "93.184.215.14", "10.1.2.3", "127.0.0.1", "169.254.169.254"


@pytest.mark.parametrize(
    ("host", "address", "outside", "internal"),
    [
        ("api.example", PUBLIC, True, True),
        ("api.example", PRIVATE, False, True),
        ("api.example", "192.168.0.1", False, True),
        ("api.example", "fd00::1", False, True),
        ("api.example", LOOPBACK, False, False),
        ("api.example", "::1", False, False),
        ("api.example", "::ffff:127.0.0.1", False, False),
        ("api.example", "::ffff:10.1.2.3", False, True),
        ("api.example", METADATA, False, False),
        ("api.example", "fe80::1%eth0", False, False),
        ("api.example", "224.0.0.1", False, False),
        ("api.example", "0.0.0.0", False, False),  # noqa: S104  an address to refuse
        *(("api.example", address, False, False) for address in NOWHERE),
        ("api.example", "64:ff9b::5db8:d70e", True, True),  # the public one, behind a translator
        ("api.example", "64:ff9b::a01:203", False, True),
        ("api.example", "2606:4700::1", True, True),
        ("localhost", LOOPBACK, True, True),
        ("localhost", "::1", True, True),
        ("localhost", PRIVATE, False, False),
        ("localhost", PUBLIC, False, False),
    ],
)
def test_where_a_name_may_lead(host: str, address: str, outside: bool, internal: bool) -> None:
    assert is_allowed(host, address, internal=False) == outside
    assert is_allowed(host, address, internal=True) == internal


class Answering(AbstractResolver):
    """A name service that says what it is told to."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=each, port=port, family=family, proto=0, flags=0)
            for each in self.addresses
        ]

    async def close(self) -> None:
        pass


async def resolved(host: str, *addresses: str, internal: bool = False) -> list[str]:
    named = NamedHost("https://api.example:8443/v1", internal=internal, resolver=Answering(*addresses))
    return [each["host"] for each in await named.resolve(host, 8443)]


async def test_the_named_host_is_found_and_no_other() -> None:
    assert await resolved("api.example", PUBLIC) == [PUBLIC]
    assert await resolved("api.example", PRIVATE, internal=True) == [PRIVATE]
    with pytest.raises(OSError, match="names"):
        await resolved("elsewhere.example", PUBLIC)


@pytest.mark.parametrize("addresses", [(PRIVATE,), (PUBLIC, PRIVATE), (METADATA,), ()])
async def test_a_name_that_leads_elsewhere_leads_nowhere(addresses: tuple[str, ...]) -> None:
    with pytest.raises(OSError, match="does not name"):
        await resolved("api.example", *addresses)
