"""Bytes to the gateway and back, within bounds: size, seconds, no redirects, no plain HTTP but to loopback.

What is sent is what was signed: a target is never normalised. Proxies, cookies and passwords of the
environment are not used.

A lost connection is tried once more: every request is either read-only or carries an idempotency key,
so a second try cannot cost twice. Knows nothing of tokens.
"""

import ipaddress
import re
import ssl
from collections.abc import Callable, Mapping, MutableMapping
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from gateway.client.failures import ClientFailure, GatewayUnreachable

BODY_BYTES_MAX: Final = 64 * 1024 * 1024
CONNECT_S: Final = 10
TRIES: Final = 2
_TARGET: Final = re.compile(r"/[\x21\x22\x24-\x7e]*")  # visible ASCII without `#`


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A complete answer, whatever its status."""

    status: int
    headers: MutableMapping[str, str]
    """By names whose case means nothing."""
    body: bytes = field(repr=False)

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def saying(self, content_type: str, body: bytes) -> "Response":
        """Return the same answer with what its body was found to say."""
        return replace(self.with_headers({"Content-Type": content_type}), body=body)

    def with_headers(self, changed: Mapping[str, str]) -> "Response":
        """Return the same answer with other headers."""
        headers = copy(self.headers)
        headers.update(changed)
        return replace(self, headers=headers)


class ResponseTooLarge(ClientFailure):
    """The answer is larger than the client takes."""


def checked_origin(origin: str) -> str:
    """Return ``scheme://host[:port]`` without a final slash.

    Raises:
        ValueError: Not an origin, or plain HTTP to another machine, where anyone could read the data.

    """
    parts = urlsplit(origin)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError("the origin is https://host or https://host:port")
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("the origin has no path, query, fragment or user")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("plain http is for this machine only; use https")
    return f"{parts.scheme}://{parts.netloc}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class ConnectionLost(aiohttp.ClientError):
    """The connection ended before the answer began."""


async def _sent_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Send a request and, if its connection is lost, keep aiohttp from sending the same again by itself.

    SECURITY: a proof serves once; sent again, it is a replay to the gateway. ``Wire.send`` makes a new one.
    """
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # nothing was sent
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
        raise ConnectionLost from error


class Wire:
    """One connection pool to one origin."""

    def __init__(self, origin: str, *, tls: ssl.SSLContext | None, timeout_s: float) -> None:
        """Open lazily; ``tls`` is for a private certificate authority or a client certificate."""
        self.origin = checked_origin(origin)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=True if tls is None else tls, limit=8),
            timeout=aiohttp.ClientTimeout(total=timeout_s, connect=CONNECT_S),
            middlewares=(_sent_once,),
            cookie_jar=aiohttp.DummyCookieJar(),  # nothing ambient: each request stands for itself
            trust_env=False,
        )

    async def close(self) -> None:
        await self._session.close()

    async def send(
        self, method: str, path: str, *, message: Callable[[], tuple[Mapping[str, str], bytes]]
    ) -> Response:
        """Return the answer to ``message``, which is made anew for each try: a proof serves once.

        Raises:
            GatewayUnreachable: No complete answer came; it says why.
            ResponseTooLarge: The answer passes the client's bound.

        """
        if _TARGET.fullmatch(path) is None:
            raise ValueError("a path begins with `/` and is percent-encoded")
        for left in reversed(range(TRIES)):
            try:
                return await self._once(method, path, *message())
            except (ConnectionLost, aiohttp.ClientPayloadError, aiohttp.ClientOSError) as error:
                if not left:
                    raise GatewayUnreachable(f"{self.origin} cannot be reached: {_why(error)}") from error
            except (aiohttp.ClientError, TimeoutError) as error:
                raise GatewayUnreachable(f"{self.origin} cannot be reached: {_why(error)}") from error
        raise AssertionError("unreachable: the last try returns or raises")

    async def _once(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response:
        async with self._session.request(
            method,
            URL(self.origin + path, encoded=True),  # SECURITY: the proof is over these very characters
            data=body or None,
            headers=headers,
            allow_redirects=False,  # SECURITY: a proof is over this URL and a token is for this origin
        ) as response:
            received = bytearray()
            async for chunk in response.content.iter_chunked(64 * 1024):
                received += chunk
                if len(received) > BODY_BYTES_MAX:
                    raise ResponseTooLarge(f"more than {BODY_BYTES_MAX} bytes")
            return Response(status=response.status, headers=response.headers.copy(), body=bytes(received))


def _why(error: Exception) -> str:
    """Return what a person can do something about."""
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return "its certificate is not accepted; name its authority's file with `gateway login --ca FILE`"
        case aiohttp.ClientConnectorDNSError():
            return "no host of that name is known here"
        case aiohttp.ClientOSError() if isinstance(error.__cause__, ConnectionRefusedError):
            return "nothing listens there; is the address right, and does the gateway run?"
        case TimeoutError():
            return "no answer in time"
        case _:
            return "the connection was lost"
