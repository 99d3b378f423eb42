"""The clock jumps by seconds to years, to and fro, or stands: nothing is refunded, nothing serves twice."""

import asyncio
from datetime import timedelta

import pytest

from tests.faults.observer import Observed, faults
from tests.faults.run import Client
from tests.faults.script import MoveClock, Used, UseOnce, scripted
from tests.faults.share import chance_of, say
from tests.faults.world import a_world

PURGE = 1_100
"""More ids than are used between two purges."""
STEPS_S = tuple(sign * size for size in (1, 3600, 86_400, 40 * 86_400, 400 * 86_400) for sign in (1, -1))


def stepped(seed: int) -> list[str]:
    """Run three lives of one log under a clock that jumps within and between them."""
    with a_world() as world:
        observed = Observed()
        for life in range(3):
            script = scripted(seed + life, steps=25, name=f"life-{life}", clock=True)
            observed.ask(script)

            async def lived(script: object = script) -> None:
                ledger = world.open()
                await Client(ledger, world.clock, observed.answers.append).run(script)
                await ledger.close()

            asyncio.run(lived())
            world.clock.moment += timedelta(seconds=STEPS_S[(seed + life) % len(STEPS_S)])
        return faults(world, observed)


def test_no_step_of_the_clock_refunds_forgets_or_repeats() -> None:
    """Promises P2 and P7."""
    first = chance_of("clock").randrange(10**6)

    assert [stepped(seed) for seed in range(first, first + 20)] == [[]] * 20


@pytest.mark.long
def test_no_step_of_the_clock_refunds_forgets_or_repeats_in_many_walks() -> None:
    """Promises P2 and P7."""
    first = chance_of("clock").randrange(10**6)

    found = [fault for seed in range(first, first + 500) for fault in stepped(seed)]

    say(f"500 walks of the clock over three lives each: {len(found)} faults")
    assert found == []


@pytest.mark.parametrize("step_s", STEPS_S)
async def test_an_id_stays_used_up_while_the_clock_is_wrong_and_after(step_s: int) -> None:
    """Promise P7: a clock that was wrong for a while makes no proof serve again."""
    heard: list[object] = []
    with a_world() as world:
        ledger = world.open()
        client = Client(ledger, world.clock, heard.append)
        crowd = tuple(UseOnce(f"id-{number}") for number in range(PURGE))
        await client.run(((UseOnce("proof"),), (MoveClock(step_s),), crowd, (UseOnce("last"),)))
        await client.run(((UseOnce("proof"),), (MoveClock(-step_s),), (UseOnce("proof"),)))
        await ledger.close()

    assert [answer.fresh for answer in heard if isinstance(answer, Used) and answer.id == "proof"] == [
        True,
        False,
        False,
    ]


async def test_an_id_stays_used_up_though_the_clock_steps_before_it_is_written() -> None:
    """Promise P7: in the first transaction of all, too, where the store learns what time it is."""
    heard: list[object] = []
    with a_world() as world:
        ledger = world.open()
        client = Client(ledger, world.clock, heard.append)
        year_s = 366 * 86_400
        await client.run(((UseOnce("id-1"), MoveClock(year_s)), (MoveClock(-year_s),), (UseOnce("id-1"),)))
        await ledger.close()

    assert [answer.fresh for answer in heard if isinstance(answer, Used)] == [True, False]
