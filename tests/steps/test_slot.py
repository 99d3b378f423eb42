"""When a statistic leaves: at its slot, whatever happened before it (promise P5)."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from builders import NOON, a_rows_plan, a_statistic_plan

from gateway.clock import unix_ms
from gateway.steps.slot import Slot, slot_of
from gateway.terms.charge import Charge, StoredAnswer

CHARGED_MS = unix_ms(NOON)
NEAR_S = 0.05
CHARGE = Charge(
    request_id="r", index=3, charged_at_ms=CHARGED_MS, loss=a_statistic_plan().loss, left=()  # type: ignore[arg-type]
)  # fmt: skip


class ManualClock:
    """Stands at a moment; notes how long it was asked to sleep."""

    def __init__(self, late_ms: int = 0) -> None:
        self.moment = NOON + timedelta(milliseconds=late_ms)
        self.slept_s: list[float] = []

    def now(self) -> datetime:
        return self.moment.astimezone(UTC)

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)


PLAN = a_statistic_plan(release_after_s=1.0)


async def test_p5_work_that_is_done_early_waits_for_the_slot() -> None:
    """Promise P5: the slot is the charge's time plus the plan's delay."""
    clock = ManualClock(late_ms=20)

    async with Slot(clock)(PLAN, CHARGE):
        pass

    assert clock.slept_s == [pytest.approx(0.980, abs=NEAR_S)]


async def test_p5_work_that_fails_waits_for_the_same_slot() -> None:
    """Promise P5: a failure does not show in time."""
    clock = ManualClock()

    with pytest.raises(ZeroDivisionError):
        async with Slot(clock)(PLAN, CHARGE):
            raise ZeroDivisionError

    assert clock.slept_s == [pytest.approx(1.0, abs=NEAR_S)]


async def test_p5_work_that_is_not_ready_at_its_slot_fails() -> None:
    """Promise P5: late work never makes a late answer."""
    clock = ManualClock(late_ms=990)

    with pytest.raises(TimeoutError):
        async with Slot(clock)(PLAN, CHARGE):
            await asyncio.sleep(5)

    assert clock.slept_s == [pytest.approx(0.0, abs=NEAR_S)]


async def test_p5_a_repeat_waits_as_long_as_the_first_answer_did() -> None:
    """Promise P5: whether somebody asked before does not show in time."""
    clock = ManualClock(late_ms=7)

    async with Slot(clock)(PLAN, StoredAnswer(answer=b"", charge_index=0, release_index=1)):
        pass

    assert clock.slept_s == [pytest.approx(1.0, abs=NEAR_S)]


async def test_rows_do_not_wait() -> None:
    clock = ManualClock()

    async with Slot(clock)(a_rows_plan(), None):
        pass

    assert clock.slept_s == []


def test_only_a_charged_statistic_has_a_slot() -> None:
    assert slot_of(PLAN, CHARGE) == CHARGED_MS + 1000
    assert slot_of(a_rows_plan(), None) is None
    assert slot_of(None, None) is None


async def test_setting_the_wall_clock_back_holds_no_answer() -> None:
    clock = ManualClock()

    async with Slot(clock)(PLAN, CHARGE):
        clock.moment -= timedelta(hours=1)

    assert clock.slept_s == [pytest.approx(1.0, abs=NEAR_S)]
