"""Take connections, have each make its TLS handshake, and hand over those that did.

A handshake has few seconds, and so many connections at most are there at once, before or after theirs: who
connects and says nothing, or something else than TLS, holds up nobody. What fails is closed and counted.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from gateway import telemetry
from gateway.web.transport import CONNECTIONS_MAX

HANDSHAKE_S: Final = 5.0
GOODBYE_S: Final = 2.0
"""For the other end's last word when a connection ends."""
PAUSE_S: Final = 0.1
"""When the system has no room for another connection."""


@asynccontextmanager
async def handshaking(
    listening: socket.socket, server: web.Server, context: Callable[[], ssl.SSLContext]
) -> AsyncIterator[None]:
    """Take connections until the block ends; ``context`` is asked anew for each."""
    listening.settimeout(0)
    under_way: set[asyncio.Task[None]] = set()
    taking = asyncio.create_task(_take(listening, server, context, under_way))
    try:
        yield
    finally:
        taking.cancel()
        for task in under_way:
            task.cancel()
        await asyncio.gather(taking, *under_way, return_exceptions=True)


async def _take(
    listening: socket.socket,
    server: web.Server,
    context: Callable[[], ssl.SSLContext],
    under_way: set[asyncio.Task[None]],
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            taken, _ = await loop.sock_accept(listening)
        except OSError:  # no file is left, or who came has gone
            await asyncio.sleep(PAUSE_S)
            continue
        if len(server.connections) + len(under_way) >= CONNECTIONS_MAX:
            telemetry.connection_closed("no-room")
            taken.close()
            continue
        task = loop.create_task(_shake(taken, server, context()))
        under_way.add(task)
        task.add_done_callback(under_way.discard)


async def _shake(taken: socket.socket, server: web.Server, context: ssl.SSLContext) -> None:
    try:
        await asyncio.get_running_loop().connect_accepted_socket(
            server, taken, ssl=context, ssl_handshake_timeout=HANDSHAKE_S, ssl_shutdown_timeout=GOODBYE_S
        )
    except (OSError, ValueError):  # all that TLS and sockets raise; the loop has closed the connection
        telemetry.connection_closed("handshake")
    except BaseException:
        with contextlib.suppress(OSError):
            taken.close()
        raise
