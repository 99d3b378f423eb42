"""The clock may step by any amount either way: nothing is refused, refunded or usable again (P2, P7)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.errors import BudgetExhausted
from gateway.ledger.audit import verify_store
from gateway.ledger.commands import once_command
from gateway.terms.charge import Charge

STEPS = [
    timedelta(milliseconds=1),
    timedelta(hours=1),
    timedelta(days=1),
    timedelta(days=40),
    timedelta(days=366),
    timedelta(days=3660),
]
BOTH_WAYS = [step * sign for step in STEPS for sign in (1, -1)]


@pytest.mark.parametrize("step", BOTH_WAYS, ids=str)
async def test_a_step_resets_no_budget_and_refuses_nobody(step: timedelta, files: Any, build: Any) -> None:
    """Promise P2: there are no windows, so there is nothing for a step to open."""
    ledger = files.open()
    await ledger.charge(build.charge("r-1", rho=60, key="k"))
    files.clock.moment += step

    await ledger.release(build.release("r-1", charge=0, answer=b"answer"))
    assert isinstance(await ledger.charge(build.charge("r-2", rho=30)), Charge)
    with pytest.raises(BudgetExhausted):
        await ledger.charge(build.charge("r-3", rho=11))
    assert (await ledger.charge(build.charge("r-4", key="k"))).answer == b"answer"
    files.clock.moment -= step
    with pytest.raises(BudgetExhausted):
        await ledger.charge(build.charge("r-5", rho=11))
    assert await ledger.spent(build.nodes()) == (build.loss(90),) * 3
    await ledger.close()
    report = verify_store(files.path, files.signer.vkey, checkpoints=[files.head.read_bytes()])
    assert (report.size, report.faults) == (3, ())


@pytest.mark.parametrize("step", BOTH_WAYS, ids=str)
@pytest.mark.parametrize("restarts", [False, True])
async def test_no_step_makes_a_used_id_usable_again(
    step: timedelta, restarts: bool, files: Any, reopened: Any
) -> None:
    """Promise P7: however many ids are used while the clock is wrong, and whether or not it restarts."""
    ledger = files.open(elapsed_s=lambda: 0.0)
    expiry = int(files.clock.moment.timestamp() * 1000) + 60_000
    assert await ledger.use_once("used", expiry)
    files.clock.moment += step
    for round_of in range(2):
        if restarts:
            ledger = await reopened(elapsed_s=lambda: 0.0)
        for number in range(1100):
            ledger.submit(once_command(f"{round_of}-{number}", expiry))
        assert not await ledger.use_once("used", expiry)
    files.clock.moment -= step
    if restarts:
        ledger = await reopened(elapsed_s=lambda: 0.0)

    assert not await ledger.use_once("used", expiry)


@pytest.mark.parametrize("year", [1970, 9999])
async def test_a_clock_at_the_ends_of_time_is_recorded_all_the_same(
    year: int, files: Any, build: Any
) -> None:
    ledger = files.open()
    files.clock.moment = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)

    await ledger.release(build.release("r-1", private={"peer": b"203.0.113.7"}, subject="lan"))

    report = verify_store(files.path, files.signer.vkey, checkpoints=[await ledger.checkpoint()])
    assert (report.size, report.faults) == (1, ())
