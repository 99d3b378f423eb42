"""Privacy loss adds up in integers, every rounding goes against the caller, and caps hold."""

import math
from decimal import Decimal
from fractions import Fraction
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.budget import (
    NOTHING,
    PICO,
    debits,
    epsilon_of,
    fits,
    headline_delta,
    left,
    pico_rho_down,
    rho_of,
    shown,
    total,
)
from gateway.terms.identifiers import ClientId, LineageId, OrgId
from gateway.terms.loss import BudgetNode, Caps, Debit, Loss, PicoDelta, PicoRho

NODE = BudgetNode(LineageId("vn.nso.people"))
losses = st.builds(
    lambda rho, delta: Loss(PicoRho(rho), PicoDelta(delta)), st.integers(0, 10**13), st.integers(0, 10**6)
)


def a_loss(rho: int, delta: int = 0) -> Loss:
    return Loss(PicoRho(rho), PicoDelta(delta))


@given(st.decimals(0, 10**6, places=15))
def test_a_limit_is_rounded_down(rho: Decimal) -> None:
    assert pico_rho_down(rho) <= Fraction(rho) * PICO < pico_rho_down(rho) + 1


@given(st.integers(0, 10**18))
def test_a_loss_is_shown_exactly_and_without_exponent(pico: int) -> None:
    text = shown(pico)

    assert Decimal(text) * PICO == pico
    assert "E" not in text
    assert not (("." in text) and text.endswith("0"))


@given(st.integers(1, 10**12))
def test_the_headline_delta_is_the_power_of_ten_at_or_below_a_tenth_of_one_person(units: int) -> None:
    delta = headline_delta(units)

    assert delta * 10 * units <= 1 < delta * 100 * units
    assert delta.as_tuple().digits == (1,)


def test_known_epsilons() -> None:
    """research of the formula: rho + 2 sqrt(rho ln(1/delta)) (Bun and Steinke 2016)."""
    million = Decimal("1e-6")

    assert [epsilon_of(PicoRho(rho), million) for rho in (0, 5 * 10**9, 5 * 10**10, 10**12)] == [
        Decimal("0.000"),
        Decimal("0.531"),
        Decimal("1.713"),
        Decimal("8.434"),
    ]


def gaussian_delta(epsilon: float, rho: float) -> float:
    """Return the exact delta of a Gaussian mechanism (Balle and Wang 2018, Theorem 8)."""
    mu = math.sqrt(2 * rho)
    phi = NormalDist().cdf
    return phi(mu / 2 - epsilon / mu) - math.exp(epsilon) * phi(-mu / 2 - epsilon / mu)


@pytest.mark.parametrize("delta", ["1e-4", "1e-6", "1e-9"])
@pytest.mark.parametrize("rho", [10**7, 5 * 10**9, 5 * 10**11, 4 * 10**12])
def test_the_stated_epsilon_is_never_below_the_exact_one(rho: int, delta: str) -> None:
    """Promise P4: against the exact curve of the Gaussian mechanism."""
    epsilon = float(epsilon_of(PicoRho(rho), Decimal(delta)))

    assert gaussian_delta(epsilon, rho / PICO) <= float(delta)


@given(epsilon=st.decimals("0.001", 50, places=3), units=st.integers(1, 10**10))
@settings(max_examples=200)
def test_asking_by_epsilon_buys_the_most_rho_that_stays_within_it(epsilon: Decimal, units: int) -> None:
    delta = headline_delta(units)
    rho = rho_of(epsilon, delta)

    assert epsilon_of(rho, delta) <= epsilon
    assert epsilon_of(PicoRho(rho + 1), delta) > epsilon


@given(st.integers(0, 10**13), st.integers(0, 10**13))
def test_more_rho_is_never_less_epsilon(one: int, other: int) -> None:
    low, high = sorted((one, other))
    delta = Decimal("1e-7")

    assert epsilon_of(PicoRho(low), delta) <= epsilon_of(PicoRho(high), delta)


def test_a_charge_is_taken_from_lineage_organisation_and_client_each_with_its_cap() -> None:
    """Promise P2."""
    lineage, org, client = LineageId("vn.nso.people"), OrgId("bank-a"), ClientId("etl-1")
    caps = Caps(lineage=a_loss(30), organisation=a_loss(20), client=a_loss(10))

    assert debits(lineage, org, client, a_loss(7), caps) == (
        Debit(BudgetNode(lineage), a_loss(7), a_loss(30)),
        Debit(BudgetNode(lineage, org), a_loss(7), a_loss(20)),
        Debit(BudgetNode(lineage, org, client), a_loss(7), a_loss(10)),
    )


@pytest.mark.parametrize(
    ("spent", "loss", "expected"),
    [
        (a_loss(3), a_loss(7), True),
        (a_loss(4), a_loss(7), False),
        (a_loss(0, 5), a_loss(10, 0), True),
        (a_loss(0, 5), a_loss(0, 1), False),
        (a_loss(11), a_loss(0), False),
    ],
)
def test_a_debit_fits_if_neither_rho_nor_delta_passes_its_cap(
    spent: Loss, loss: Loss, expected: bool
) -> None:
    """Promise P2."""
    assert fits(spent, Debit(NODE, loss, a_loss(10, 5))) is expected


@given(st.lists(losses, max_size=20), losses)
def test_whatever_is_asked_in_whatever_order_the_cap_holds(asked: list[Loss], cap: Loss) -> None:
    """Promise P2: the filter of Whitehouse et al. 2023."""
    taken: tuple[Loss, ...] = ()
    for loss in asked:
        if fits(total(taken), Debit(NODE, loss, cap)):
            taken += (loss,)

    spent = total(taken)
    assert spent.rho <= cap.rho
    assert spent.delta <= cap.delta
    assert total((spent, left(spent, cap))) == cap


def test_nothing_is_left_of_an_overspent_cap() -> None:
    assert left(a_loss(5, 1), a_loss(3, 4)) == a_loss(0, 3)
    assert total(()) == NOTHING == a_loss(0)
