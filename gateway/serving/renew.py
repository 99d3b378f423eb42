"""Renew the sharing rules when the process is told to: SIGHUP, as `systemctl reload` sends it.

Not when a file changes: an editor writes a document in pieces, and a steward decides when it counts.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gateway import telemetry
from gateway.errors import GatewayError
from gateway.services.renewal import Renewal, tell
from gateway.wiring import Gateway


def renewal_of(gateway: Gateway) -> Renewal:
    """Return what renews the rules of an open installation, its workers' too."""
    return Renewal(
        home=gateway.home,
        known=gateway.ledger.registry,
        check=gateway.engine.check,
        record=gateway.put,
        active=lambda: gateway.current.rules,
        take_over=gateway.current.take_over,
        tell=gateway.current.renewed,
        turn=gateway.current.renewing,
    )


@asynccontextmanager
async def renewing(gateway: Gateway, *, also: Callable[[], None]) -> AsyncIterator[None]:
    """Renew the rules, and first ``also``, at each SIGHUP until the block ends.

    Signals during a renewal make one more.
    """
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, asked.set)
    gateway.current.watchers.append(tell)
    tell(gateway.current.rules, gateway.faults)
    task = asyncio.create_task(_renew(asked, also, renewal_of(gateway)))
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _renew(asked: asyncio.Event, also: Callable[[], None], renewal: Renewal) -> None:
    while True:
        await asked.wait()
        asked.clear()
        also()
        try:
            await renewal()
        except GatewayError as error:  # ledger or home not ready: nothing decides otherwise, try again
            telemetry.log("rules_not_renewed", cause=type(error).__name__, detail=error.detail)
