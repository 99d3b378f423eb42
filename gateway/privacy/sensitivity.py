"""How far one person can move a vector of exact measures (promise P4).

The engine keeps at most ``rows_max`` rows of a person and clamps every value to public bounds, so
adding or removing a person changes the vector over all groups by exactly that person's own part.
The bounds below are proved against brute force in ``tests/privacy/test_sensitivity.py``. Joins and
quantities that a person enters through others are not covered: they are not offered.
"""

import math

from gateway.terms.plan import MeasureKind


def l2_sensitivity(kind: MeasureKind, *, rows_max: int, groups: int, reach: int) -> int:
    """Return the most by which one person moves the vector in Euclidean length, rounded up; at least 1.

    ``reach`` is the largest distance of a clamped grid value from the centre; only sums use it.
    A row is in one group at most, so ``rows_max`` rows are furthest in one group for counts and
    sums, and spread over as many groups as possible for persons.
    """
    match kind:
        case MeasureKind.ROWS | MeasureKind.VALUES:
            return rows_max
        case MeasureKind.UNITS:
            return root_up(min(rows_max, groups))
        case MeasureKind.SUM:
            # INVARIANT: never 0, or bounds of zero width would get no noise (smartnoise-sdk#128).
            return max(1, rows_max * reach)


def root_up(number: int) -> int:
    """Return the smallest integer whose square is at least ``number``."""
    return math.isqrt(number - 1) + 1 if number > 0 else 0
