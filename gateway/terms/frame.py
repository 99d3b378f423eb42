"""What an engine returns: private data that nothing has protected yet."""

from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class UnprotectedRows:
    """Raw rows. Shape: one Arrow column a planned column, typed as declared, in the plan's order."""

    table: pa.Table
    last_order_key: str | None
    """Order key of the last row if more rows follow, else None."""
    upstream_cursor: str | None = field(default=None, repr=False)
    """Where an upstream says its next page starts; it may be made of raw values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnprotectedIntegers:
    """Exact integers. Shape: groups x measures, groups in the plan's order, missing groups 0."""

    values: tuple[tuple[int, ...], ...]


UnprotectedFrame = UnprotectedRows | UnprotectedIntegers
