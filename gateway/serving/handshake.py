"""Take connections, have each make its TLS handshake, and hand over those that did.

A handshake has few seconds, and so many connections at most are there at once, before or after theirs: who
connects and says nothing, or something else than TLS, holds up nobody. What fails is closed and counted.

SECURITY: where there is no room, the oldest handshake makes way, not who comes: a good one takes
milliseconds, so the oldest is one that waits. And one source has few of them under way, so that it pushes out
its own first.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from aiohttp import web

from gateway import telemetry
from gateway.services.throttle import source_of
from gateway.web.transport import CONNECTIONS_MAX

HANDSHAKE_S: Final = 5.0
GOODBYE_S: Final = 2.0
"""For the other end's last word when a connection ends."""
SOURCE_MAX: Final = 256
"""Handshakes of one source under way: an IPv4 address, or an IPv6 network of 64 bits."""
PAUSE_S: Final = 0.1
"""When the system has no room for another connection."""


_Handshake = asyncio.Task[None]


class UnderWay:
    """The handshakes that are not done; the oldest of all, and of each source, come first. The loop's."""

    def __init__(self) -> None:
        self._all: dict[_Handshake, str] = {}
        self._of: dict[str, dict[_Handshake, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[_Handshake]:
        return iter(tuple(self._all))

    def add(self, handshake: _Handshake, source: str) -> None:
        """Take one in; if its source has too many, the oldest of those ends."""
        if len(self._of.get(source, ())) >= SOURCE_MAX:
            self._end(next(iter(self._of[source])), "source-full")
        self._all[handshake] = source
        self._of.setdefault(source, {})[handshake] = None
        handshake.add_done_callback(self._forget)

    def make_room(self) -> bool:
        """End the oldest of all; False: there is none."""
        if self._all:
            self._end(next(iter(self._all)), "no-room")
            return True
        return False

    def _end(self, handshake: _Handshake, cause: str) -> None:
        telemetry.connection_closed(cause)
        handshake.cancel()
        self._forget(handshake)

    def _forget(self, handshake: _Handshake) -> None:
        source = self._all.pop(handshake, None)
        if source is None:
            return
        del self._of[source][handshake]
        if not self._of[source]:
            del self._of[source]


@asynccontextmanager
async def handshaking(
    listening: socket.socket,
    server: web.Server,
    context: Callable[[], ssl.SSLContext],
    turned_away: Callable[[str], bool],
) -> AsyncIterator[None]:
    """Take connections until the block ends; for each, both are asked: whose address, and with what."""
    listening.settimeout(0)
    under_way = UnderWay()
    taking = asyncio.create_task(_take(listening, server, context, turned_away, under_way))
    try:
        yield
    finally:
        taking.cancel()
        left = tuple(under_way)
        for task in left:
            task.cancel()
        await asyncio.gather(taking, *left, return_exceptions=True)


async def _take(
    listening: socket.socket,
    server: web.Server,
    context: Callable[[], ssl.SSLContext],
    turned_away: Callable[[str], bool],
    under_way: UnderWay,
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            taken, peer = await loop.sock_accept(listening)
        except OSError:  # no file is left, or who came has gone
            await asyncio.sleep(PAUSE_S)
            continue
        if turned_away(peer[0]):
            telemetry.connection_closed("flood")
            taken.close()
            continue
        if len(server.connections) + len(under_way) >= CONNECTIONS_MAX and not under_way.make_room():
            telemetry.connection_closed("no-room")
            taken.close()
            continue
        handshake = loop.create_task(_shake(taken, server, context()))
        handshake.add_done_callback(partial(_close_if_cancelled, taken))
        under_way.add(handshake, source_of(peer[0]))


async def _shake(taken: socket.socket, server: web.Server, context: ssl.SSLContext) -> None:
    try:
        await asyncio.get_running_loop().connect_accepted_socket(
            server, taken, ssl=context, ssl_handshake_timeout=HANDSHAKE_S, ssl_shutdown_timeout=GOODBYE_S
        )
    except (OSError, ValueError):  # all that TLS and sockets raise; the loop has closed the connection
        telemetry.connection_closed("handshake")


def _close_if_cancelled(taken: socket.socket, handshake: _Handshake) -> None:
    if handshake.cancelled():
        with contextlib.suppress(OSError):
            taken.close()
