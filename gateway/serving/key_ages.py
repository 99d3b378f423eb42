"""Tell operators of keys that should be replaced soon: in a metric, and in the log once a day and key."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from gateway import telemetry
from gateway.errors import HomeInvalid
from gateway.keyring.ages import KeyRow, key_rows, warning_of

EVERY_S: Final = 600.0
"""So long after a rotation the metric may show the old key."""


@asynccontextmanager
async def key_ages_told(
    folder: Path,
    *,
    log_name: str,
    more: Callable[[], Iterable[KeyRow]] = tuple,
    every_s: float = EVERY_S,
) -> AsyncIterator[None]:
    """Tell until the block ends; ``more`` are keys that are not in the folder."""
    telling = asyncio.create_task(_tell(folder, log_name, every_s, more))
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _tell(folder: Path, log_name: str, every_s: float, more: Callable[[], Iterable[KeyRow]]) -> None:
    told: dict[str, int | None] = {}
    while True:
        try:
            for row in (*await asyncio.to_thread(key_rows, folder, log_name=log_name), *more()):
                if row.days_left is not None:
                    telemetry.key_days_left(row.kind, row.days_left)
                if warning_of(row) is None or told.get(row.public, row) == row.days_left:
                    continue
                told[row.public] = row.days_left  # another number tomorrow
                if row.days_left is None:
                    telemetry.log("key_undivided", kind=row.kind, key=row.public)
                else:
                    telemetry.log("key_due", kind=row.kind, key=row.public, days_left=row.days_left)
        except Exception as error:  # noqa: BLE001 -- told, and tried again; the keys in use are in memory
            cause = error.detail if isinstance(error, HomeInvalid) else type(error).__name__
            telemetry.log("keys_unreadable", cause=cause)
        await asyncio.sleep(every_s)
