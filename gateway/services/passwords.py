"""Password checks on a thread of their own: slow on purpose, so they must not stand in anybody's way.

argon2 takes tens of milliseconds and much memory by design. SECURITY: strangers may cause checks, so
at most ``WAITING_MAX`` of them wait and all others are turned away; answers to firms never queue
behind them.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from gateway.errors import TooManyAttempts
from gateway.identity.password import password_matches

WAITING_MAX: Final = 16
RETRY_AFTER_S: Final = 5
Result = TypeVar("Result")


class PasswordDesk:
    """State: how many wait; owned by the event loop."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="passwords")
        self._waiting = 0

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Return whether a password is right; nobody's (None) takes as long.

        Raises:
            TooManyAttempts: Too many wait already.
        """
        return await self.slowly(lambda: password_matches(password_hash, password))

    async def slowly(self, work: Callable[[], Result]) -> Result:
        """Return what comes of hashing a password.

        Raises:
            TooManyAttempts: Too many wait already.
        """
        if self._waiting >= WAITING_MAX:
            raise TooManyAttempts("too many sign-ins at this moment", retry_after_s=RETRY_AFTER_S)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting -= 1
