"""What an inspection tells of a source: names, types and shapes, and never a value, a least or a most.

A share is a fraction of the cells examined that are not NULL. What stands here may be shown to an
operator and written into a draft; nothing in it is a bound of the data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.terms.dataset import ColumnType, SourceFormat


class Shape(StrEnum):
    """A pattern that cells of personal data often have; the value is how a sentence names it."""

    TWELVE_DIGITS = "12 digits, as a personal identification number (CCCD)"
    NINE_DIGITS = "9 digits, as an old identity card number (CMND)"
    TEN_DIGITS = "10 digits, as a tax or social insurance number"
    INSURANCE_CARD = "the shape of a health insurance card number (BHYT)"
    PASSPORT = "the shape of a passport number"
    PHONE = "the shape of a phone number"
    EMAIL = "the shape of an e-mail address"
    PLATE = "the shape of a vehicle's plate"
    ISO_DATE = "a date as YYYY-MM-DD"
    DAY_FIRST_DATE = "a date with the day or month first"
    CAPITALISED_WORDS = "capitalised words, as names of people or places"
    LONG_TEXT = "long text"
    CODE = "a code of letters and digits"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """One column of a source."""

    name: str
    """As the source has it."""
    type: ColumnType | None
    """What its cells look like; None: stored as a type that the gateway never reads."""
    decimals: int
    """Digits after the point; 0 unless decimal."""
    null_share: float
    """Of all cells examined."""
    misfit_share: float
    """Cells that the proposed type would turn into NULL."""
    shapes: Mapping[Shape, float]
    is_repeated: bool
    """Some value stands in more than one of the rows examined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """One source: a CSV, a Parquet file, a folder of Parquet files, or a page of an HTTP API."""

    format: SourceFormat
    delimiter: str
    """Of a CSV."""
    nulls: tuple[str, ...]
    """Spellings of NULL that were seen in a CSV, out of a fixed list; the empty cell is always one."""
    has_mark: bool
    """A CSV that begins with a byte order mark."""
    rows: int
    rows_examined: int
    columns: tuple[ColumnFacts, ...]
