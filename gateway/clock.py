"""Time as an argument: every room that needs it is handed one of these."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time and waiting."""

    def now(self) -> datetime:
        """Return the current time, aware and in UTC."""

    async def sleep_until(self, moment_ms: int) -> None:
        """Return no earlier than the given Unix time in milliseconds."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep_until(self, moment_ms: int) -> None:
        # The wall clock may be set while one sleeps, so look again.
        while (left_ms := moment_ms - time.time_ns() // 1_000_000) > 0:  # noqa: ASYNC110  no event tells of it
            await asyncio.sleep(left_ms / 1000)


def unix_ms(moment: datetime) -> int:
    """Return Unix time in milliseconds."""
    return int(moment.timestamp() * 1000)
