"""Take connections from a listening socket and answer what they ask, until the block ends."""

import gc
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, cast

from aiohttp import web

from gateway.serving.closed import closed_told
from gateway.serving.handshake import handshaking
from gateway.serving.tls import Tls
from gateway.serving.turns import turns_for_threads
from gateway.web.transport import ClosingHandler, ClosingServer
from gateway.wiring import Parts, api_of

BACKLOG: Final = 1024
COLLECTED_AT: Final = (20_000, 50, 100)
FINISH_S: Final = 10.0
"""For what is in flight when the process is told to stop; later it is cut off."""


@asynccontextmanager
async def answering(parts: Parts, listening: socket.socket, tls: Tls | None) -> AsyncIterator[None]:
    """Answer until the block ends; then take no more, and finish what was asked. ``tls``: over TLS."""
    # What was loaded stays, and a request leaves few cycles: looking at all of it for every 700 new
    # objects was about a tenth of a request's CPU time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED_AT)
    api = api_of(parts)
    server = ClosingServer(api.handle)
    runner = web.ServerRunner(server, shutdown_timeout=FINISH_S)
    await runner.setup()
    async with parts.issuers.kept_fresh(), closed_told(parts.ledger), turns_for_threads():
        try:
            if tls is None:
                await web.SockSite(runner, listening, backlog=BACKLOG).start()
                yield
            else:
                tls.authorities_changed = partial(_close_all, server)
                async with handshaking(listening, server, lambda: tls.context, api.turns_away):
                    yield
        finally:
            await runner.cleanup()


def _close_all(server: ClosingServer) -> None:
    """Close every connection once what it was asked is answered; who is still trusted makes another."""
    for connection in server.connections:
        cast("ClosingHandler", connection).end()
