"""Rows of an answer as a pandas frame.

Values that noise protects come as two columns: ``n`` and ``n_margin``, half the width of the 95 %
interval. A suppressed value is missing, never zero. A column's type does not hang on whether a value
is missing. The frame's ``attrs`` hold what it cost and where in the log it stands, as JSON has it, so
that they survive ``to_parquet``.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd  # type: ignore[import-untyped]  # pandas ships no types

from gateway.client.receipt import StoredReceipt


def frame_of(document: Mapping[str, Any], receipt: StoredReceipt | None) -> pd.DataFrame:
    """Return the rows of a JSON answer; columns stand in the gateway's order, also where no row came."""
    rows = document.get("rows")
    if not isinstance(rows, list):
        raise ValueError("the answer has no rows")  # noqa: TRY004  a value from outside
    flat = [_flat(row) for row in rows]
    names = dict.fromkeys([*_named(document, flat), *(name for row in flat for name in row)])
    frame = pd.DataFrame({name: _column([row.get(name) for row in flat]) for name in names})
    frame.attrs = {name: document[name] for name in ("charge", "left") if name in document}
    frame.attrs["receipt"] = None if receipt is None else receipt.place
    return frame


def _named(document: Mapping[str, Any], flat: list[dict[str, object]]) -> list[str]:
    """Return the columns that an answer without rows names; rows name them themselves."""
    columns = [] if flat else document.get("columns", [])
    return [column["name"] if isinstance(column, dict) else column for column in columns]


def _flat(row: Mapping[str, object]) -> dict[str, object]:
    """Return a row with each noisy cell as value and margin."""
    flat: dict[str, object] = {}
    for name, cell in row.items():
        if isinstance(cell, dict) and "value" in cell:
            flat[name] = cell["value"]
            flat[f"{name}_margin"] = cell.get("margin")
        else:
            flat[name] = cell
    return flat


def _column(values: list[object]) -> pd.Series:
    """Return values as a column whose type does not hang on whether one is missing."""
    present = [value for value in values if value is not None]
    if present and all(isinstance(value, bool) for value in present):
        return pd.Series(values, dtype="boolean")
    if present and all(type(value) is int and abs(value) < 2**63 for value in present):
        return pd.Series(values, dtype="Int64")
    if present and all(type(value) in {int, float} for value in present):
        return pd.Series(values, dtype="Float64")
    if present and all(isinstance(value, str) for value in present):
        return pd.Series(values, dtype="string")
    return pd.Series(values, dtype="object")
