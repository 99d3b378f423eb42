"""Renew the sharing rules when the process is told to: SIGHUP, as `systemctl reload` sends it.

Not when a file changes: an editor writes a document in pieces, and a steward decides when it counts.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from gateway import telemetry
from gateway.errors import Fault, GatewayError
from gateway.services.renewal import Renewal, tell
from gateway.terms.dataset import Dataset
from gateway.wiring import Gateway


def renewal_of(gateway: Gateway) -> Renewal:
    """Return what renews the rules of an open installation, its workers' too."""
    return Renewal(
        home=gateway.home,
        known=gateway.ledger.registry,
        check=gateway.engine.check,
        reads=gateway.engine.reads,
        record=gateway.put,
        active=lambda: gateway.current.rules,
        take_over=gateway.current.take_over,
        tell=gateway.current.renewed,
        turn=gateway.current.renewing,
    )


async def begun(gateway: Gateway) -> tuple[Fault, ...]:
    """Have the home's rules decide from now on, each source looked at before; return what does not and why.

    Raises:
        HomeInvalid: The home does not say whom it trusts, or which documents it has.
        LedgerUnavailable: They could not be recorded.

    """
    gateway.current.watchers.append(tell)
    faults = await replace(renewal_of(gateway), check=partial(_prepared, gateway))()
    await gateway.engine.retain(gateway.current.rules.keys())
    return faults


async def _prepared(gateway: Gateway, dataset: Dataset) -> tuple[str, ...]:
    """Look at a source; it may take minutes, and nothing is served yet."""
    telemetry.log("source_preparing", dataset=dataset.id)
    return await gateway.engine.check(dataset)


@asynccontextmanager
async def renewing(gateway: Gateway, *, renew_tls: Callable[[], None]) -> AsyncIterator[None]:
    """Renew certificate and rules, each whatever becomes of the other, at each SIGHUP until the block ends.

    Signals during a renewal make one more.
    """
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, asked.set)
    task = asyncio.create_task(_renew(asked, renew_tls, renewal_of(gateway)))
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _renew(asked: asyncio.Event, renew_tls: Callable[[], None], renewal: Renewal) -> None:
    """Hear for good: whatever fails, a full disk or a bug, is told, and the next signal tries again."""
    while True:
        await asked.wait()
        asked.clear()
        try:
            renew_tls()
        except Exception as error:  # noqa: BLE001 -- the last good certificate serves
            telemetry.tls_renewed(refused=True)
            telemetry.log("tls_not_renewed", cause=_cause(error))
        try:
            await renewal()
        except Exception as error:  # noqa: BLE001 -- nothing decides otherwise than before
            telemetry.rules_not_renewed()
            telemetry.log("rules_not_renewed", cause=type(error).__name__, detail=_cause(error))


def _cause(error: Exception) -> str:
    """Return what may be shown of an error. SECURITY: only our own words; others' could quote anything."""
    return error.detail if isinstance(error, GatewayError) else type(error).__name__
