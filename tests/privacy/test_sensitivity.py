"""Declared sensitivities against one person's brute-forced worst (promise P4)."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.privacy.sensitivity import l2_sensitivity, root_up
from gateway.terms.plan import MeasureKind


def squared_length(kind: MeasureKind, rows: list[tuple[int, int | None]], groups: int) -> int:
    """Return what a person with these bounded rows (group, centred value) adds, squared."""
    vector = [0] * groups
    for group in range(groups):
        own = [value for at, value in rows if at == group]
        values = [value for value in own if value is not None]
        vector[group] = {
            MeasureKind.ROWS: len(own),
            MeasureKind.VALUES: len(values),
            MeasureKind.UNITS: min(1, len(own)),
            MeasureKind.SUM: sum(values),
        }[kind]
    return sum(part * part for part in vector)


@pytest.mark.parametrize("kind", MeasureKind)
@pytest.mark.parametrize(("rows_max", "groups"), [(1, 1), (1, 3), (2, 1), (2, 3), (3, 2), (4, 4)])
def test_the_worst_of_all_persons_is_reached_and_not_passed(
    kind: MeasureKind, rows_max: int, groups: int
) -> None:
    """Promise P4: every person with rows_max rows over these groups, values at and within the bounds."""
    reach = 7
    row = list(product(range(groups), (-reach, 0, reach, None)))
    worst = max(squared_length(kind, list(rows), groups) for rows in product(row, repeat=rows_max))

    declared = l2_sensitivity(kind, rows_max=rows_max, groups=groups, reach=reach)

    assert (declared - 1) ** 2 < worst <= declared**2


@given(
    kind=st.sampled_from(MeasureKind),
    rows=st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(-9, 9))), max_size=12),
    rows_max=st.integers(1, 12),
)
def test_no_person_moves_a_vector_further_than_declared(
    kind: MeasureKind, rows: list[tuple[int, int | None]], rows_max: int
) -> None:
    """Promise P4."""
    declared = l2_sensitivity(kind, rows_max=rows_max, groups=6, reach=9)

    assert squared_length(kind, rows[:rows_max], 6) <= declared**2


def test_bounds_of_no_width_still_get_noise() -> None:
    """Promise P4: smartnoise-sdk#128 gave none."""
    assert l2_sensitivity(MeasureKind.SUM, rows_max=3, groups=1, reach=0) == 1


@given(st.integers(0, 10**30))
def test_a_root_is_rounded_up(number: int) -> None:
    root = root_up(number)

    assert root**2 >= number
    assert root == 0 or (root - 1) ** 2 < number
