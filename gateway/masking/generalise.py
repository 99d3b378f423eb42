"""A wider value in place of the exact one: bands of numbers, periods of dates, prefixes of codes.

Laws: the result is a function of the value alone, and equal for all values of one band, period or prefix;
applying a treatment twice is applying it once. What cannot be widened (a code too short, an edge below
the smallest 64-bit integer) is null.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Context, Decimal
from typing import Final

from gateway.masking.grapheme import characters_of
from gateway.terms.treatment import DatePrecision

EDGE_MIN: Final = -(2**63)
_PRECISE: Final = Context(prec=200)
"""More digits than any value and any width a rule may name have together."""


def integers_banded(numbers: Sequence[int | None], width: int) -> list[int | None]:
    """Return the lower edge ``k * width`` of the band each number is in, below zero too."""
    return [
        None if number is None or (edge := number - number % width) < EDGE_MIN else edge for number in numbers
    ]


def decimal_banded(number: Decimal, width: int) -> Decimal:
    """Return the same of a decimal, with as many digits after the point."""
    over = _PRECISE.remainder(number, Decimal(width))  # has the sign of the number
    edge = _PRECISE.subtract(number, over)
    return _PRECISE.subtract(edge, Decimal(width)) if over < 0 else _PRECISE.plus(edge)


def with_precision(days: Sequence[date | None], precision: DatePrecision) -> list[date | None]:
    """Return the first day of the year, quarter or month each date is in."""
    match precision:
        case DatePrecision.YEAR:
            return [None if day is None else date(day.year, 1, 1) for day in days]
        case DatePrecision.QUARTER:
            return [None if day is None else date(day.year, (day.month - 1) // 3 * 3 + 1, 1) for day in days]
        case DatePrecision.MONTH:
            return [None if day is None else date(day.year, day.month, 1) for day in days]


def prefixed(text: str, length: int) -> str | None:
    """Return the first characters of a text; a shorter text is null, it may be of another level.

    So is one that is too long to count its characters.
    """
    characters = characters_of(text)
    return None if characters is None or len(characters) < length else "".join(characters[:length])
