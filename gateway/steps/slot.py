"""Between steps 4 and 7: what was charged leaves on a clock that depends on public facts only (P5).

The slot is the charge's time plus a delay the plan fixed from public sizes. Work that is not done
at the slot is a charged failure; work that is done, and work that failed, waits for it. So neither
the size of a person's record nor that of the noise, nor whether anything went wrong or was found, shows in
time.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.clock import Clock, unix_ms
from gateway.terms.charge import Charge, StoredAnswer
from gateway.terms.plan import LookupPlan, Plan, StatisticPlan


def slot_of(plan: Plan | None, charge: Charge | StoredAnswer | None) -> int | None:
    """Return the Unix time in ms at which a charged answer leaves; None where no clock rules."""
    if isinstance(plan, StatisticPlan | LookupPlan) and isinstance(charge, Charge):
        return charge.charged_at_ms + int(plan.release_after_s * 1000)
    return None


@dataclass(frozen=True, slots=True)
class Slot:
    """A context that ends at the slot, however its body ends."""

    clock: Clock

    @asynccontextmanager
    async def __call__(self, plan: Plan, charge: Charge | StoredAnswer | None) -> AsyncIterator[None]:
        if not isinstance(plan, StatisticPlan | LookupPlan):
            yield
            return
        now_ms = unix_ms(self.clock.now())
        slot_ms = slot_of(plan, charge) or now_ms + int(plan.release_after_s * 1000)
        wait_s = (slot_ms - now_ms) / 1000
        # From here on the wall clock is not looked at: setting it neither hastens nor holds an answer.
        ends_at = asyncio.get_running_loop().time() + wait_s
        try:
            async with asyncio.timeout(wait_s):
                yield
        finally:
            await self.clock.sleep(ends_at - asyncio.get_running_loop().time())
