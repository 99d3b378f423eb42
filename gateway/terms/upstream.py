"""What of an upstream's HTTP interface a permit opens: a closed list of paths with bound parameters.

A parameter that is not bound does not exist: filters, facets, search, SQL and field selection of an
upstream see raw values, and each would be an oracle (DESIGN.md section 9).
"""

from dataclasses import dataclass
from typing import Final

from gateway.terms.identifiers import ColumnName

CURSOR_BYTES_MAX: Final = 512
"""Of an upstream's cursor. All are padded to this when sealed, for their length would tell of values."""


@dataclass(frozen=True, slots=True)
class Size:
    """Rows of one page; sent even if the firm does not ask, so that the upstream's default is nothing."""

    at_most: int


@dataclass(frozen=True, slots=True)
class Position:
    """Number of a page, or of rows to skip."""

    at_most: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where to go on: the firm's side of it is sealed, the upstream's is read at ``pointer`` (RFC 6901)."""

    pointer: str


@dataclass(frozen=True, slots=True)
class Order:
    """The value is the name of one of these columns, all kept."""

    columns: tuple[ColumnName, ...]


@dataclass(frozen=True, slots=True)
class Equals:
    """The value is one of a kept column."""

    column: ColumnName


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always sent, and not the firm's to set."""

    value: str


Binding = Size | Position | Cursor | Order | Equals | Fixed


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamPath:
    """One path that may be asked for."""

    path: str
    """From its first slash, below the source's URL; compared as text."""
    rows_pointer: str
    """Where the array of row objects lies (RFC 6901); "" is the whole document."""
    parameters: tuple[tuple[str, Binding], ...]
    """In the order in which they are sent."""
