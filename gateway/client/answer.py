"""An answer of the gateway: its exact bytes, and the same as a table.

Values that noise protects come as two columns: ``n`` and ``n_margin``, half the width of the 95 %
interval. A suppressed value is missing, never zero. The frame's ``attrs`` hold what it cost.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd  # type: ignore[import-untyped]  # pandas ships no types

from gateway.client.receipt import StoredReceipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, complete, with its receipt."""

    status: int
    content_type: str
    body: bytes = field(repr=False)
    receipt: StoredReceipt | None = field(default=None, repr=False)

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document of the body."""
        document = json.loads(self.body)
        if not isinstance(document, dict):
            raise ValueError("the answer is not a JSON object")  # noqa: TRY004  a value from outside
        return document

    def frame(self) -> pd.DataFrame:
        """Return the rows as a pandas frame; a noisy value is followed by its ``<name>_margin``."""
        document = self.document
        rows = document.get("rows")
        if not isinstance(rows, list):
            raise ValueError("the answer has no rows")  # noqa: TRY004  a value from outside
        flat = [_flat(row) for row in rows]
        names = dict.fromkeys(name for row in flat for name in row)
        frame = pd.DataFrame({name: _column([row.get(name) for row in flat]) for name in names})
        frame.attrs = {name: document[name] for name in ("charge", "left") if name in document}
        frame.attrs["receipt"] = self.receipt
        return frame


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
    return pd.Series(values, dtype="object" if not present else None)
