"""Renew the sharing rules when the process is told to: SIGHUP, as `systemctl reload` sends it.

Not when a file changes: an editor writes a document in pieces, and a steward decides when it counts.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway import telemetry
from gateway.errors import GatewayError
from gateway.services.renewal import Renewal, tell
from gateway.wiring import Gateway


def renewal_of(gateway: Gateway) -> Renewal:
    """Return what renews the rules of an open installation, its workers' too."""
    return Renewal(
        folder=gateway.home / "policies",
        known=gateway.ledger.registry,
        check=gateway.engine.check,
        register=gateway.register,
        active=lambda: gateway.current.rules,
        take_over=gateway.current.take_over,
    )


@asynccontextmanager
async def renewing(gateway: Gateway) -> AsyncIterator[None]:
    """Renew the rules at each SIGHUP until the block ends; signals during a renewal make one more."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, asked.set)
    tell(gateway.current.rules, gateway.faults)
    task = asyncio.create_task(_renew(asked, renewal_of(gateway)))
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _renew(asked: asyncio.Event, renewal: Renewal) -> None:
    while True:
        await asked.wait()
        asked.clear()
        try:
            await renewal()
        except GatewayError as error:  # the ledger is not ready: nothing changed, the next signal tries again
            telemetry.log("rules_not_renewed", cause=type(error).__name__)
