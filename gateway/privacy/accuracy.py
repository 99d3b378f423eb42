"""How far discrete Gaussian noise may carry an integer: half-widths of two-sided intervals.

Pure and free of data: a margin depends on sigma alone. The noise Z has Pr[Z = k] proportional to
exp(-k^2 / (2 sigma^2)) on the integers (Canonne, Kamath and Steinke 2020).
"""

import math
from enum import Enum
from functools import lru_cache

EXACT_SCALE_MAX = 64.0
"""Up to here the tail is summed; beyond, a bound by the continuous tail is used."""
_SLACK = 1e-12
"""More than the rounding of the sum below."""


class Miss(Enum):
    """How often an interval may miss, and the normal quantile of it, rounded up."""

    ONE_IN_20 = (0.05, 1.96)
    """95 %: what every shown margin promises."""
    ONE_IN_40 = (0.025, 2.2415)
    """97.5 %: each part of a ratio, so that both hold in 95 % (Bonferroni)."""


@lru_cache(maxsize=256)
def margin_of(scale: float, miss: Miss = Miss.ONE_IN_20) -> int:
    """Return the half-width m with ``Pr[|Z| <= m] >= 1 - miss``; the smallest one for small scales.

    For larger scales ``ceil(z sigma)`` is enough: the density is convex beyond sigma, so the sum over
    k > m is at most the integral from m + 1/2, and the normaliser is at least sqrt(2 pi) sigma
    (Poisson summation).
    """
    probability, quantile = miss.value
    if scale > EXACT_SCALE_MAX:
        return math.ceil(quantile * scale)

    reach = math.ceil(12 * scale) + 1  # what lies beyond weighs less than 1e-31
    weights = [math.exp(-((k / scale) ** 2) / 2) for k in range(reach + 1)]
    needed = (1 - probability + _SLACK) * (2 * math.fsum(weights) - weights[0])
    inside = weights[0]
    margin = 0
    while inside < needed:
        margin += 1
        inside += 2 * weights[margin]
    return margin
