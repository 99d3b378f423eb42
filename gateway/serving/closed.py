"""Tell the log how many connections were closed unanswered.

A flood writes no entry a request, so that it cannot fill the disk; its exact number is one MARK entry a
minute, and one when serving ends. What cannot be recorded is told with the next.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from gateway import telemetry
from gateway.errors import LedgerUnavailable
from gateway.ledger.port import Ledger
from gateway.terms.entry import EntryKind, ReleaseRequest
from gateway.terms.identifiers import RequestId

WINDOW_S: Final = 60.0


@asynccontextmanager
async def closed_told(ledger: Ledger, *, window_s: float = WINDOW_S) -> AsyncIterator[None]:
    """Tell until the block ends, and once more then."""
    over = asyncio.Event()
    telling = asyncio.create_task(_tell_each_window(ledger, over, window_s))
    try:
        yield
    finally:
        over.set()
        await telling


async def _tell_each_window(ledger: Ledger, over: asyncio.Event, window_s: float) -> None:
    while not over.is_set():
        await _tell(ledger)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(window_s):
                await over.wait()
    await _tell(ledger)


async def _tell(ledger: Ledger) -> None:
    closed = telemetry.take_closed()
    if not closed:
        return
    try:
        await ledger.release(
            ReleaseRequest(
                request_id=RequestId(str(uuid.uuid4())),
                kind=EntryKind.MARK,
                facts={"event": "closed-unanswered", "closed": closed},
                private={},
                body=b"",
            )
        )
    except LedgerUnavailable:
        telemetry.give_back_closed(closed)
