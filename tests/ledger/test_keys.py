"""Keys that lookups try are metered in the budget tree, beside privacy loss and apart from it."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.budget import NOTHING, fits, left, total
from gateway.errors import BudgetExhausted, KeysExhausted
from gateway.ledger.audit import verify_store
from gateway.ledger.audit_entries import Books, add, read_entry
from gateway.ledger.port import Ledger
from gateway.terms.charge import Charge
from gateway.terms.identifiers import LineageId
from gateway.terms.loss import BudgetNode, Debit, Loss, PicoDelta, PicoRho
from gateway.transparency.canonical import parsed

NODE = BudgetNode(LineageId("l"))


def keys(number: int) -> Loss:
    return Loss(PicoRho(0), PicoDelta(0), number)


def debits(build: Any, number: int, *, caps: tuple[int, int, int] = (30, 20, 10)) -> tuple[Debit, ...]:
    return tuple(Debit(node, keys(number), keys(cap)) for node, cap in zip(build.nodes(), caps, strict=True))


async def test_p2_keys_are_debited_at_every_node_and_say_what_is_left(ledger: Ledger, build: Any) -> None:
    """Promise P2."""
    charge = await ledger.charge(build.charge(debits=debits(build, 4)))

    assert isinstance(charge, Charge)
    assert (charge.loss, [left.keys for _, left in charge.left]) == (keys(4), [26, 16, 6])
    assert await ledger.spent(build.nodes()) == (keys(4),) * 3


@pytest.mark.parametrize(("caps", "own"), [((3, 20, 10), 10), ((30, 3, 10), 3), ((30, 20, 3), 3)])
async def test_p2_one_node_with_too_few_and_no_key_is_tried_nor_the_lineage_shown(
    caps: tuple[int, int, int], own: int, ledger: Ledger, build: Any
) -> None:
    """Promise P2; what is left is the caller's own, never the lineage's."""
    with pytest.raises(KeysExhausted) as refused:
        await ledger.charge(build.charge(debits=debits(build, 4, caps=caps)))

    assert refused.value.members() == {"keys_cost": 4, "keys_left": own}
    assert await ledger.spent(build.nodes()) == (NOTHING,) * 3
    assert await ledger.entries(0, 9) == ()


async def test_keys_and_privacy_loss_do_not_use_each_other_up(ledger: Ledger, build: Any) -> None:
    await ledger.charge(build.charge("r-1", debits=debits(build, 10)))
    await ledger.charge(build.charge("r-2", debits=build.debits(20, caps=(20, 20, 20))))

    with pytest.raises(KeysExhausted):
        await ledger.charge(build.charge("r-3", debits=debits(build, 1)))
    with pytest.raises(BudgetExhausted):
        await ledger.charge(build.charge("r-4", debits=build.debits(1, caps=(20, 20, 20))))
    assert await ledger.spent(build.nodes()) == (Loss(PicoRho(20), PicoDelta(0), 10),) * 3


async def test_entries_show_keys_once_one_was_tried_at_the_node(ledger: Ledger, build: Any) -> None:
    await ledger.charge(build.charge("r-1", rho=1))
    await ledger.charge(build.charge("r-2", debits=debits(build, 3)))
    await ledger.charge(build.charge("r-3", rho=1))

    shown = [parsed(entry)["debits"][0] for entry in await ledger.entries(0, 9)]  # type: ignore[index]
    assert shown == [
        {"node": "vn.nso", "rho": 1, "delta": 0, "rho_after": 1, "delta_after": 0},
        {
            "node": "vn.nso",
            "rho": 0,
            "delta": 0,
            "keys": 3,
            "rho_after": 1,
            "delta_after": 0,
            "keys_after": 3,
        },
        {
            "node": "vn.nso",
            "rho": 1,
            "delta": 0,
            "keys": 0,
            "rho_after": 2,
            "delta_after": 0,
            "keys_after": 3,
        },
    ]


async def test_p2_fifty_at_once_never_try_more_keys_than_the_smallest_cap(ledger: Ledger, build: Any) -> None:
    """Promise P2."""
    asked = [ledger.charge(build.charge(f"r-{n}", debits=debits(build, 3))) for n in range(50)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)

    assert sum(isinstance(outcome, Charge) for outcome in outcomes) == 3
    assert {type(outcome) for outcome in outcomes} == {Charge, KeysExhausted}
    assert (await ledger.spent(build.nodes()))[2] == keys(9)


async def test_what_was_tried_survives_a_restart_and_a_log_with_keys_verifies(files: Any, build: Any) -> None:
    ledger = files.open()
    charge = await ledger.charge(build.charge("r-1", debits=debits(build, 7)))
    await ledger.release(build.release("r-1", charge=charge.index))
    await ledger.close()

    again = files.open()
    with pytest.raises(KeysExhausted):
        await again.charge(build.charge("r-2", debits=debits(build, 4)))
    await again.close()
    assert verify_store(files.path, files.signer.vkey).faults == ()


@pytest.mark.parametrize(
    ("true", "false"),
    [
        (b'"keys":2', b'"keys":1'),
        (b'"keys_after":3', b'"keys_after":4'),
        (b'"keys":2,"keys_after":3,', b""),
        (b'"keys":2,', b""),
    ],
)
async def test_an_auditor_finds_keys_that_do_not_add_up(
    true: bytes, false: bytes, ledger: Ledger, build: Any
) -> None:
    await ledger.charge(build.charge("r-1", debits=debits(build, 1)))
    await ledger.charge(build.charge("r-2", debits=debits(build, 2)))
    first, second = await ledger.entries(0, 9)

    def faults(*leaves: bytes) -> list[str]:
        books, found = Books(), list[str]()
        for index, leaf in enumerate(leaves):
            add(books, index, read_entry(leaf), found.append)
        return found

    assert faults(first, second) == []
    assert second.count(true) == 3
    assert (
        faults(first, second.replace(true, false))
        == ["entry 1 states a wrong sum for one of its budgets"] * 3
    )


@given(st.lists(st.integers(0, 5), max_size=8), st.integers(0, 9))
def test_p2_keys_fit_exactly_while_their_sum_is_within_the_cap(asked: list[int], cap: int) -> None:
    """Promise P2: whoever asks in whatever order, and whatever privacy loss was spent there."""
    spent = Loss(PicoRho(99), PicoDelta(99), 0)
    for number in filter(None, asked):
        debit = Debit(NODE, keys(number), keys(cap))
        assert fits(spent, debit) is (spent.keys + number <= cap)
        if fits(spent, debit):
            spent = total((spent, debit.loss))
        assert left(spent, keys(cap)).keys == cap - spent.keys >= 0
