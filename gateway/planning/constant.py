"""Constants of a condition, typed as the column they are compared with.

SQL and JSON share these rules: a text is no number, a date is ``YYYY-MM-DD``, nothing is cast.
"""

import re
from datetime import date
from decimal import Decimal

from gateway.errors import QuestionRefused
from gateway.terms.dataset import INTEGER_MAX, Column, ColumnType
from gateway.terms.predicate import Comparator, Comparison, Literal

TEXT_CHARS_MAX = 200
DIGITS_MAX = 18
"""Digits of a decimal constant before and after the point."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?")
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WANTED = {
    ColumnType.TEXT: f"a text of at most {TEXT_CHARS_MAX} characters",
    ColumnType.INTEGER: "a whole number of at most 63 bits",
    ColumnType.DECIMAL: f"a number of at most {DIGITS_MAX} digits before and after the point",
    ColumnType.DATE: "a date as YYYY-MM-DD",
    ColumnType.BOOLEAN: "true or false",
}


def typed(value: object, column: Column) -> Literal:
    """Return a constant as a value of the column's type.

    Raises:
        QuestionRefused: It is none; says what the column is compared with.

    """
    literal = _typed(value, column.type)
    if literal is None:
        raise QuestionRefused(f"`{column.name}` is compared with {_WANTED[column.type]}", about=column.name)
    return literal


def of_text(text: str, column: Column) -> object:
    """Return what a text says in a column's type, for ``typed`` to judge."""
    match column.type:
        case ColumnType.INTEGER | ColumnType.DECIMAL:
            return Decimal(text) if _NUMBER.fullmatch(text) else text
        case ColumnType.BOOLEAN:
            return _TRUTHS.get(text, text)
        case ColumnType.TEXT | ColumnType.DATE:
            return None if _CONTROL.search(text) else text


def comparison(column: Column, comparator: Comparator, *values: object) -> Comparison:
    """Return a column compared with constants of its own type.

    Raises:
        QuestionRefused: A constant is of another type, or the column has no order to compare by.

    """
    ordered = comparator in {Comparator.LESS, Comparator.AT_MOST, Comparator.MORE, Comparator.AT_LEAST}
    if ordered and column.type is ColumnType.BOOLEAN:
        raise QuestionRefused(f"`{column.name}` is true or false and has no order", about=column.name)
    return Comparison(column.name, comparator, tuple(typed(value, column) for value in values))


def _typed(value: object, kind: ColumnType) -> Literal | None:
    literal: Literal | None = None
    match kind, value:
        case ColumnType.BOOLEAN, bool():
            literal = value
        case _, bool():
            pass  # which Python would take for an integer
        case ColumnType.TEXT, str() if len(value) <= TEXT_CHARS_MAX and "\x00" not in value:
            literal = value
        case ColumnType.INTEGER, int() | Decimal() if _fits(Decimal(value)):
            whole = int(value)
            literal = whole if whole == value and abs(whole) <= INTEGER_MAX else None
        case ColumnType.DECIMAL, int() | Decimal() if _fits(Decimal(value)):
            literal = Decimal(value)
        case ColumnType.DATE, date():
            literal = value
        case ColumnType.DATE, str():
            literal = date_of(value)
        case _:
            pass
    return literal


def date_of(text: str) -> date | None:
    """Return the date written as ``YYYY-MM-DD``, or None."""
    try:
        return date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        return None


def _fits(number: Decimal) -> bool:
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        return False
    return number.adjusted() <= DIGITS_MAX and exponent >= -DIGITS_MAX
