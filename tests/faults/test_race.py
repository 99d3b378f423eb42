"""Many at once: the last units of a budget, and one idempotency key."""

import asyncio
import random

import pytest

from gateway.errors import BudgetExhausted, IdempotencyInProgress
from gateway.ledger.sqlite import SqliteLedger
from gateway.terms.charge import Charge as Charged
from gateway.terms.entry import EntryKind
from tests.faults.run import charge_request, release_request
from tests.faults.script import Charge, Release
from tests.faults.share import chance_of, say
from tests.faults.world import a_world

CALLERS = 64
SAME = 50


async def raced(ledger: SqliteLedger, number: int, chance: random.Random) -> None:
    """Let a crowd run for what is left: so many get it as it suffices for, and no other."""
    cost, units, rest = chance.randrange(1, 5), chance.randrange(0, CALLERS), chance.randrange(0, 4)
    cap = units * cost + min(rest, cost - 1)
    crowd = [Charge(f"r-{number}-{n}", cost, f"c-{number}", f"k-{number}-{n}", cap) for n in range(CALLERS)]

    outcomes = await asyncio.gather(
        *(ledger.charge(charge_request(charge)) for charge in crowd), return_exceptions=True
    )

    kinds = [type(outcome) for outcome in outcomes]
    assert (kinds.count(Charged), kinds.count(BudgetExhausted)) == (units, CALLERS - units)


async def repeated(ledger: SqliteLedger, number: int) -> None:
    """Let a crowd ask under one key, before and after the answer: one charge, the same bytes."""
    crowd = [Charge(f"s-{number}-{n}", 1, f"d-{number}", "k") for n in range(SAME)]
    outcomes = await asyncio.gather(
        *(ledger.charge(charge_request(charge)) for charge in crowd), return_exceptions=True
    )
    winners = [outcome for outcome in outcomes if isinstance(outcome, Charged)]
    assert [type(o) for o in outcomes].count(IdempotencyInProgress) == SAME - 1
    release = Release(winners[0].request_id, EntryKind.RELEASE, charged=True)

    receipt = await ledger.release(release_request(release, winners[0].index))
    again = await asyncio.gather(*(ledger.charge(charge_request(charge)) for charge in crowd))

    assert {(stored.answer, stored.charge_index, stored.release_index) for stored in again} == {
        (release.answer, winners[0].index, receipt.index)
    }


async def rounds(count: int) -> None:
    chance = chance_of("races")
    with a_world() as world:
        ledger = world.open()
        for number in range(count):
            await raced(ledger, number, chance)
            await repeated(ledger, number)
        await ledger.close()
    say(f"{count} rounds of {CALLERS} callers on the last units and of {SAME} under one key: 0 faults")


async def test_the_last_units_go_to_as_many_as_they_suffice_for_and_a_key_charges_once() -> None:
    """Promise P2."""
    await rounds(20)


@pytest.mark.long
async def test_the_last_units_go_to_as_many_as_they_suffice_for_in_hundreds_of_rounds() -> None:
    """Promise P2."""
    await rounds(500)
