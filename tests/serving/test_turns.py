"""A loop that is never idle leaves its threads their turns, and one with nothing to do is left alone."""

import asyncio
import resource
import time
from contextlib import AbstractAsyncContextManager, nullcontext

from gateway.serving.turns import turns_for_threads

LONG_S = 0.5
"""Of processor time, so that it is as long on a machine with much else to do."""


async def waits_of_a_loop_that_is_never_idle(turns: AbstractAsyncContextManager[None]) -> int:
    """Return how often its thread lets go by itself: each time, another can have the interpreter's lock."""
    async with turns:
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        until = time.thread_time() + LONG_S
        while time.thread_time() < until:
            sum(range(1_000))
            await asyncio.sleep(0)
        return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before


async def test_a_loop_that_is_never_idle_lets_go_many_times_a_second() -> None:
    """By itself it does so next to never: threads waited for seconds."""
    assert await waits_of_a_loop_that_is_never_idle(nullcontext()) < 10
    assert await waits_of_a_loop_that_is_never_idle(turns_for_threads()) > 40


async def test_a_loop_with_nothing_to_do_is_hardly_woken() -> None:
    async with turns_for_threads():
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        await asyncio.sleep(1.0)
        waits = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before

    assert waits < 40
