"""What a survey tells of a source's values: facts of the data, for its steward and for nobody else."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from gateway.terms.identifiers import ColumnName
from gateway.terms.permit import Lookup


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnExtent:
    """One declared column, as the source has it."""

    cells: int
    """That are neither empty nor NULL."""
    misfits: int
    """Cells that the declared type turns into NULL."""
    least: Decimal | None
    most: Decimal | None
    """Of numbers, typed; None where there is none."""
    beyond: int
    """Numbers outside of the public bounds."""
    unlisted: int
    """Values that are not in the public list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupExtent:
    """What a lookup finds people by, as the whole source has it."""

    values: Mapping[ColumnName, int]
    """How many different ones its key has, and each column that must match."""
    rows_most: int
    """Of one key with what matches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceExtent:
    """One source, held against its document."""

    unnamed: tuple[str, ...]
    """Columns that the document does not name, by their names in the source."""
    absent: tuple[ColumnName, ...]
    unread: tuple[ColumnName, ...]
    """Stored as a type that is never read."""
    persons: int | None
    """None where the document names no column of persons."""
    left_out: int
    """Rows beyond ``rows_max`` of their person."""
    columns: Mapping[ColumnName, ColumnExtent]
    """All but the absent and the unread."""
    lookups: Mapping[Lookup, LookupExtent]
    """Those of which every column is there."""
