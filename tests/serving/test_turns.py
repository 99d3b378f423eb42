"""A loop that is never idle leaves its threads their turns."""

import asyncio
import time
from pathlib import Path

from gateway.serving.turns import turns_for_threads

LOOKS = 200
"""Each lets go of the interpreter's lock and has to get it again."""
SOON_S = 10.0
"""Without turns this takes minutes, where the machine is quiet."""


async def test_a_thread_gets_its_turns_beside_a_loop_that_is_never_idle(tmp_path: Path) -> None:
    done = False

    async def never_rest() -> None:
        while not done:
            sum(range(1_000))
            await asyncio.sleep(0)

    def look() -> float:
        started = time.monotonic()
        for _ in range(LOOKS):
            tmp_path.stat()
        return time.monotonic() - started

    async with turns_for_threads():
        busy = [asyncio.create_task(never_rest()) for _ in range(8)]
        try:
            async with asyncio.timeout(SOON_S):
                took = await asyncio.to_thread(look)
        finally:
            done = True
            await asyncio.gather(*busy)
    assert took < SOON_S
