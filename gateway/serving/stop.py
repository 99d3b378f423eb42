"""When a process is told to stop."""

import asyncio
import signal


async def told_to_stop(*signals: signal.Signals) -> None:
    """Wait for one of the signals."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
