"""Turns for a process's threads while its event loop is never idle.

A thread that waits for CPython's global interpreter lock (GIL) asks its holder to let go after five
milliseconds of waiting. A loop lets go for an instant at each poll, which wakes the thread, mostly too late;
then its five milliseconds begin anew. So a flood of requests that wait for nothing, such as `/livez`, kept
threads waiting for seconds, and with them whatever reads a file: rules that were renewed, keys, questions.
"""

import asyncio
import contextlib
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

LOOK_S: Final = 0.04
"""How often a loop with little to do is looked at: often enough to be heard, too seldom to be felt."""
EACH_S: Final = 0.005
"""How often one with much to do is."""
MUCH: Final = 0.05
"""Of the time, spent on the processor: one of many processes gets no more, however much it has to do."""
PAUSE_S: Final = 0.0002
"""For so long a loop that has not waited once lets go: long enough for a thread to wake."""
_THIS_THREAD: Final = getattr(resource, "RUSAGE_THREAD", None)
"""None where a system does not tell threads apart."""


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
        waits, used, since = _waits(), time.thread_time(), time.monotonic()
        await asyncio.sleep(wait_s)
        much = time.thread_time() - used > MUCH * (time.monotonic() - since)
        wait_s = EACH_S if much else LOOK_S
        if much and _waits() == waits:
            time.sleep(PAUSE_S)  # noqa: ASYNC251 -- the point is that the loop waits


def _waits() -> int:
    """Return how often this thread has given up its processor by itself: then others could have the lock.

    Where nobody knows, never: a turn too many costs little.
    """
    return 0 if _THIS_THREAD is None else resource.getrusage(_THIS_THREAD).ru_nvcsw
