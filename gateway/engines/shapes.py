"""What a column's cells look like: the type that reads them, and the patterns they have.

Cells go in, shares come out; no cell, no least and no most is kept. The grammars of types are those
of ``typed.py``, so a misfit here is a NULL there. Patterns: research on Vietnamese identifiers
(12-digit personal number, 9-digit card, insurance card, phone, plate), RFC 5322 addresses roughly.
"""

import re
from collections.abc import Sequence
from datetime import date
from decimal import Context, Decimal
from typing import Final

from gateway.engines.typed import DATE_TEXT, DECIMAL_TEXT, integer_of
from gateway.terms.dataset import ColumnType
from gateway.terms.source_facts import ColumnFacts, Shape

NULL_SPELLINGS: Final = ("", "NA", "N/A", "NULL", "null", "-", "\\N")
FITS_AT_LEAST: Final = 0.9
"""Share of cells that a type must read to be proposed."""
LEADING_ZEROS_MOST: Final = 0.01
DECIMALS_MOST: Final = 9
"""What a document takes."""
LONG_CHARACTERS: Final = 60
LONG_WORDS: Final = 7

_EXACTLY: Final = Context(prec=60)
_DECIMAL: Final = re.compile(DECIMAL_TEXT, re.ASCII)
_DATE: Final = re.compile(DATE_TEXT, re.ASCII)
_LEADING_ZERO: Final = re.compile(r"[+-]?0[0-9]+")
_WORDS: Final = frozenset({"true", "false", "t", "f"})
_SEPARATORS: Final = re.compile(r"[ .\-]")

_SHAPES: Final = {
    Shape.INSURANCE_CARD: re.compile(r"[A-Z]{2}[1-5][0-9]{12}"),
    Shape.PASSPORT: re.compile(r"[A-Z][0-9]{7,8}"),
    Shape.PLATE: re.compile(r"[0-9]{2}[A-Z][A-Z0-9]?[0-9]{4,5}"),
    Shape.PHONE: re.compile(r"(\+?84|0)([35789][0-9]{8}|2[0-9]{8,9})"),
    Shape.TWELVE_DIGITS: re.compile(r"[0-9]{12}"),
    Shape.TEN_DIGITS: re.compile(r"[0-9]{10}"),
    Shape.NINE_DIGITS: re.compile(r"[0-9]{9}"),
}
"""Looked for in a cell without its separators; the first that fits counts."""
_WRITTEN: Final = {
    Shape.ISO_DATE: _DATE,
    Shape.DAY_FIRST_DATE: re.compile(r"[0-9]{1,2}[/.\-][0-9]{1,2}[/.\-][0-9]{4}"),
    Shape.EMAIL: re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s.]{2,}"),
}
"""Looked for in a cell as it is written."""
_CAPITALISED: Final = re.compile(r"[^\W\d_]+( [^\W\d_]+){1,5}")
_CODE: Final = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9._/\-]{2,32}", re.ASCII)


def column_facts(name: str, cells: Sequence[str | None]) -> ColumnFacts:
    """Return what a column's cells, as text, look like; None is a stored NULL."""
    values = [cell for cell in cells if cell is not None and cell not in NULL_SPELLINGS]
    kind, misfits = _type_of(values)
    shapes = [shape for value in values if (shape := shape_of(value.strip(" "))) is not None]
    return ColumnFacts(
        name=name,
        type=kind,
        decimals=_decimals(values) if kind is ColumnType.DECIMAL else 0,
        null_share=1 - len(values) / len(cells) if cells else 0.0,
        misfit_share=misfits,
        shapes={shape: shapes.count(shape) / len(values) for shape in Shape if shape in shapes},
        is_repeated=len(set(values)) < len(values),
    )


def unread(name: str) -> ColumnFacts:
    """Return the facts of a column stored as a type that is never read."""
    return ColumnFacts(
        name=name, type=None, decimals=0, null_share=0.0, misfit_share=0.0, shapes={}, is_repeated=False
    )


def shape_of(value: str) -> Shape | None:
    """Return the first pattern that a cell has."""
    if len(value) > LONG_CHARACTERS or value.count(" ") >= LONG_WORDS - 1 or "\n" in value:
        return Shape.LONG_TEXT
    bare = _SEPARATORS.sub("", value)
    looks = ((_WRITTEN, value), (_SHAPES, bare))
    found = (shape for shapes, text in looks for shape, pattern in shapes.items() if pattern.fullmatch(text))
    if shape := next(found, None):
        return shape
    if _CAPITALISED.fullmatch(value) and value.istitle():
        return Shape.CAPITALISED_WORDS
    return Shape.CODE if _CODE.fullmatch(value) else None


def _type_of(values: Sequence[str]) -> tuple[ColumnType, float]:
    """Return the narrowest type that reads nearly all cells, and the share that it does not read."""
    if not values:
        return ColumnType.TEXT, 0.0
    trimmed = [value.strip(" ") for value in values]
    if sum(1 for value in trimmed if _LEADING_ZERO.fullmatch(value)) > LEADING_ZEROS_MOST * len(trimmed):
        return ColumnType.TEXT, 0.0  # codes: a number would lose its zeros
    read = {kind: sum(map(reads, trimmed)) / len(trimmed) for kind, reads in _READERS.items()}
    best = max(read, key=lambda kind: read[kind])  # the narrower of two that read as much stands first
    if read[best] < FITS_AT_LEAST:
        return ColumnType.TEXT, 0.0
    return best, 1 - read[best]


def is_number(value: str) -> bool:
    """Return whether a text says a number."""
    return _DECIMAL.fullmatch(value) is not None


def _is_word(value: str) -> bool:
    return value.lower() in _WORDS


def _is_integer(value: str) -> bool:
    return integer_of(value) is not None


def _is_date(value: str) -> bool:
    if not _DATE.fullmatch(value):
        return False
    try:
        date.fromisoformat(value[:10])
    except ValueError:
        return False
    return True


_READERS: Final = {
    ColumnType.BOOLEAN: _is_word,
    ColumnType.INTEGER: _is_integer,
    ColumnType.DECIMAL: is_number,
    ColumnType.DATE: _is_date,
}
"""Narrowest first."""


def _decimals(values: Sequence[str]) -> int:
    """Return the digits after the point that cells have, without zeros at the end."""
    numbers = (Decimal(value.strip(" ")) for value in values if is_number(value.strip(" ")))
    ends = (number.normalize(_EXACTLY).as_tuple().exponent for number in numbers)
    return min(max(-end if isinstance(end, int) and end < 0 else 0 for end in ends), DECIMALS_MOST)
