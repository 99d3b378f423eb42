"""The server's end of a connection: what is not HTTP, or is a flood, gets a closed door, no reply.

aiohttp would answer malformed HTTP by itself, past the flow and past the ledger. Here such a
connection is aborted and counted instead (promise P1), and one handler gets everything else.
"""

import asyncio
import resource
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from gateway import telemetry

HEADER_BYTES_MAX = 8190
BODY_READ_S = 10.0
HEADER_READ_S = 10.0
"""Until a connection's first request must be there; between later ones it may idle, see below."""
IDLE_S = 75.0
CONNECTIONS_MAX = 4096
FILES_MAX = 16_384


def raise_file_limit() -> None:
    """Let the process hold all connections it may take, and its own files beside them."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(FILES_MAX, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class ClosingHandler(RequestHandler):
    """A connection that never answers by itself."""

    __slots__ = ("_first_request_by",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, if there is room; who then says nothing, or half a header, is cut off."""
        super().connection_made(transport)
        manager = self._manager
        loop = asyncio.get_running_loop()
        self._first_request_by = loop.call_later(HEADER_READ_S, self._cut_off_if_silent)
        if manager is not None and len(manager.connections) > CONNECTIONS_MAX:
            telemetry.connection_closed("no-room")
            cast("asyncio.Transport", transport).abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._first_request_by.cancel()
        super().connection_lost(exc)

    def end(self) -> None:
        """Close once what was asked is answered: at once, where nothing is."""
        self.close() if self._waiter is None else self.force_close()

    def _cut_off_if_silent(self) -> None:
        if self._request_count == 0 and self.transport is not None:
            telemetry.connection_closed("silent")
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  aiohttp's signature
    ) -> web.StreamResponse:
        """Close the connection: malformed HTTP, a flood, or a bug above ``flow``."""
        cause = str(exc) if isinstance(exc, Refused) else ("malformed" if status < 500 else "bug")  # noqa: PLR2004
        telemetry.connection_closed(cause)
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionAbortedError(cause)


class Refused(ConnectionAbortedError):
    """Raised by the handler to close the connection without a response."""


class ClosingServer(web.Server):
    """An aiohttp server without router or middleware: one handler, one way in."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        self._options = {
            "access_log": None,
            "auto_decompress": False,  # a body is what its digest covers; bombs stay packed
            "max_line_size": HEADER_BYTES_MAX,
            "max_field_size": HEADER_BYTES_MAX,
            "max_headers": 64,
            "keepalive_timeout": IDLE_S,
            "lingering_time": 2.0,
        }
        super().__init__(handler, **self._options)  # type: ignore[arg-type]

    def __call__(self) -> RequestHandler:
        return ClosingHandler(self, loop=asyncio.get_running_loop(), **self._options)  # type: ignore[arg-type]


@dataclass(slots=True, eq=False)
class Authorities:
    """Whose certificates of clients are believed; shared by the contexts of all handshakes with them."""

    pem: bytes = field(repr=False)
    believed: bool = True
    """False once the operator has put others in their place."""


class AskingContext(ssl.SSLContext):
    """What handshakes are made with; a connection leads back to it."""

    authorities: Authorities


def certificate_of(transport: asyncio.BaseTransport | None) -> bytes:
    """Return the client's certificate (DER) that the handshake verified; empty where there is none.

    SECURITY: empty as well where the authorities that it was verified with are believed no more.
    """
    tls = None if transport is None else transport.get_extra_info("ssl_object")
    if tls is None or not tls.context.authorities.believed:
        return b""
    return tls.getpeercert(binary_form=True) or b""


async def body_of(request: web.BaseRequest, bytes_max: int) -> bytes | None:
    """Return the body, or None if it is larger than ``bytes_max``.

    Raises:
        Refused: The body did not arrive in time.
    """
    if request.content.at_eof():
        return b""  # the usual request for data has no body, and needs no clock
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_READ_S):
            while chunk := await request.content.readany():
                size += len(chunk)
                if size > bytes_max:
                    return None
                chunks.append(chunk)
    except TimeoutError as error:
        raise Refused("slow-body") from error
    return b"".join(chunks)
