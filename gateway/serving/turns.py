"""Turns for a process's threads while its event loop is never idle.

A thread that waits for CPython's global interpreter lock (GIL) asks its holder to let go after five
milliseconds of waiting. A loop lets go for an instant at each poll, which wakes the thread, mostly too late;
then its five milliseconds begin anew. So a flood of requests that wait for nothing, such as `/livez`, kept
threads waiting for seconds, and with them whatever reads a file: rules that were renewed, keys, questions.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

LOOK_S: Final = 0.04
"""How often it is looked whether the loop rests: often enough to be heard, too seldom to be felt."""
BUSY: Final = 0.6
"""The share of the time, spent on the processor, from which on a loop counts as never idle."""
EACH_S: Final = 0.005
PAUSE_S: Final = 0.0002
"""For so long of each ``EACH_S`` a loop that is never idle lets go: long enough for a thread to wake."""


@asynccontextmanager
async def turns_for_threads() -> AsyncIterator[None]:
    """Give this loop's threads their turns until the block ends."""
    task = asyncio.create_task(_give_turns())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _give_turns() -> None:
    wait_s = LOOK_S
    while True:
        since, used = time.monotonic(), time.thread_time()
        await asyncio.sleep(wait_s)
        busy = time.thread_time() - used > BUSY * (time.monotonic() - since)
        wait_s = EACH_S if busy else LOOK_S
        if busy:
            time.sleep(PAUSE_S)  # noqa: ASYNC251 -- the point is that the loop rests
