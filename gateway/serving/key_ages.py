"""Tell operators of keys that should be replaced soon: when the gateway starts, and once a day."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from gateway import telemetry
from gateway.errors import HomeInvalid
from gateway.keyring.ages import key_rows, warning_of

EVERY_S: Final = 86_400.0


@asynccontextmanager
async def key_ages_told(folder: Path, *, log_name: str, every_s: float = EVERY_S) -> AsyncIterator[None]:
    """Tell until the block ends."""
    telling = asyncio.create_task(_tell(folder, log_name, every_s))
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _tell(folder: Path, log_name: str, every_s: float) -> None:
    while True:
        try:
            for row in await asyncio.to_thread(key_rows, folder, log_name=log_name):
                if warning_of(row) is not None:
                    telemetry.log("key_due", kind=row.kind, key=row.public, days_left=row.days_left or 0)
        except HomeInvalid as error:  # the keys in use are in memory; the next start would fail
            telemetry.log("keys_unreadable", cause=error.detail)
        await asyncio.sleep(every_s)
