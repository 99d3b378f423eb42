"""A margin covers what it says, and for small noise not more than it must."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.privacy.accuracy import EXACT_SCALE_MAX, Miss, margin_of


def outside(margin: int, scale: float) -> float:
    """Return Pr[|Z| > margin], summed from the far end so that small terms count."""
    reach = math.ceil(14 * scale) + 2
    weights = [math.exp(-(Fraction(k) ** 2 / (2 * Fraction(scale) ** 2))) for k in range(reach)]
    return 2 * math.fsum(weights[margin + 1 :]) / (2 * math.fsum(weights) - weights[0])


@given(scale=st.floats(0.05, 90), miss=st.sampled_from(Miss))
@settings(max_examples=60, deadline=None)
def test_a_margin_misses_no_more_often_than_it_says(scale: float, miss: Miss) -> None:
    """Promise P4: the error bar is honest."""
    margin = margin_of(scale, miss)

    assert outside(margin, scale) <= miss.value[0]
    if margin > 0 and scale <= EXACT_SCALE_MAX:
        assert outside(margin - 1, scale) > miss.value[0] - 1e-9


@pytest.mark.parametrize("scale", [64.1, 300.0, 3000.0])
@pytest.mark.parametrize("miss", Miss)
def test_the_bound_for_large_noise_is_safe_and_close(scale: float, miss: Miss) -> None:
    missed = outside(margin_of(scale, miss), scale)

    assert 0.95 * miss.value[0] < missed <= miss.value[0]


def test_known_margins() -> None:
    assert [margin_of(scale) for scale in (0.001, 0.3, 1.0, 10.0, 1000.0)] == [0, 0, 2, 20, 1960]


@given(st.floats(0.05, 200), st.floats(1.0, 2.0))
@settings(max_examples=60, deadline=None)
def test_more_noise_never_has_a_smaller_margin(scale: float, factor: float) -> None:
    assert margin_of(scale) <= margin_of(scale * factor)
