"""What a document says of an answer besides what is in it: its price, and when a person must approve it."""

from dataclasses import dataclass

from gateway.terms.identifiers import ColumnName
from gateway.terms.query import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What an answer costs in money, in Vietnamese dong."""

    per_request: int = 0
    per_row: int = 0
    per_key: int = 0
    """Of a lookup: each key that is tried, hit or miss."""


FREE = Price()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """What makes a request a controlled transaction; every part that is not None must hold."""

    action: Action | None = None
    column: ColumnName | None = None
    """It leaves, in whatever form, or the firm's condition reads it."""
    rows_over: int | None = None
    """So many rows could leave, the pages after the first counted in."""
