"""Time as an argument: every room that needs it is handed one of these."""

import asyncio
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time and waiting."""

    def now(self) -> datetime:
        """Return the current time, aware and in UTC."""

    async def sleep(self, seconds: float) -> None:
        """Return after that time, whatever the wall clock does meanwhile; at once if it is not positive."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


def unix_ms(moment: datetime) -> int:
    """Return Unix time in milliseconds."""
    return int(moment.timestamp() * 1000)
