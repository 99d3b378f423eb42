"""The same question within ten minutes is paid once, though programs ask it again and again.

A spreadsheet asks for a preview, then for the data, then refreshes; each time by the same address.
The same address gets the same idempotency key, and who asks while another waits, waits for it: the
gateway then gives the stored answer. State: the keys, in memory, owned here.
"""

import asyncio
import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

REMEMBERED_S: Final = 600.0
QUESTIONS_MAX: Final = 1_000


@dataclass(slots=True)
class _Paid:
    key: str
    until: float
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class OncePaid:
    """Idempotency keys by question."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Take the clock; any that does not go back."""
        self._now = now
        self._paid: dict[bytes, _Paid] = {}

    def fresh_key(self) -> str:
        """Return a key that serves one request."""
        return str(uuid.uuid4())

    @asynccontextmanager
    async def key_of(self, question: bytes) -> AsyncIterator[str]:
        """Hold the key of a question; one caller at a time."""
        self._forget()
        digest = hashlib.sha256(question).digest()
        paid = self._paid.get(digest)
        if paid is None:
            paid = self._paid[digest] = _Paid(self.fresh_key(), self._now() + REMEMBERED_S)
        async with paid.asking:
            yield paid.key

    def _forget(self) -> None:
        """Drop what is too old, and the oldest of too many: asked again, they are paid again."""
        now = self._now()
        for digest in [digest for digest, paid in self._paid.items() if paid.until <= now]:
            del self._paid[digest]
        while len(self._paid) >= QUESTIONS_MAX:
            del self._paid[next(iter(self._paid))]
