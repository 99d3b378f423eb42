"""What an engine returns: private data that nothing has protected yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.terms.identifiers import ColumnName
from gateway.terms.predicate import Literal

Values = Sequence[Literal | None]
"""One column: texts, whole numbers, decimals, dates or truth values, all of one type; None is null."""
Columns = Mapping[ColumnName, Values]
"""Columns of one length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnprotectedRows:
    """Raw rows. Shape: columns of one length, typed as declared, in the plan's order."""

    columns: Columns = field(repr=False)
    ended_at: str | None
    """Where this page ended (lower-case hex, always as long) if more rows follow, else None."""
    upstream_cursor: str | None = field(default=None, repr=False)
    """Where an upstream says its next page starts; it may be made of raw values."""
    found_by: tuple[int, ...] | None = None
    """For each row of a lookup, which key of the request found it, counted from 1; else None."""

    @property
    def count(self) -> int:
        """How many rows there are."""
        return max(map(len, self.columns.values()), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnprotectedIntegers:
    """Exact integers. Shape: groups x measures, groups in the plan's order, missing groups 0."""

    values: tuple[tuple[int, ...], ...]


UnprotectedFrame = UnprotectedRows | UnprotectedIntegers
