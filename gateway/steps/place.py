"""Before step 4: a place at the engine, so that load turns requests away instead of burning budgets.

A statistic that is not ready at its slot is a charged failure (P5), so more must not be let in than
can be ready. Who finds no place gets 503 with ``Retry-After``, and nothing was charged.
"""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.errors import TooBusy
from gateway.terms.caller import Caller
from gateway.terms.identifiers import ClientId


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """State: who is served at this moment; owned by the event loop."""

    total: int
    each: int
    """Places of one client, so that one cannot keep the others out."""
    taken: Counter[ClientId] = field(default_factory=Counter)

    @asynccontextmanager
    async def __call__(self, caller: Caller) -> AsyncIterator[None]:
        if self.taken.total() >= self.total or self.taken[caller.client] >= self.each:
            raise TooBusy("too many requests are being answered; nothing was charged, try again shortly")
        self.taken[caller.client] += 1
        try:
            yield
        finally:
            self.taken[caller.client] -= 1
            if not self.taken[caller.client]:
                del self.taken[caller.client]
