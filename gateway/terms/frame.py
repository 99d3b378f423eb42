"""What an engine returns: private data that nothing has protected yet."""

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class UnprotectedRows:
    """Raw rows. Shape: one Arrow column a planned column, typed as declared, in the plan's order."""

    table: pa.Table
    last_order_key: str | None
    """Order key of the last row if more rows follow, else None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnprotectedIntegers:
    """Exact integers. Shape: groups x measures, groups in the plan's order, missing groups 0."""

    values: tuple[tuple[int, ...], ...]


UnprotectedFrame = UnprotectedRows | UnprotectedIntegers
