"""What is treated at once, on the event loop, is small in every way that a treatment's time grows with."""

from typing import Any

import pytest

from gateway.steps.protect import INLINE_CELLS_MAX, INLINE_CHARACTERS_MAX, INLINE_TEXT_MAX, _is_small
from gateway.terms.frame import UnprotectedRows
from gateway.terms.identifiers import ColumnName

LONG = "x" * INLINE_TEXT_MAX
FULL = INLINE_CHARACTERS_MAX // INLINE_TEXT_MAX


@pytest.mark.parametrize(
    ("columns", "small"),
    [
        ([], True),
        ([[None, None]], True),
        ([["a"] * 100] * 7, True),
        ([[1] * INLINE_CELLS_MAX], True),
        ([[1] * (INLINE_CELLS_MAX // 2 + 1)] * 2, False),
        ([[LONG] * FULL, [1] * FULL], True),
        ([[LONG] * FULL, ["x"] + [None] * (FULL - 1)], False),
        ([[LONG + "x"]], False),
    ],
)
def test_what_is_treated_at_once_is_few_cells_of_few_characters(columns: list[Any], small: bool) -> None:
    named = {ColumnName(f"c{place}"): values for place, values in enumerate(columns)}

    assert _is_small(UnprotectedRows(columns=named, ended_at=None)) == small
