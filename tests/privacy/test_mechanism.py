"""The noise: integers only, distributed as said, never cheaper than OpenDP's map says (promise P4).

Tests that sample state how often they fail by chance; their sizes are fixed.
"""

import math
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.budget import PICO
from gateway.privacy.mechanism import VALUE_MAX, cost_of, draw, scale_for
from gateway.terms.loss import PicoRho


@given(rho=st.integers(1, 10**15), sensitivity=st.one_of(st.integers(1, 50), st.integers(1, 2**61)))
@settings(max_examples=150, deadline=None)
def test_a_scale_never_costs_more_than_was_paid_and_wastes_next_to_nothing(
    rho: int, sensitivity: int
) -> None:
    """Promise P4: the map is OpenDP's, the comparison exact."""
    scale = scale_for(PicoRho(rho), sensitivity)

    exact = Fraction(sensitivity) ** 2 / (2 * Fraction(scale) ** 2) * PICO
    assert exact <= cost_of(scale, sensitivity) <= rho
    assert exact >= Fraction(rho) * (1 - Fraction(1, 10**12))


@pytest.mark.parametrize("scale", [0.4, 7.5, 1e6, 2.0**50])
def test_a_cost_is_rounded_up(scale: float) -> None:
    assert cost_of(scale, 3) >= Fraction(9, 2) / Fraction(scale) ** 2 * PICO


def test_noise_has_integers_only_and_one_for_every_value() -> None:
    """Promise P4: no floating point, so no porous support."""
    noisy = draw([0, -5, 2**62, 10**6], 3.0)

    assert [type(value) for value in noisy] == [int] * 4
    assert draw([], 3.0) == []


@pytest.mark.parametrize("value", [2**62, -(2**62), 2**63, -(2**64), 10**40])
def test_a_value_beyond_all_bounds_is_held_not_refused(value: int) -> None:
    """Promise P5: a failure that depended on the data would tell of it."""
    (noisy,) = draw([value], 10.0)

    assert abs(noisy - math.copysign(VALUE_MAX, value)) < 10**4


@pytest.mark.parametrize("value", [0, 1, -1, VALUE_MAX, -VALUE_MAX])
def test_noise_is_the_discrete_gaussian_wherever_the_value_lies(value: int) -> None:
    """Promise P4. Chi-squared, 6 degrees of freedom, 38.3: false alarm once in 10^6."""
    scale, size = 1.2, 4000
    weights = {k: math.exp(-(k**2) / (2 * scale**2)) for k in range(-20, 21)}
    whole = math.fsum(weights.values())
    expected = Counter[int]()
    for k, weight in weights.items():
        expected[max(-3, min(3, k))] += size * weight / whole

    seen = Counter(max(-3, min(3, noisy - value)) for noisy in draw([value] * size, scale))

    assert sum((seen[k] - expected[k]) ** 2 / expected[k] for k in range(-3, 4)) < 38.3


def test_large_noise_has_the_variance_it_is_charged_for() -> None:
    """Promise P4. 4000 draws: the mean square is within 12 % but for one time in 10^6."""
    size, scale = 4000, 5e5

    noise = draw([0] * size, scale)

    assert abs(sum(z * z for z in noise) / size / scale**2 - 1) < 0.12
    assert abs(sum(noise) / size) < 5 * scale / math.sqrt(size)


def test_noise_of_two_values_is_not_the_same() -> None:
    """False alarm: 32 equal pairs at sigma 1000 happen less than once in 10^100."""
    noisy = draw([0] * 64, 1000.0)

    assert noisy[:32] != noisy[32:]
